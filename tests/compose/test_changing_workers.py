"""A paced run whose workers change from 1 to 3 to 1, one with half a CPU and one killed, in containers."""

from __future__ import annotations

import json
import math
import subprocess
import time

import pytest

from core import promql
from grafana.dashboard_files import FOLDERS
from grafana.expressions import expressions, filled
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
#: videos that a worker did: when they ended, their seconds and CPU seconds, and their number in the worker
DONE_BY_WORKER = """
SELECT ended_at, transcode_seconds, ffmpeg_cpu_seconds, row_number() OVER (PARTITION BY worker ORDER BY ended_at)
FROM executions WHERE outcome = 'done' AND worker LIKE '{}%' ORDER BY ended_at"""
ENDS = "SELECT ended_at FROM executions WHERE run_id = '{}' AND outcome = 'done'"
OUTCOMES = "SELECT outcome, count(*) FROM executions WHERE run_id = '{}' GROUP BY outcome"
STARTED = "SELECT started_at FROM runs WHERE id = '{}'"
#: the window of the boards' rates
RATE_SECONDS = 60
#: how long after the end of a video the database exporter has counted it
LATE_SECONDS = 10
#: how long before and after the end of a video Prometheus may get its seconds from the worker
BEFORE_SECONDS, AFTER_SECONDS = 2, 3


def docker(*words):
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def run(stack):
    """Return the row of the run, its workers by what befell them, and when two of them were told to leave."""
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
        left = time.time()
        assert stack.make("up", "WORKERS=1", "CONCURRENCY=1").returncode == 0
        assert started.wait(600) == 0, (stack.folder / "changing.log").read_text()[-3000:]
    finally:
        started.terminate()
        started.wait()
        log.close()
    row = json.loads((stack.folder / f"results/runs/{run_id}/row.json").read_text(encoding="utf-8"))
    named = {"first": first, "halved": halved, "killed": killed}
    return row, {name: each["Config"]["Hostname"] for name, each in named.items()}, left


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


def test_the_run_board_saw_three_workers_and_each_video_once(stack, run):
    row, _, _ = run
    (slots,) = shown(stack, row, "aforo-run", "Busy slots", "B")
    numbers = [number for _, number in slots.points]
    assert (numbers[0], max(numbers), numbers[-1]) == (1, 3, 1)
    (progress,) = shown(stack, row, "aforo-run", "Progress")
    (rate,) = shown(stack, row, "aforo-run", "X (videos/min)")
    assert (progress.points[-1][1], rate.points[-1][1]) == (1, row["x_per_minute"])
    outcomes = {s.labels["outcome"]: s.points[-1][1] for s in shown(stack, row, "aforo-run", "Executions")}
    counted = {outcome: int(count) for outcome, count in stack.sql(OUTCOMES.format(row["run_id"]))}
    assert {outcome: number for outcome, number in outcomes.items() if number} == counted


def test_the_run_board_counted_the_videos_while_they_were_done(stack, run):
    row, _, _ = run
    ends = [float(end) for (end,) in stack.sql(ENDS.format(row["run_id"]))]
    states = {series.labels["state"]: series.points for series in shown(stack, row, "aforo-run", "Videos by state")}
    assert states["done"][-1][1] == COUNT
    wrong = [(at, n) for at, n in states["done"] if not ended(ends, at - LATE_SECONDS) <= n <= ended(ends, at + 1)]
    assert wrong == []


@pytest.mark.parametrize("name", ["first", "halved"])
def test_the_worker_board_shows_the_seconds_and_the_cpu_of_the_worker_that_is_chosen(stack, run, name):
    row, names, left = run
    done = [[float(value) for value in line] for line in stack.sql(DONE_BY_WORKER.format(names[name]))]
    # a worker that stops may do a last video that is never scraped
    end = min((each[0] for each in done if each[0] > left), default=time.time())
    options = {"end": end, "instance": instance(stack, names[name])}
    stages = shown(stack, row, "aforo-worker", "Mean by stage", **options)
    (transcode,) = (each for each in stages if each.labels["stage"] == "transcode")
    (cpu,) = shown(stack, row, "aforo-worker", "CPU per video (s)", **options)
    # a histogram with labels begins with the first video of its worker, so a rate does not see that video
    check_means(transcode, {at: seconds for at, seconds, _, number in done if number > 1}, RATE_SECONDS)
    check_means(cpu, {at: seconds for at, _, seconds, _ in done}, math.ceil(end - started_at(stack, row)))


def check_means(series, videos, window_seconds):
    """Assert that each point is the mean of the videos in its window. Points with a video at an edge are left out."""
    compared = []
    for at, value in series.points:
        edges = (at - window_seconds, at)
        inside = [seconds for ended_at, seconds in videos.items() if edges[0] < ended_at <= at]
        near = any(-BEFORE_SECONDS < edge - ended_at < AFTER_SECONDS for edge in edges for ended_at in videos)
        if inside and not near:
            compared.append((value, sum(inside) / len(inside)))
    assert compared
    assert [value for value, _ in compared] == pytest.approx([mean for _, mean in compared], rel=0.05)


def shown(stack, row, board, panel, ref_id="A", end=None, **chosen):
    """Return the series of a query of a board from the start of the run, one point a second, as Grafana asks for it."""
    start, end = started_at(stack, row), end or time.time()
    path = FOLDERS["en"] / f"{board}.json"
    every = expressions(json.loads(path.read_text(encoding="utf-8")))
    (text,) = (each.text for each in every if (each.panel, each.ref_id) == (panel, ref_id))
    values = {"run_id": row["run_id"], "__range": f"{math.ceil(end - start)}s", "__rate_interval": f"{RATE_SECONDS}s"}
    return promql.query_range(stack.prometheus_url, filled(text, values | chosen), start, end, 1.0)


def started_at(stack, row):
    return float(stack.sql(STARTED.format(row["run_id"]))[0][0])


def instance(stack, hostname):
    info = f'max_over_time(aforo_worker_info{{worker=~"{hostname}.*"}}[15m])'
    (name,) = {each.labels["instance"] for each in promql.query(stack.prometheus_url, info)}
    return name


def ended(ends, at):
    return sum(end <= at for end in ends)
