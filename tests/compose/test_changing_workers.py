"""A paced run whose workers change from 1 to 3 to 1, one with half a CPU and one killed, in containers."""

from __future__ import annotations

import json
import subprocess

import pytest

from core import promql
from testing.polling import until

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1800)]
COUNT = 36
RUN = ("run-sustained", "SIZE=1MB", f"COUNT={COUNT}", "RATE=24", "CONCURRENCY=1", "WORKERS=1", "STACK=compose")
OPEN = "SELECT worker FROM executions WHERE ended_at IS NULL"
DONE = "SELECT count(*), count(DISTINCT video_id) FROM executions WHERE run_id = '{}' AND outcome = 'done'"
NOT_DONE = "SELECT worker FROM executions WHERE run_id = '{}' AND coalesce(outcome, '') != 'done'"
DONE_BY = "SELECT count(*) FROM executions WHERE run_id = '{}' AND outcome = 'done' AND worker LIKE '{}%'"
SERVICE = """
SELECT worker, avg(ended_at - started_at) FROM executions WHERE run_id = '{}' AND outcome = 'done' GROUP BY worker"""


def docker(*words):
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def run(stack):
    """Return the row of the run, the worker that was killed and the one with half a CPU, as the database names them."""
    start = running(stack)
    log = (stack.folder / "changing.log").open("w")
    started = subprocess.Popen(["make", *RUN], cwd=stack.folder, env=stack.environment, stdout=log, stderr=log)
    try:
        (run_id,) = until(lambda: running(stack) - start, "the run", 300)
        first = {each["Id"] for each in workers(stack)}
        assert stack.make("up", "WORKERS=3", "CONCURRENCY=1").returncode == 0
        more = [each for each in workers(stack) if each["Id"] not in first]
        assert len(more) == 2
        docker("update", "--cpus", "0.5", more[0]["Id"])
        name = more[1]["Config"]["Hostname"]
        until(lambda: [row for row in stack.sql(OPEN) if row[0].startswith(name)], "a video of the victim", 60)
        docker("kill", "--signal", "KILL", more[1]["Id"])
        until(lambda: slow(stack, run_id, more[0]), "three videos of the worker with half a CPU", 120)
        assert stack.make("up", "WORKERS=1", "CONCURRENCY=1").returncode == 0
        assert started.wait(600) == 0, (stack.folder / "changing.log").read_text()[-3000:]
    finally:
        started.terminate()
        started.wait()
        log.close()
    row = json.loads((stack.folder / f"results/runs/{run_id}/row.json").read_text(encoding="utf-8"))
    return row, name, more[0]["Config"]["Hostname"]


def running(stack):
    return {row[0] for row in stack.sql("SELECT id FROM runs WHERE status = 'running'")}


def workers(stack):
    return [each for each in stack.containers() if each["Config"]["Labels"]["com.docker.compose.service"] == "worker"]


def slow(stack, run_id, container):
    return int(stack.sql(DONE_BY.format(run_id, container["Config"]["Hostname"]))[0][0]) >= 3


def test_every_video_is_done_once_and_the_killed_execution_is_counted(stack, run):
    row, killed, _ = run
    assert (row["count"], row["done"], row["failed"], row["status"]) == (COUNT, COUNT, 0, "finished")
    assert stack.sql(DONE.format(row["run_id"])) == [[str(COUNT)] * 2]
    assert [worker.startswith(killed) for (worker,) in stack.sql(NOT_DONE.format(row["run_id"]))] == [True]


def test_the_run_says_that_its_workers_changed(run):
    row, _, _ = run
    assert row["validity"] == "invalid"
    assert {"changed_fleet", "lost_executions"} <= set(row["validity_reasons"])


def test_the_service_of_each_worker_is_recorded_and_half_a_cpu_shows(stack, run):
    row, killed, halved = run
    service = {worker: float(mean) for worker, mean in stack.sql(SERVICE.format(row["run_id"]))}
    others = [mean for worker, mean in service.items() if not worker.startswith((killed, halved))]
    (slower,) = (mean for worker, mean in service.items() if worker.startswith(halved))
    assert slower > 1.3 * max(others)


def test_the_boards_saw_three_workers_and_each_video_once(stack, run):
    row, _, _ = run
    seconds = f"{int(row['window_seconds']) + 240}s" if row.get("window_seconds") else "600s"
    most = promql.single(stack.prometheus_url, f"max_over_time(count(aforo_worker_info)[{seconds}:5s])")
    assert most == 3
    ended = f'sum(aforo_run_videos{{run_id="{row["run_id"]}", state="done"}})'
    assert promql.single(stack.prometheus_url, ended) == COUNT
