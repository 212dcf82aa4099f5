"""`matrix` on a store in which an earlier call has left its runs."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from capacity.__main__ import main
from capacity.experiments.matrix_plan import Plan, PlannedTest
from core.models import RunRow
from core.run import RunStatus
from tests.capacity.store import HOST, add_run, burst, open_store

SLOWED = {"host": HOST, "ffmpeg": "5.1", "celery": "5.7", "canary_before_seconds": 0.2, "canary_after_seconds": 0.3}
PLAN = Plan(("5MB",), (1, 2), ("burst",), count=12, repeats=2, rate_per_minute=10.0)
MATRIX = ("matrix", "--sizes", "5MB", "--concurrencies", "1,2", "--modes", "burst", "--count", "12", "--repeats", "2")


@pytest.fixture
def environment(tmp_path):
    return {
        "AFORO_DATABASE_URL": f"sqlite:///{tmp_path}/store.db",
        "AFORO_RESULTS_PATH": str(tmp_path / "results"),
        "AFORO_PROMETHEUS_URL": "http://127.0.0.1:9",
    }


@pytest.fixture
def sessions(tmp_path):
    return open_store(tmp_path / "store.db")


def leave(sessions, slots, repeat, seconds=5.0, **changes):
    """Record a run as the matrix's own."""
    made, start, end, slot = burst(slots, 12, seconds, 1e9 + 1000 * (2 * repeat + slots), f"c{slots}-{repeat}")
    made.note = PlannedTest("5MB", slots, "burst", repeat).note(PLAN)
    for name, value in changes.items():
        setattr(made, name, value)
    with sessions.begin() as session:
        add_run(session, made, start, end, slot=slot)


def ask(environment, *arguments):
    return CliRunner().invoke(main, [*MATRIX, *arguments], env=environment, catch_exceptions=False)


def test_a_plan_tells_what_is_left_and_leaves_the_run_of_a_dead_injector_as_it_is(environment, sessions):
    leave(sessions, 1, 1)
    leave(sessions, 2, 1, status=RunStatus.RUNNING, count=20)
    shown = ask(environment, "--plan-only", "--json")
    left = [(test["concurrency"], test["repeat"]) for test in json.loads(shown.stdout)["left"]]
    assert sorted(left) == [(1, 2), (2, 1), (2, 2)]
    with sessions() as session:
        run = session.get_one(RunRow, "c2-1")
        assert (run.status, run.heartbeat_at) == (RunStatus.RUNNING, run.created_at + 500)


def test_the_printed_table_is_the_written_one_which_leaves_a_distrusted_run_out(environment, sessions):
    for slots in (1, 2):
        leave(sessions, slots, 1)
    leave(sessions, 1, 2, seconds=9.0, environment=SLOWED)
    leave(sessions, 2, 2, seconds=5.5)
    shown = ask(environment)
    written = Path(environment["AFORO_RESULTS_PATH"], "table.md").read_text("utf-8")
    assert shown.stdout == written
    assert "- 5 MB, c=1, Burst: c1-1 (sin usar: 1)\n- 5 MB, c=2, Burst: c2-1, c2-2\n" in written
