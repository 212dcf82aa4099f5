"""Results of the dashboards' expressions on given series. promtool evaluates the expressions."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from capacity.runs.resource_samples import COUNTERS, GAUGES
from core.promql import summed_over_machines
from grafana.board import Row, placed
from grafana.boards import BOARDS
from grafana.boards.choices import QUEUES
from grafana.expressions import filled
from injector.worker_fleet import BANDWIDTH_LIMIT
from tests.prometheus.promtools import PROMTOOLS

pytestmark = pytest.mark.skipif(not PROMTOOLS, reason="promtool is not installed (Debian: prometheus)")
RULES = sorted(str(path) for path in (Path(__file__).parents[2] / "prometheus/rules").glob("*.yml"))
CHOSEN = {"run_id": "r", "stage": "transcode", "queue": "videos", "job": "prometheus", "__range": "5m"}


def panels_of(uid):
    board = next(each for each in BOARDS if each.uid == uid)
    return [part for part, _ in placed(board) if not isinstance(part, Row)]


def queries(uid, title):
    """Return a panel's expressions in the form that Grafana would send."""
    return [
        filled(query.expr, CHOSEN) for panel in panels_of(uid) if panel.title.en == title for query in panel.queries
    ]


def on_the_live_page(metric):
    """Return the only query of the live page that reads `metric`."""
    page = (Path(RULES[0]).parents[1] / "consoles/index.html").read_text(encoding="utf-8")
    (expression,) = [text for text in re.findall(r'query "([^"]+)"', page) if metric in text]
    return expression


@pytest.fixture
def answers(tmp_path):
    """Return a function that checks the results of expressions to 0.001.

    The samples are 15 s apart.
    """

    def check(series, expected, at="10m"):
        tests = [
            {
                "expr": f"round({text}, 0.001)",
                "eval_time": at,
                "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
            }
            for text, samples in expected
        ]
        inputs = [{"series": name, "values": values} for name, values in series.items()]
        case = {"interval": "15s", "input_series": inputs, "promql_expr_test": tests}
        file = tmp_path / "answers.yml"
        file.write_text(yaml.safe_dump({"rule_files": RULES, "evaluation_interval": "5s", "tests": [case]}))
        for promtool in PROMTOOLS:
            done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr

    return check


def machines(**figures):
    """Return equal samples of three workers on one machine and one worker on another."""
    hosts = {"a": "one", "b": "one", "c": "one", "d": "other"}
    samples = {f'aforo_node_info{{instance="{worker}",host="{host}"}}': "1x60" for worker, host in hosts.items()}
    for name, (labels, values) in figures.items():
        samples |= {f'{name}{{instance="{worker}"{labels}}}': values for worker in hosts}
    return samples


MACHINES = machines(
    aforo_node_cores=("", "2x60"),
    aforo_node_cpu_seconds_total=(',mode="user"', "0+15x60"),
    aforo_node_oom_kills_total=("", "0+1x60"),
    aforo_node_swap_in_bytes_total=("", "0+15x60"),
    aforo_node_disk_bytes_total=(',direction="read"', "0+150x60"),
    aforo_node_bandwidth_limit_bytes_per_second=(',resource="disk_read"', "100x60"),
)
MEMORY = {kind: machines(aforo_node_memory_bytes=(f',kind="{kind}"', "8x60")) for kind in ("available", "total")}


def test_a_machine_counts_once_on_the_bottleneck_board_however_many_workers_it_has(answers):
    (cpu, cores), (disk, ceiling) = (queries("aforo-bottleneck", title) for title in ("CPU", "Disk"))
    free, total, swapped = queries("aforo-bottleneck", "Memory and OOM kills")
    programs, _slots, limit = queries("aforo-bottleneck", "Slots and cores")
    (killed,) = queries("aforo-bottleneck", "OOM kills")
    answers(
        MACHINES | MEMORY["available"] | MEMORY["total"],
        [
            (cpu, {'{mode="user"}': 2}),
            (cores, {"{}": 4}),
            (limit, {"{}": 4}),
            (programs, {"{}": 2}),
            (disk, {'{direction="read"}': 20}),
            (ceiling, {'{resource="disk_read"}': 200}),
            (free, {"{}": 16}),
            (total, {"{}": 16}),
            (swapped, {"{}": 2 * 60}),
            (killed, {"{}": 2 * 20}),
        ],
    )


