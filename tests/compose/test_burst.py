"""A burst in containers: the row, the series in Prometheus, and the rows in PostgreSQL."""

from __future__ import annotations

import csv
import json
import os
import re
import urllib.request
from importlib.metadata import version

import pytest

from core import promql
from testing.polling import until

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1800)]
COUNT = 6
ENDED = "SELECT count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state = 'failed'), count(*) FROM videos"


@pytest.fixture(scope="module")
def burst(stack):
    ended = stack.make("run-burst", "SIZE=1MB", f"COUNT={COUNT}", "WORKERS=2", "CONCURRENCY=1")
    assert ended.returncode == 0, ended.stderr[-4000:]
    return ended


@pytest.fixture(scope="module")
def row(stack, burst):
    written = list((stack.folder / "results/runs").glob("*/row.json"))
    assert len(written) == 1
    return json.loads(written[0].read_text(encoding="utf-8"))


def test_the_row_counts_every_video_on_two_nodes_of_one_slot(row):
    assert (row["count"], row["done"], row["failed"]) == (COUNT, COUNT, 0)
    assert (row["slots"], row["concurrency"]) == (2, 1)


def test_the_printed_url_opens_the_run_in_prometheus(stack, burst, row):
    page, _, place = (burst.stdout + burst.stderr).rpartition("Prometheus: ")[2].split("\n")[0].partition("#")
    assert (page, place) == (f"{stack.prometheus_url}/consoles/index.html", row["run_id"])
    shown = f'<tr id="{place}" class="{row["validity"]}">'
    until(lambda: shown in read(page), "the page shows the run with its validity")


def read(page):
    with urllib.request.urlopen(page, timeout=10) as answer:
        return answer.read().decode()


def test_table_database_and_recording_rule_agree(stack, row):
    by_hand = "SELECT 60 * count(*) / (max(updated_at) - min(uploaded_at)) FROM videos WHERE state = 'done'"
    rule = f'run_id:aforo_run_videos_per_minute:ratio{{run_id="{row["run_id"]}"}}'
    assert float(stack.sql(by_hand)[0][0]) == pytest.approx(row["x_per_minute"], rel=1e-6)
    assert promql.single(stack.prometheus_url, rule) == pytest.approx(row["x_per_minute"], rel=1e-6)


def test_no_video_is_lost_or_done_twice(stack, row):
    assert stack.sql(ENDED) == [[str(COUNT), "0", str(COUNT)]]
    assert stack.sql("SELECT count(*), count(DISTINCT video_id) FROM executions WHERE outcome = 'done'") == [
        [str(COUNT), str(COUNT)]
    ]
    until(lambda: promql.single(stack.prometheus_url, "sum(queue:aforo_sqs_messages:sum)") == 0, "an empty queue", 40)


def test_both_nodes_worked(stack, row):
    assert len(stack.sql("SELECT DISTINCT node FROM executions")) == 2


def test_two_workers_on_one_machine_do_not_double_its_cores(stack, row):
    with (stack.folder / "results/runs" / row["run_id"] / "resources.csv").open(encoding="utf-8") as file:
        cores = {float(moment["cores"]) for moment in csv.DictReader(file) if moment["cores"]}
    assert cores == {os.cpu_count()}


@pytest.mark.parametrize("moment", ["start", "end"])
def test_the_conditions_of_both_workers_are_known_at_the_start_and_at_the_end(stack, row, moment):
    (environment,) = stack.sql("SELECT environment FROM runs")
    workers = json.loads("|".join(environment))["workers"][moment]
    assert len({worker["instance"] for worker in workers}) == len(workers) == 2
    for worker in workers:
        assert worker["celery"] == version("celery")
        assert re.search(r"\d", worker["ffmpeg"])
        # without a quota the value is `none`, which is known
        assert re.fullmatch(r"none|[\d.]+", worker["cpu_quota_cores"])


def test_every_target_is_up_and_dns_finds_the_workers(stack, row):
    jobs = {s.labels["job"]: s.value for s in promql.query(stack.prometheus_url, "count by (job) (up == 1)")}
    assert jobs == {"worker": 2, "sqs-exporter": 1, "db-exporter": 1, "celery-exporter": 1, "prometheus": 1}
    assert promql.query(stack.prometheus_url, "up == 0") == []


def test_celery_exporter_saw_the_tasks(stack, row):
    succeeded = lambda: promql.single(stack.prometheus_url, "sum(celery_task_succeeded_total)")  # noqa: E731
    until(lambda: succeeded() == COUNT, "celery-exporter's last success", 40)
