import pytest
from sqlalchemy import select

from capacity.experiments.app_close import Comparison, close_app_run, compare
from core import database
from core.models import ExecutionRow, RunRow, SpoolRow
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
        assert run.environment["app"] == {"name": "mi-app", "disagreements": 0, "worker_clock_offsets_seconds": []}


def test_the_offsets_of_the_workers_clocks_are_stored_with_half_of_the_request_as_their_error(sessions):
    record(sessions, ("done", "done"), ("done", "done"))
    with sessions.begin() as session:
        first, second = session.scalars(select(ExecutionRow).order_by(ExecutionRow.id))
        first.worker, second.worker = "a", "b"
        seen = {"node": "n", "address": "h:1", "last_number": 1, "missed": 0, "read_at": 1.0}
        for key, offset, trip in (("a", -0.20, 0.02), ("b", 0.30, 0.04), ("of another run", 9.0, 0.0)):
            session.add(SpoolRow(id=key, clock_offset_seconds=offset, round_trip_seconds=trip, **seen))
    close_app_run(sessions, "r")
    with sessions() as session:
        app = session.get_one(RunRow, "r").environment["app"]
        assert app["worker_clock_offsets_seconds"] == pytest.approx([-0.21, 0.32])


def test_a_video_of_several_tasks_is_compared_by_its_last_one(sessions):
    record(sessions, ("done", "part", "part", "done"))
    with sessions() as session:
        assert compare(session, "r") == Comparison(without_execution=0, disagreements=0)


def test_a_run_without_instrumentation_misses_nothing(sessions):
    record(sessions, ("done",), missed=None)
    close_app_run(sessions, "r")
    with sessions() as session:
        assert session.get_one(RunRow, "r").executions_missed is None
