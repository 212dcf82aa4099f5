"""States of an app's videos: read from its table by key, a failure only when no retry can follow."""

import sqlite3
import time
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from collector.metrics import CollectorMetrics
from collector.table_states import SETTLED_SECONDS, TableStates
from core import database
from core.app_file import read_app_file
from core.app_file.injected import InjectedVideo, append
from core.models import ExecutionRow, VideoRow
from core.results_folder import run_folder
from core.settings import Settings
from testing.rows import run_row, video_row
from tests.core.app_file.conftest import CREATE, team  # noqa: F401 (a fixture)

NOW = time.time()
UPLOADED = "2026-11-27 12:00:00"
ENDED = "2026-11-27 12:00:05.5"
BEGIN = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()


class App:
    """An app's table with one row, a run of ours with one video of it, and the reader."""

    def __init__(self, folder, app):
        self.theirs = folder / "app.db"
        self.write(CREATE)
        self.write("INSERT INTO videos VALUES (7, 't', 'uploaded', '/a', 1, 't1', ?, ?)", *[UPLOADED] * 2)
        engine = database.open_engine(f"sqlite:///{folder}/ours.db")
        database.upgrade_schema(engine)
        self.sessions = database.open_sessions(engine)
        with self.sessions.begin() as session:
            session.add(run_row(id="r", created_at=NOW, environment={"app": {"name": "mi-app"}}))
            session.add(video_row(id="v", run_id="r", task_id="t1", state="uploaded"))
        settings = Settings.from_env({"AFORO_RESULTS_PATH": str(folder / "results")})
        append(run_folder(settings.results.path, "r"), [InjectedVideo("v", "t1", 7, "uploaded")])
        self.registry = CollectorRegistry()
        self.states = TableStates(settings, app, self.sessions, CollectorMetrics(self.registry))
        self.messages = 0
        self.states._queue_is_empty = lambda: self.messages == 0

    def write(self, statement, *values):
        with sqlite3.connect(self.theirs) as connection:
            connection.execute(statement, values)

    def round(self, now=NOW):
        self.states.run(now)
        assert self.states._failure == ""
        with self.sessions() as session:
            row = session.get_one(VideoRow, "v")
            return row.state, row.uploaded_at, row.updated_at


@pytest.fixture
def app(tmp_path, team):  # noqa: F811
    return App(tmp_path, read_app_file(team()))


def test_a_done_video_has_the_times_of_their_table(app):
    assert app.round(BEGIN + 1)[0] == "uploaded"
    app.write("UPDATE videos SET state = 'running'")
    assert app.round(BEGIN + 5)[0] == "processing"
    app.write("UPDATE videos SET state = 'done', updated_at = ?", ENDED)
    assert app.round(BEGIN + 6) == ("done", BEGIN, BEGIN + 5.5)


@pytest.mark.parametrize(("state", "end"), [("done", 40.0), ("failed", 40.0)])
def test_a_time_before_the_row_was_last_seen_open_is_that_of_an_earlier_change(app, state, end):
    app.write("UPDATE videos SET state = 'running', updated_at = ?", ENDED)
    assert app.round(BEGIN + 39)[0] == "processing"
    app.messages = 1
    app.write("UPDATE videos SET state = ?", state)
    app.round(BEGIN + 40)
    app.messages = 0
    assert app.round(BEGIN + 60) == (state, BEGIN, BEGIN + end)


def test_a_change_of_state_that_leaves_updated_at_alone_is_seen_and_counted_as_observed(app):
    app.write("UPDATE videos SET state = 'done'")
    assert app.round()[::2] == ("done", NOW)
    with app.sessions() as session:
        assert session.get_one(VideoRow, "v").run_id == "r"
        assert session.get_one(run_row().__class__, "r").environment["app"]["observed_ends"] == 1


def test_a_failed_row_is_final_when_the_queue_is_empty_and_a_retry_that_succeeds_wins(app):
    app.messages = 1
    app.write("UPDATE videos SET state = 'failed', updated_at = ?", ENDED)
    assert app.round(now=1795000000)[0] == "processing"
    app.write("UPDATE videos SET state = 'done', updated_at = ?", ENDED)
    assert app.round(now=1795000000)[0] == "done"


def test_a_failed_row_ends_when_the_queue_is_empty_or_after_a_long_time_or_by_its_executions(app):
    app.messages = 1
    app.write("UPDATE videos SET state = 'failed', updated_at = ?", ENDED)
    ended_at = 1795780805.5
    assert app.round(ended_at + SETTLED_SECONDS - 1)[0] == "processing"
    assert app.round(ended_at + SETTLED_SECONDS + 1) == ("failed", ended_at - 5.5, ended_at)


@pytest.mark.parametrize(("outcome", "state"), [("failed", "failed"), ("retried", "processing")])
def test_a_failed_row_waits_for_the_end_of_its_last_execution(app, outcome, state):
    app.messages = 1
    with app.sessions.begin() as session:
        facts = dict(run_id="r", video_id="v", execution_number=0, node="n", worker="w", slot=0, spool_number=1)
        session.add(ExecutionRow(**facts, task_id="t1", started_at=NOW, ended_at=NOW + 1, outcome=outcome))
    app.write("UPDATE videos SET state = 'failed', updated_at = ?", ENDED)
    assert app.round(now=1795780806)[0] == state


def test_their_database_may_be_gone_for_a_while(app, caplog):
    app.theirs.rename(app.theirs.with_suffix(".away"))
    app.states.run(NOW)
    app.states.run(NOW)
    assert sum("the videos of mi-app are not read" in line for line in caplog.messages) == 1
    assert app.registry.get_sample_value("aforo_collector_errors_total", {"reason": "app_table"}) == 2
    app.theirs.with_suffix(".away").rename(app.theirs)
    app.write("UPDATE videos SET state = 'done', updated_at = ?", ENDED)
    assert app.round()[0] == "done"
