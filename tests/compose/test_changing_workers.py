"""A paced run whose workers change from 1 to 3 to 1, one with half a CPU and one killed, in containers."""

from __future__ import annotations

import json
import math
import subprocess
import time

import pytest

from core import promql
from testing.polling import until

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1800)]
COUNT = 20
RUN = ("run-sustained", "SIZE=3MB", f"COUNT={COUNT}", "RATE=20", "CONCURRENCY=1", "WORKERS=1", "STACK=compose")
#: videos that a worker has and will have for a while: less than half of the usual time is over
BEGUN = """
SELECT count(*) FROM executions WHERE ended_at IS NULL AND worker LIKE '{}%' AND extract(epoch FROM now()) - started_at
  < (SELECT 0.5 * avg(ended_at - started_at) FROM executions WHERE outcome = 'done')"""
DONE = "SELECT count(*), count(DISTINCT video_id) FROM executions WHERE run_id = '{}' AND outcome = 'done'"
#: besides duplicates: the killed worker may have ended a video before, whose message it had not deleted yet
NOT_DONE = """
SELECT split_part(worker, '|', 1), outcome FROM executions
WHERE run_id = '{}' AND coalesce(outcome, '') NOT IN ('done', 'duplicate')"""
DONE_BY = """
SELECT count(*) FROM executions WHERE run_id = '{}' AND outcome = 'done' AND worker LIKE '{}%' AND started_at > {}"""
STARTED = "SELECT started_at FROM runs WHERE id = '{}'"


def docker(*words):
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def run(stack):
    """Return the row of the run, its workers by what befell them, and when one got half a CPU."""
    start = running(stack)
    log = (stack.folder / "changing.log").open("w")
    started = subprocess.Popen(["make", *RUN], cwd=stack.folder, env=stack.environment, stdout=log, stderr=log)
    try:
        (run_id,) = until(lambda: running(stack) - start, "the run", 300)
        (first,) = workers(stack)
        assert stack.make("up", "WORKERS=3", "CONCURRENCY=1").returncode == 0
        halved, killed = (each for each in workers(stack) if each["Id"] != first["Id"])
        docker("update", "--cpus", "0.5", halved["Id"])
        since = time.time()
        until(lambda: has_begun(stack, killed), "a video of the worker to be killed", 120)
        docker("kill", "--signal", "KILL", killed["Id"])
        until(lambda: videos(stack, run_id, halved, since) >= 2, "two videos of the worker with half a CPU", 240)
        assert stack.make("up", "WORKERS=1", "CONCURRENCY=1").returncode == 0
        assert started.wait(600) == 0, (stack.folder / "changing.log").read_text()[-3000:]
    finally:
        started.terminate()
        started.wait()
        log.close()
    row = json.loads((stack.folder / f"results/runs/{run_id}/row.json").read_text(encoding="utf-8"))
    named = {"first": first, "halved": halved, "killed": killed}
    return row, {name: each["Config"]["Hostname"] for name, each in named.items()}, since


def running(stack):
    return {row[0] for row in stack.sql("SELECT id FROM runs WHERE status = 'running'")}


def workers(stack):
    return [each for each in stack.containers() if each["Config"]["Labels"]["com.docker.compose.service"] == "worker"]


def has_begun(stack, container):
    return stack.sql(BEGUN.format(container["Config"]["Hostname"])) != [["0"]]


def videos(stack, run_id, container, since):
    return int(stack.sql(DONE_BY.format(run_id, container["Config"]["Hostname"], since))[0][0])


def test_every_video_is_done_once_and_the_killed_execution_is_counted(stack, run):
    row, names, _ = run
    assert (row["count"], row["done"], row["failed"], row["status"]) == (COUNT, COUNT, 0, "finished")
    assert stack.sql(DONE.format(row["run_id"])) == [[str(COUNT)] * 2]
    assert stack.sql(NOT_DONE.format(row["run_id"])) == [[names["killed"], "lost"]]
    assert row["duplicates"] <= 1


def test_the_run_says_that_its_workers_changed(run):
    row, _, _ = run
    assert row["validity"] == "invalid"
    assert {"changed_fleet", "lost_executions"} <= set(row["validity_reasons"])


def test_the_worker_with_half_a_cpu_has_a_quota_and_is_throttled_and_no_other_is(stack, run):
    row, names, _ = run
    halved, past = instance(stack, names["halved"]), f"{math.ceil(time.time() - started_at(stack, row))}s"
    quotas = promql.query(stack.prometheus_url, f"max_over_time(aforo_node_cgroup_cpu_limit_cores[{past}])")
    throttled = promql.query(stack.prometheus_url, f"increase(aforo_node_cgroup_throttled_periods_total[{past}]) > 0")
    assert {each.labels["instance"]: each.value for each in quotas} == {halved: 0.5}
    assert [each.labels["instance"] for each in throttled] == [halved]


def test_the_boards_saw_three_workers_and_each_video_once(stack, run):
    row, _, _ = run
    assert promql.single(stack.prometheus_url, "max_over_time(count(aforo_worker_info)[15m:5s])") == 3
    ended = f'sum(aforo_run_videos{{run_id="{row["run_id"]}", state="done"}})'
    assert promql.single(stack.prometheus_url, ended) == COUNT


def started_at(stack, row):
    return float(stack.sql(STARTED.format(row["run_id"]))[0][0])


def instance(stack, hostname):
    info = f'max_over_time(aforo_worker_info{{worker=~"{hostname}.*"}}[15m])'
    (name,) = {each.labels["instance"] for each in promql.query(stack.prometheus_url, info)}
    return name
