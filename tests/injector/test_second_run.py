"""One run at a time, even if several injectors start simultaneously."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import select

from core.database import open_engine, open_sessions, upgrade_schema
from core.errors import AforoError, EnvironmentFault, UsageError
from core.ffmpeg.profiles import PROFILES
from core.models import RunRow
from core.run import Mode
from core.settings import Settings
from injector.injection import Injection, Request
from injector.run_inputs import RunInputs, Source
from testing import postgresql
from testing.rows import run_row

REQUEST = Request(1, None, Mode.BURST, None, None, None, PROFILES["full"], None, "")
INPUTS = RunInputs((Source("uploads/a.mp4", 10**6, "", None, "generated 1MB"),), [0])


@pytest.fixture
def settings(tmp_path):
    return Settings.from_env({"AFORO_RESULTS_PATH": str(tmp_path / "results")})


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/a.db"
        return
    if postgresql.binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    with tempfile.TemporaryDirectory() as folder, postgresql.running_server(Path(folder)) as server:
        yield server


@pytest.fixture
def sessions(url):
    engine = open_engine(url)
    upgrade_schema(engine)
    yield open_sessions(engine)
    engine.dispose()


def preparing(run_id, **changes):
    now = time.time()
    return run_row(**dict(id=run_id, status="preparing", created_at=now, heartbeat_at=now) | changes)


def prepared(run_id, settings, sessions):
    """Return a prepared run. When it was prepared, no other run was active."""
    return Injection(settings, REQUEST, run_id, INPUTS, sessions, None, preparing(run_id))


def statuses(sessions):
    with sessions() as session:
        return {row.id: row.status for row in session.scalars(select(RunRow))}


def test_only_one_of_several_simultaneous_injectors_runs(settings, url, sessions):
    names, start, end = ["a", "b", "c", "d"], Barrier(4, timeout=60), Barrier(4, timeout=60)

    def enter(name):
        engine = open_engine(url)
        injection = prepared(name, settings, open_sessions(engine))
        start.wait()
        try:
            with injection.recorded():
                end.wait()
                return "runs"
        except EnvironmentFault as refusal:
            end.wait()
            return str(refusal).split("; ")[1]
        finally:
            engine.dispose()

    with ThreadPoolExecutor(len(names)) as pool:
        results = list(pool.map(enter, names))
    assert sorted(results) == ["it is active"] * 3 + ["runs"]
    assert statuses(sessions) == {names[results.index("runs")]: "preparing"}


def test_a_loser_that_gave_no_name_is_never_told_of_run_id(settings, url, sessions):
    """Two `make run-burst` of the same second generate the same id."""
    start = Barrier(2, timeout=60)

    def run(_number):
        engine = open_engine(url)
        start.wait()
        try:
            with prepared("20261127-100000-burst-1mb-c2", settings, open_sessions(engine)).recorded():
                return "runs"
        except AforoError as refusal:
            return str(refusal)
        finally:
            engine.dispose()

    with ThreadPoolExecutor(2) as pool:
        results = sorted(pool.map(run, range(2)), reverse=True)
    assert results[0] == "runs"
    assert "RUN_ID" not in results[1]
    assert results[1].startswith("run (20261127-100000-burst-1mb-c2); ")


def test_a_taken_name_is_told_to_the_one_that_gave_it_alone(settings, sessions):
    with sessions.begin() as session:
        session.add(preparing("r", status="finished"))
    with pytest.raises(EnvironmentFault, match=r"^run \(r\); another one has begun in the same second; run it again$"):
        enter(prepared("r", settings, sessions))
    given = Injection(settings, replace(REQUEST, run_id="r"), "r", INPUTS, sessions, None, preparing("r"))
    with pytest.raises(UsageError, match=r"^RUN_ID \(r\); a run of that name is recorded"):
        enter(given)


def test_a_refused_second_run_does_not_end_the_run_of_that_name(settings, sessions):
    with prepared("r", settings, sessions).recorded():
        with pytest.raises(EnvironmentFault, match=r"^run \(r\); it is active"):
            enter(prepared("r", settings, sessions))
        assert statuses(sessions) == {"r": "preparing"}
        assert not (settings.results.path / "runs/r").exists()


@pytest.mark.parametrize(
    ("at_work", "error", "status"),
    [
        (None, ValueError, "failed"),
        (None, KeyboardInterrupt, "interrupted"),
        (KeyboardInterrupt, AssertionError, "interrupted"),  # SQLAlchemy's error for Ctrl-C in a commit
        (ValueError, AssertionError, "failed"),
    ],
)
def test_only_ctrl_c_interrupts_a_run_and_other_errors_fail_it(settings, sessions, at_work, error, status):
    with pytest.raises(error), prepared("r", settings, sessions).recorded():
        try:
            if at_work:
                raise at_work
        finally:
            raise error
    assert statuses(sessions) == {"r": status}


def test_a_run_between_two_slow_sends_is_active_and_a_dead_one_is_ended(settings, sessions):
    with sessions.begin() as session:
        session.add(preparing("slow", heartbeat_at=time.time() - 119, rate_per_minute=0.5))
    with pytest.raises(EnvironmentFault, match=r"^run \(slow\); it is active"):
        enter(prepared("r", settings, sessions))
    with sessions.begin() as session:
        session.get_one(RunRow, "slow").heartbeat_at = time.time() - 300
    enter(prepared("r", settings, sessions))
    assert statuses(sessions) == {"slow": "interrupted", "r": "preparing"}


def test_a_run_of_another_queue_starts_and_one_of_an_unknown_queue_is_in_the_way(settings, sessions):
    with sessions.begin() as session:
        session.add(preparing("other", environment={"queue": "other-videos"}))
    enter(prepared("r", settings, sessions))
    with sessions.begin() as session:
        session.get_one(RunRow, "r").status = "finished"
        session.get_one(RunRow, "other").environment = {"queue": settings.queue.name}
    with pytest.raises(EnvironmentFault, match=r"^run \(other\); it is active"):
        enter(prepared("s", settings, sessions))
    with sessions.begin() as session:
        session.get_one(RunRow, "other").environment = {}
    with pytest.raises(EnvironmentFault, match=r"^run \(other\); it is active"):
        enter(prepared("s", settings, sessions))


def enter(run):
    with run.recorded():
        pass
