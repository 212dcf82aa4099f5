import pytest

from capacity.experiments.app_close import Comparison, close_app_run, compare
from core import database
from core.models import ExecutionRow, RunRow
from testing.rows import run_row, video_row


@pytest.fixture
def sessions(tmp_path):
    engine = database.open_engine(f"sqlite:///{tmp_path}/a.db")
    database.upgrade_schema(engine)
    return database.open_sessions(engine)


def record(sessions, *videos, missed=0):
    """Record a run with videos, each a state and the outcomes of its executions."""
    with sessions.begin() as session:
        session.add(run_row(environment={"app": {"name": "mi-app"}}, executions_missed=missed))
        session.flush()
        number = 0
        for key, (state, *outcomes) in enumerate(videos):
            session.add(video_row(id=f"v{key}", task_id=f"t{key}", state=state))
            session.flush()
            for outcome in outcomes:
                number += 1
                times = {"started_at": float(number), "ended_at": number + 0.5, "outcome": outcome}
                where = {"node": "n", "worker": "w", "slot": 0, "spool_number": number, "execution_number": 0}
                session.add(ExecutionRow(run_id="r", video_id=f"v{key}", task_id=f"t{key}", **where, **times))


def test_the_last_execution_of_a_video_is_compared_with_its_table(sessions):
    record(sessions, ("done", "retried", "done"), ("failed", "done"), ("failed", "failed"), ("uploaded",))
    with sessions() as session:
        assert compare(session, "r") == Comparison(without_execution=0, disagreements=1)


def test_a_video_whose_last_execution_was_not_read_counts_as_missed(sessions):
    record(sessions, ("done", "retried"), ("done",), ("done", "done"), missed=1)
    close_app_run(sessions, "r")
    with sessions() as session:
        run = session.get_one(RunRow, "r")
        assert run.executions_missed == 2  # the spool's gap is one of them
        assert run.environment["app"] == {"name": "mi-app", "disagreements": 0}


def test_a_video_of_several_tasks_is_compared_by_its_last_one(sessions):
    record(sessions, ("done", "part", "part", "done"))
    with sessions() as session:
        assert compare(session, "r") == Comparison(without_execution=0, disagreements=0)


def test_a_run_without_instrumentation_misses_nothing(sessions):
    record(sessions, ("done",), missed=None)
    close_app_run(sessions, "r")
    with sessions() as session:
        assert session.get_one(RunRow, "r").executions_missed is None
