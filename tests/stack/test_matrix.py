"""A matrix is killed while a cell runs, is started again, and measures every cell once."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from testing.emulator import ROOT
from testing.polling import until
from tests.stack.runs import report, rows

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
MATRIX = ("capacity", "matrix", "--sizes", "0.5MB", "--concurrencies", "1,2", "--modes", "burst", "--count", "7")
RUNS = "SELECT id, status, count FROM runs WHERE note LIKE ? ORDER BY created_at"


def planned_runs(stack):
    return rows(stack, RUNS, "matrix %0.5MB%")


def table_now(stack):
    return json.loads(stack.run("capacity", "table", "--json").stdout)["rows"]


def python(stack, *arguments):
    """Run Python in the stack, with a time limit that suits a busy machine."""
    command = [str(ROOT / ".venv/bin/python"), *arguments]
    return subprocess.run(
        command, cwd=stack.folder, env=stack.environment, capture_output=True, text=True, timeout=400, check=False
    )


@pytest.fixture
def matrix(stack):
    """Start the matrix in its own process group, as a shell would."""
    command = [str(ROOT / ".venv/bin/python"), "-m", *MATRIX]
    with open(stack.folder / "matrix.log", "w") as log:
        started = subprocess.Popen(
            command, cwd=stack.folder, env=stack.environment, stdout=log, stderr=log, start_new_session=True
        )
    yield started
    if started.poll() is None:
        os.killpg(started.pid, signal.SIGKILL)
    started.wait()


def test_a_killed_matrix_continues_at_the_cell_where_it_stopped(stack, matrix):
    second_is_sent = lambda: [s for _, s, _ in planned_runs(stack)] == ["finished", "running"]  # noqa: E731
    until(second_is_sent, "the second cell's run", 300)
    os.killpg(matrix.pid, signal.SIGKILL)
    matrix.wait()
    before = [run_id for run_id, *_ in planned_runs(stack)]
    resumed = python(stack, "-m", *MATRIX, "--json")
    assert resumed.returncode == 0, resumed.stderr
    table = json.loads(resumed.stdout)["rows"]
    used = [run_id for row in table for run_id in row["runs"]]
    assert sorted(used) == sorted(run_id for run_id, status, _ in planned_runs(stack) if status == "finished")
    assert before[0] in used
    assert [(row["concurrency"], row["count"], row["done"], row["failed"]) for row in table] == [
        (1, 7, 7, 0),
        (2, 7, 7, 0),
    ]
    assert all(row["x_sat_per_minute"] > 0 for row in table)
    agreements = lambda: [row["agrees"] for row in table_now(stack) if set(row["runs"]) <= set(used)]  # noqa: E731
    until(lambda: agreements() == [True, True], "Prometheus and database agree on both cells", 60)
    again = stack.run(*MATRIX, "--plan-only", "--json")
    assert json.loads(again.stdout)["left"] == []


def test_a_burst_that_is_precise_enough_cancels_its_queued_videos(stack):
    assert stack.run("local", "up", CONCURRENCY="1").returncode == 0
    stack.run("capacity", "wait")  # an earlier test may have left a run
    injected = stack.run("injector", "--count", "30", "--size", "1MB")
    run_id = injected.stdout.split("run ", 1)[1].split(":", 1)[0]
    done = "SELECT count(*) FROM videos WHERE run_id = ? AND state = 'done'"
    until(lambda: rows(stack, done, run_id)[0][0] >= 2, "two done videos", 180)
    code = (
        "from capacity.experiments.run_launcher import RunLauncher; "
        f"print(RunLauncher.open().queued_videos.cancel({{{run_id!r}}}))"
    )
    taken = int(python(stack, "-c", code).stdout)
    row = report(stack, run_id)
    assert taken > 0
    assert (row["count"], row["done"], row["failed"], row["duplicates"], row["asked"]) == (
        30 - taken,
        30 - taken,
        0,
        0,
        30,
    )
    assert row["agrees"]
    waiting = "SELECT count(*) FROM videos WHERE run_id = ? AND state <> 'done'"
    assert rows(stack, waiting, run_id) == [(0,)]