def test_a_machine_counts_once_in_the_report_and_in_the_record_of_the_injector(answers):
    answers(
        MACHINES,
        [
            (COUNTERS["cpu"], {'{mode="user"}': 2 * 600}),
            (COUNTERS["disk"], {'{direction="read"}': 2 * 6000}),
            (COUNTERS["swap"], {"{}": 2 * 600}),
            (GAUGES["cores"], {"{}": 4}),
            (GAUGES["ceiling"], {'{resource="disk_read"}': 200}),
            (summed_over_machines(BANDWIDTH_LIMIT, "resource"), {'{resource="disk_read"}': 200}),
        ],
    )


def test_messages_of_other_queues_do_not_count_for_the_run(answers):
    waiting, taken, dead = queries("aforo-capacity", "Queue now")
    visible, in_flight = queries("aforo-run", "Queue")
    (dead_lettered,) = queries("aforo-worker", "Dead-lettered messages")
    series = {'aforo_worker_queue_info{instance="a",queue="videos"}': "1x60"}
    for queue, values in (("videos", ("5x60", "2x60", "1x60")), ("of-others", ("500x60", "70x60", "9x60"))):
        for name, value in zip(("messages_visible", "messages_in_flight", "dead_letter_messages"), values, strict=True):
            series[f'aforo_sqs_{name}{{queue="{queue}"}}'] = value
    answers(
        series,
        [
            (waiting, {"{}": 5}),
            (visible, {"{}": 5}),
            (taken, {"{}": 2}),
            (in_flight, {"{}": 2}),
            (dead, {"{}": 1}),
            (dead_lettered, {"{}": 1}),
            (QUEUES, {'{queue="videos"}': 1, '{queue="of-others"}': 0}),
            (GAUGES["messages"], {"{}": 7}),
            (on_the_live_page("aforo_sqs_messages_visible"), {'{queue="videos"}': 5}),
        ],
    )


def test_alerts_of_other_programs_are_not_counted(answers):
    (firing,) = queries("aforo-capacity", "Firing alerts")
    ours = 'ALERTS{alertname="TargetDown",alertstate="firing",product="aforo"}'
    theirs = {'ALERTS{alertname="Watchdog",alertstate="firing"}': "1x60"}
    answers(theirs | {ours: "1x60"}, [(firing, {"{}": 1})])
    answers(theirs, [(firing, {"{}": 0})])


def test_stage_shares_are_shares_of_time_and_add_up_to_one(answers):
    (share,) = queries("aforo-worker", "Time by stage")
    stage = 'aforo_worker_stage_seconds_sum{{instance="{}",task="t",stage="{}"}}'
    series = {stage.format("a", "transcode"): "0+6x60", stage.format("b", "transcode"): "0+3x60"}
    answers(
        series | {stage.format("a", "fetch"): "0+1x60"},
        [(share, {'{stage="transcode"}': 0.9, '{stage="fetch"}': 0.1})],
    )


def test_rate_errors_and_duration_are_shown_by_task(answers):
    (rate,), (failed,) = queries("aforo-worker", "Rate by task"), queries("aforo-worker", "Failures by task")
    mean, _p95, _wait = queries("aforo-worker", "Duration by task")
    series = {
        'aforo_worker_tasks_total{instance="a",task="t",outcome="succeeded"}': "0+3x60",
        'aforo_worker_tasks_total{instance="a",task="t",outcome="failed"}': "0+1x60",
        'aforo_worker_tasks_total{instance="a",task="u",outcome="succeeded"}': "0+1x60",
        'aforo_worker_tasks_total{instance="a",task="u",outcome="failed"}': "0x60",
        'aforo_worker_task_seconds_sum{instance="a",task="t",outcome="succeeded"}': "0+12x60",
        'aforo_worker_task_seconds_count{instance="a",task="t",outcome="succeeded"}': "0+3x60",
    }
    answers(
        series,
        [
            (rate, {'{task="t"}': 16, '{task="u"}': 4}),
            (failed, {'{task="t"}': 0.25, '{task="u"}': 0}),
            (mean, {'{task="t"}': 4}),
        ],
    )


def test_celery_exporter_is_compared_over_the_range_whenever_each_started_counting(answers):
    started, started_events, returned, returned_events = queries("aforo-worker", "Comparison with celery-exporter")
    series = {
        'aforo_worker_tasks_started_total{instance="a",task="t"}': "0+1x60",
        'celery_task_started_total{hostname="h",name="t"}': "1000+1x60",
        'aforo_worker_tasks_total{instance="a",task="t",outcome="succeeded"}': "0+1x60",
        'celery_task_succeeded_total{hostname="h",name="t"}': "900+1x60",
    }
    answers(series, [(text, {"{}": 20}) for text in (started, started_events, returned, returned_events)])


def test_the_age_of_queue_data_counts_from_the_last_answer_not_the_last_scrape(answers):
    database, queues = queries("aforo-stack-health", "Age of the data")
    (duration,) = queries("aforo-stack-health", "Duration of a collection")
    series = {'aforo_sqs_last_success_timestamp_seconds{queue="videos"}': "60x60"}
    for collector in ("db", "sqs", "waiting"):
        series[f'aforo_exporter_last_success_timestamp_seconds{{collector="{collector}"}}'] = "0+15x60"
        series[f'aforo_exporter_collector_duration_seconds{{collector="{collector}"}}'] = "0.2x60"
    answers(
        series,
        [
            (database, {'{collector="db"}': 0}),
            (queues, {'{queue="videos"}': 540}),
            (duration, {'{collector="db"}': 0.2}),
        ],
    )


def runs(**series):
    """Return the info series of each run, and its series of recording rules by rule."""
    samples = {}
    for name, figures in series.items():
        samples[f'aforo_run_info{{run_id="{name}",size="50MB",concurrency="2",mode="burst"}}'] = figures["info"]
        samples |= {f'run_id:{rule}{{run_id="{name}"}}': values for rule, values in figures.items() if rule != "info"}
    return samples


def test_a_run_stays_in_the_table_while_the_exporter_restarts_and_an_active_run_shows_its_current_values(answers):
    facts, x, *_ = queries("aforo-capacity", "Results")
    figure = "aforo_run_videos_per_minute:ratio"
    series = runs(
        ended={"info": "1x20 stale", figure: "7x20 stale"},
        running={"info": "1x60", figure: "0+1x60"},
    )
    labels = '{{run_id="{}",size="50MB",concurrency="2",mode="burst"}}'
    answers(
        series,
        [
            (facts, {labels.format("ended"): 1, labels.format("running"): 1}),
            (x, {'{run_id="ended"}': 7, '{run_id="running"}': 36}),
        ],
        at="9m",
    )
    answers(series, [(x, {'{run_id="running"}': 48})], at="12m")


def test_the_table_over_a_day_reads_only_minutes_of_each_run():
    """A day has 86,400 samples per run and column. A query over 200 runs would take seconds."""
    ranges = [re.findall(r"\[(\w+)", query.expr) for panel in panels_of("aforo-capacity") for query in panel.queries]
    assert {duration for durations in ranges for duration in durations} == {"5m"}


def test_a_cells_bar_is_the_mean_of_its_complete_bursts(answers):
    (mean,) = queries("aforo-capacity", "X by concurrency")
    figure, whole = "aforo_run_videos_per_minute:ratio", "aforo_run_complete:bool"
    series = runs(
        one={"info": "1x60", figure: "6x60", whole: "1x60"},
        two={"info": "1x60", figure: "8x60", whole: "1x60"},
        cut_short={"info": "1x60", figure: "1x60"},
    )
    answers(series, [(mean, {'{size="50MB",concurrency="2"}': 7})])
