"""Results of the dashboards' expressions on given series. promtool evaluates the expressions."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from aforo.telemetry import catalogue
from capacity.estimators.interval import Interval
from capacity.runs.resource_samples import expressions
from capacity.table.cells import fill
from core.promql import summed_over_machines
from core.worker_conditions import of_queue
from grafana.board import Row, placed
from grafana.boards import BOARDS
from grafana.boards.choices import QUEUES
from grafana.boards.run_figures import BURSTS, LONGEST_BURSTS, ORDER
from grafana.dashboard_files import FOLDERS
from grafana.expressions import filled, metric_names
from grafana.wording import BOTTLENECKS
from injector.worker_fleet import BANDWIDTH_LIMIT
from tests.capacity.result_rows import row
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
    (cpu, cores, busy), (disk, ceiling, near, *_write) = (
        queries("aforo-bottleneck", title) for title in ("CPU", "Disk")
    )
    free, total, swapped = queries("aforo-bottleneck", "Memory and swap")
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
            (busy, {"{}": 0.9 * 4}),
            (ceiling, {"{}": 200}),
            (near, {"{}": 0.8 * 200}),
            (free, {"{}": 16}),
            (total, {"{}": 16}),
            (swapped, {"{}": 2 * 60}),
            (killed, {"{}": 2 * 20}),
        ],
    )


EXPORTERS_OF_TWO_STACKS = {
    f'aforo_exporter_collector_success{{instance="{stack}",collector="{kind}"}}': "1x60"
    for stack in ("ours", "theirs")
    for kind in ("sqs", "waiting")
}


def test_a_missing_exporter_of_a_kind_is_unknown_however_many_there_are_of_the_others(answers):
    (cannot_read,) = queries("aforo-stack-health", "Exporters that cannot read")
    answers(EXPORTERS_OF_TWO_STACKS, [(cannot_read, {})])
    answers(
        EXPORTERS_OF_TWO_STACKS | {'aforo_exporter_collector_success{instance="ours",collector="db"}': "1x60"},
        [(cannot_read, {"{}": 0})],
    )


def test_a_machine_counts_once_in_the_report_and_in_the_record_of_the_injector(answers):
    answers(
        MACHINES,
        [
            (expressions(None)["cpu"], {'{mode="user"}': 2 * 600}),
            (expressions(None)["disk"], {'{direction="read"}': 2 * 6000}),
            (expressions(None)["swap"], {"{}": 2 * 600}),
            (expressions(None)["cores"], {"{}": 4}),
            (expressions(None)["ceiling"], {'{resource="disk_read"}': 200}),
            (summed_over_machines(BANDWIDTH_LIMIT, "resource"), {'{resource="disk_read"}': 200}),
        ],
    )


def test_exporters_and_prometheus_count_one_by_one_where_they_have_the_address_of_a_worker(answers):
    """One by one, because a scrape that fails must not look like a counter that started again."""
    answers(
        {
            'aforo_node_info{instance="10.0.0.1:9101",host="one"}': "1x60",
            'aforo_node_info{instance="10.0.0.1:9105",host="one"}': "1x60",
            'aforo_exporter_cpu_seconds_total{instance="10.0.0.1:9102",job="sqs-exporter"}': "0+1x60",
            'aforo_exporter_cpu_seconds_total{instance="10.0.0.9:9102",job="sqs-exporter"}': "0+3x60",
            'process_cpu_seconds_total{instance="10.0.0.1:9090",job="prometheus"}': "0+2x60",
            'process_cpu_seconds_total{instance="10.0.0.1:9100",job="of-others"}': "0+5x60",
        },
        [(expressions(None)["exporters"], {'{instance="10.0.0.1:9102"}': 40, '{instance="10.0.0.1:9090"}': 80})],
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
            (QUEUES, {'{queue="videos"}': 1, '{queue="of-others"}': -1}),
            (expressions(None)["messages"], {"{}": 7}),
            (on_the_live_page("aforo_sqs_messages_visible"), {'{queue="videos"}': 5}),
        ],
    )


def test_a_run_sees_the_messages_workers_and_machines_of_its_queue_only(answers):
    series = {}
    for queue, address, size in (("videos", "10.0.0.1:9101", 1), ("of-others", "10.0.0.2:9101", 100)):
        labels = f'instance="{address}",job="worker"'
        series |= {
            f'aforo_worker_queue_info{{queue="{queue}",{labels}}}': "1x60",
            f'aforo_node_info{{host="{address}",{labels}}}': "1x60",
            f"aforo_node_cores{{{labels}}}": f"{2 * size}x60",
            f"aforo_worker_cpu_seconds_total{{{labels}}}": f"0+{size}x60",
            f"aforo_node_clock_timestamp_seconds{{{labels}}}": f"{size}+15x60",
            f'aforo_sqs_messages_visible{{queue="{queue}"}}': f"{5 * size}x60",
            f'aforo_sqs_messages_in_flight{{queue="{queue}"}}': f"{size}x60",
        }
    mine, all_ = expressions("videos"), expressions(None)
    answers(
        series,
        [
            (mine["cores"], {"{}": 2}),
            (mine["worker"], {"{}": 40}),
            (mine["messages"], {"{}": 6}),
            (mine["clock_ahead"], {"{}": 1}),
            (all_["cores"], {"{}": 202}),
            (all_["messages"], {"{}": 606}),
        ],
    )


@pytest.mark.parametrize(
    ("queues", "cores"),
    [(["videos"], 2), (["jobs"], None), (["jobs", "videos"], 2), ([], 2)],
    ids=["its own", "another", "both", "unknown"],
)
def test_a_worker_counts_for_a_queue_that_it_reads_and_for_every_queue_if_it_names_none(answers, queues, cores):
    labels = 'instance="10.0.0.1:9101",job="worker"'
    series = {f"aforo_node_cores{{{labels}}}": "2x60", f'aforo_node_info{{host="one",{labels}}}': "1x60"}
    series |= {f'aforo_worker_queue_info{{queue="{queue}",{labels}}}': "1x60" for queue in queues}
    answers(series, [(expressions("videos")["cores"], {} if cores is None else {"{}": cores})])
    kept = {} if cores is None else {f"{{{labels}}}": cores}
    answers(series, [(of_queue("aforo_node_cores", "videos"), kept)])


def test_the_queue_of_the_runs_can_be_chosen_while_no_worker_and_no_sqs_exporter_answers(answers):
    answers({'aforo_videos{queue="videos",state="done"}': "1x60"}, [(QUEUES, {'{queue="videos"}': 0})])


def test_the_age_of_the_data_is_unknown_while_an_exporter_is_gone(answers):
    (age,) = queries("aforo-stack-health", "Greatest age of the data")
    database = {'aforo_exporter_last_success_timestamp_seconds{collector="db"}': "590x60"}
    queue = {'aforo_sqs_last_success_timestamp_seconds{queue="videos"}': "570x60"}
    answers(database | queue, [(age, {"{}": 30})])
    for one in (database, queue):
        answers(one, [(f"count(({age}) != ({age}))", {"{}": 1})])


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
    """Return the series of each run: info, validity, number of videos, and those of recording rules by rule."""
    samples, apart = {}, {"info", "profile", "queue", "validity", "videos"}
    for name, figures in series.items():
        queue, validity = figures.get("queue", "videos"), figures.get("validity", "valid")
        profile = figures.get("profile", "full")
        labels = f'size="50MB",concurrency="2",mode="burst",profile="{profile}",app="aforo",queue="{queue}"'
        samples[f'aforo_run_info{{run_id="{name}",{labels}}}'] = figures["info"]
        samples[f'aforo_run_validity_info{{run_id="{name}",validity="{validity}",reasons=""}}'] = figures["info"]
        samples[f'aforo_run_expected_videos{{run_id="{name}"}}'] = figures.get("videos", "8x60")
        samples |= {
            f'run_id:{rule}{{run_id="{name}"}}': values for rule, values in figures.items() if rule not in apart
        }
    return samples


def test_a_run_stays_in_the_table_while_the_exporter_restarts_and_an_active_run_shows_its_current_values(answers):
    facts, _state, _validity, x, *_ = queries("aforo-capacity", "Results")
    figure = "aforo_run_videos_per_minute:ratio"
    series = runs(
        ended={"info": "1x20 stale", figure: "7x20 stale"},
        running={"info": "1x60", figure: "0+1x60"},
        theirs={"info": "1x60", figure: "99x60", "queue": "of-others"},
    )
    labels = '{{run_id="{}",size="50MB",concurrency="2",mode="burst",profile="full",app="aforo"}}'
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
    ranges = [
        re.findall(r"\[(\d+[a-z])\]", query.expr) for panel in panels_of("aforo-capacity") for query in panel.queries
    ]
    assert {duration for durations in ranges for duration in durations} == {"5m"}


def test_the_means_of_cells_read_their_bursts_from_one_recording_rule():
    """Joining status, videos and validity in each query took 1.6 s of CPU per refresh with 200 runs."""
    titles = {"Capacity: X_sat", "95 % interval", "Limited by", "Validity", "X by concurrency"}
    shown = [query.expr for p in panels_of("aforo-capacity") if p.title.en in titles for query in p.queries]
    assert len(shown) == 7
    for text in shown:
        assert len({BURSTS, LONGEST_BURSTS} & metric_names(text)) == 1
        assert "run_id:aforo_run_complete:bool" not in metric_names(text)


def test_x_of_a_cell_is_the_mean_of_its_longest_complete_bursts(answers):
    (bar,), (*_others, column, _limited, _trust) = (
        queries("aforo-capacity", title) for title in ("X by concurrency", "Cells")
    )
    figure, whole = "aforo_run_videos_per_minute:ratio", "aforo_run_complete:bool"
    series = runs(
        one={"info": "1x60", figure: "6x60", whole: "1x60"},
        two={"info": "1x60", figure: "8x60", whole: "1x60"},
        short={"info": "1x60", figure: "3x60", whole: "1x60", "videos": "4x60"},
        cut_short={"info": "1x60", figure: "1x60"},
        theirs={"info": "1x60", figure: "90x60", whole: "1x60", "queue": "of-others"},
        indicative={"info": "1x60", figure: "20x60", whole: "1x60", "validity": "indicative"},
        invalid={"info": "1x60", figure: "50x60", whole: "1x60", "validity": "invalid"},
    )
    labels = 'size="50 MB",concurrency="2",profile="full",app="aforo"'
    answers(series, [(bar, {f'{{{labels},series="50 MB"}}': 7}), (column, {f'{{{labels},cell="50 MB · 2"}}': 7})])


def cell(capacity, validity, **labels):
    """Return the series of one complete and reported burst that has the labels `labels`."""
    run = "-".join((validity, *labels.values(), str(capacity)))

    def series(name, value="1x60", **more):
        values = {"run_id": run, **more}
        return {name + "{" + ",".join(f'{label}="{text}"' for label, text in values.items()) + "}": value}

    usual = {"size": "50MB", "mode": "burst", "profile": "full", "app": "aforo", "queue": "videos"}
    samples = series("aforo_run_info", **usual | labels)
    samples |= series("aforo_run_validity_info", validity=validity)
    samples |= series("aforo_run_expected_videos", "8x60")
    samples |= series("run_id:aforo_run_complete:bool")
    samples |= series("run_id_kind_verdict:aforo_run_verdict:max", kind="bottleneck", verdict="cpu")
    for bound, value in (("lower", capacity - 1), ("estimate", capacity), ("upper", capacity + 1)):
        samples |= series("run_id_bound:aforo_run_capacity_videos_per_minute:max", f"{value}x60", bound=bound)
    return samples


def test_the_answer_is_the_best_cell_of_valid_runs_and_says_what_limits_it(answers):
    (best,), (*bounds, without), (limited,), (trust,) = (
        queries("aforo-capacity", title) for title in ("Capacity: X_sat", "95 % interval", "Limited by", "Validity")
    )
    series = {
        **cell(6, "valid", concurrency="2"),
        **cell(8, "valid", concurrency="2"),
        **cell(5, "valid", concurrency="4"),
        **cell(70, "invalid", concurrency="4"),
        **cell(60, "indicative", concurrency="2"),
        **cell(90, "invalid", concurrency="8"),
        **cell(99, "valid", concurrency="8", queue="of-others"),
    }
    labels = '{size="50 MB",concurrency="2",profile="full",app="aforo"}'
    numbered = '{size="50 MB",concurrency="2",profile="full",app="aforo",bottleneck="cpu"}'
    answers(
        series,
        [
            (best, {labels: 6.928}),  # √(6 · 8)
            (bounds[0], {}),
            (bounds[1], {}),
            (without, {labels: -1}),
            (limited, {numbered: list(BOTTLENECKS).index("cpu")}),
            (trust, {labels: 2}),
        ],
    )


def test_several_nodes_are_a_cell_of_their_own_and_no_bar_among_those_of_one_node(answers):
    (best,), (mean,) = (queries("aforo-capacity", title) for title in ("Capacity: X_sat", "X by concurrency"))
    x = "run_id:aforo_run_videos_per_minute:ratio"
    series = {
        **cell(6, "valid", concurrency="2"),
        **cell(15, "valid", concurrency="2×3"),
        f'{x}{{run_id="valid-2-6"}}': "5x60",
        f'{x}{{run_id="valid-2×3-15"}}': "14x60",
    }
    three = '{size="50 MB",concurrency="2×3",profile="full",app="aforo"}'
    one = '{size="50 MB",concurrency="2",profile="full",app="aforo",series="50 MB"}'
    answers(series, [(best, {three: 15}), (mean, {one: 5})])


def test_an_indicative_cell_answers_only_where_no_valid_one_does_and_an_invalid_one_never(answers):
    (best,), (trust,) = (queries("aforo-capacity", title) for title in ("Capacity: X_sat", "Validity"))
    answers(
        {**cell(6, "indicative", concurrency="2"), **cell(90, "invalid", concurrency="4")},
        [
            (best, {'{size="50 MB",concurrency="2",profile="full",app="aforo"}': 6}),
            (trust, {'{size="50 MB",concurrency="2",profile="full",app="aforo"}': 1}),
        ],
    )
    answers(
        cell(90, "invalid", concurrency="4"), [(best, {}), (trust, {'{size="50 MB",profile="full",app="aforo"}': 0})]
    )


@pytest.mark.parametrize(
    "capacities", [(6,), (6, 8), (6, 8, 7), (6, 8, 7, 6.5, 9)], ids=lambda runs: f"{len(runs)} runs"
)
def test_x_sat_and_interval_of_a_cell_are_those_of_the_result_table(answers, capacities):
    runs = tuple(row(str(x), x_sat_per_minute=x, x_sat_interval=Interval(x - 1, x + 1)) for x in capacities)
    (of_table,) = fill(runs)
    # two indicative runs would have no interval, one would; neither may show through a valid cell without one
    series = cell(50, "indicative", concurrency="2")
    for x in capacities:
        series |= cell(x, "valid", concurrency="2")
    interval = of_table.x_sat_interval
    bounds = (None, None) if interval is None else (interval.low, interval.high)
    assert (interval is None) is (len(capacities) == 2)
    tile, (*ends, no_interval) = (queries("aforo-capacity", title) for title in ("Capacity: X_sat", "95 % interval"))
    _facts, *columns, _x, _limited, _trust = queries("aforo-capacity", "Cells")
    labels = 'size="50 MB",concurrency="2",profile="full",app="aforo"'
    expected = [of_table.x_sat, *bounds]
    for texts, shown in (((*tile, *ends), f"{{{labels}}}"), (columns, f'{{{labels},cell="50 MB · 2"}}')):
        # as a ratio, because the quantile of t is 0.03 % off
        answers(
            series,
            [
                (text, {}) if figure is None else (f"({text}) / {figure}", {shown: 1})
                for text, figure in zip(texts, expected, strict=True)
            ],
        )
    answers(series, [(no_interval, {f"{{{labels}}}": -1} if interval is None else {})])
    lower, width, without, _order = queries("aforo-capacity", "X_sat and interval")
    bar = '{cell="50 MB · 2"}'
    if interval is None:
        answers(series, [(lower, {}), (width, {}), (f"({without}) / {of_table.x_sat}", {bar: 1})])
    else:
        size = interval.high - interval.low
        answers(series, [(f"({lower}) / {interval.low}", {bar: 1}), (f"({width}) / {size}", {bar: 1}), (without, {})])


#: A run of an app stores the app's name as its profile.
MINE = {"profile": "mine", "app": "mine"}


def test_each_app_has_cells_and_an_answer_of_its_own(answers):
    series = {**cell(6, "valid", concurrency="2"), **cell(9, "valid", concurrency="2", **MINE)}
    runs = "6", "mine-mine-9"
    series |= {f'run_id:aforo_run_videos_per_minute:ratio{{run_id="valid-2-{run}"}}': "5x60" for run in runs}
    (best,), (lower, *_rest), (limited,), (trust,), (by_concurrency,) = (
        queries("aforo-capacity", title)
        for title in ("Capacity: X_sat", "95 % interval", "Limited by", "Validity", "X by concurrency")
    )
    _facts, x_sat, *_columns = queries("aforo-capacity", "Cells")
    ours, theirs = (
        '{size="50 MB",concurrency="2",profile="full",app="aforo"',
        '{size="50 MB",concurrency="2",profile="mine",app="mine",of_profile=" · mine"',
    )
    number = list(BOTTLENECKS).index("cpu")
    answers(
        series,
        [
            (best, {f"{ours}}}": 6, f"{theirs}}}": 9}),
            (lower, {f"{ours}}}": 5, f"{theirs}}}": 8}),
            (limited, {f'{ours},bottleneck="cpu"}}': number, f'{theirs},bottleneck="cpu"}}': number}),
            (trust, {f"{ours}}}": 2, f"{theirs}}}": 2}),
            (by_concurrency, {f'{ours},series="50 MB"}}': 5, f'{theirs},series="50 MB · mine"}}': 5}),
            (x_sat, {f'{ours},cell="50 MB · 2"}}': 6, f'{theirs},cell="50 MB · 2 · mine"}}': 9}),
        ],
    )


def test_each_profile_has_cells_and_an_answer_of_its_own(answers):
    """`make table` never averages bursts of `full` and `showcase`, so the dashboard must not either."""
    x = "run_id:aforo_run_videos_per_minute:ratio"
    series = {**cell(6, "valid", concurrency="2"), **cell(24, "valid", concurrency="2", profile="showcase")}
    series |= {f'{x}{{run_id="valid-2-6"}}': "5x60", f'{x}{{run_id="valid-2-showcase-24"}}': "20x60"}
    (best,), (lower, upper, _without), (limited,), (trust,), (by_concurrency,) = (
        queries("aforo-capacity", title)
        for title in ("Capacity: X_sat", "95 % interval", "Limited by", "Validity", "X by concurrency")
    )
    low, width, _without, _order = queries("aforo-capacity", "X_sat and interval")
    rows, x_sat, *_columns, trust_of_cell = queries("aforo-capacity", "Cells")
    full, showcase = (
        '{size="50 MB",concurrency="2",profile="full",app="aforo"',
        '{size="50 MB",concurrency="2",profile="showcase",app="aforo",of_profile=" · showcase"',
    )
    of_full, of_showcase = '{cell="50 MB · 2"}', '{cell="50 MB · 2 · showcase"}'
    number = list(BOTTLENECKS).index("cpu")
    answers(
        series,
        [
            (best, {f"{full}}}": 6, f"{showcase}}}": 24}),
            (lower, {f"{full}}}": 5, f"{showcase}}}": 23}),
            (upper, {f"{full}}}": 7, f"{showcase}}}": 25}),
            (limited, {f'{full},bottleneck="cpu"}}': number, f'{showcase},bottleneck="cpu"}}': number}),
            (trust, {f"{full}}}": 2, f"{showcase}}}": 2}),
            (by_concurrency, {f'{full},series="50 MB"}}': 5, f'{showcase},series="50 MB · showcase"}}': 20}),
            (low, {of_full: 5, of_showcase: 23}),
            (width, {of_full: 2, of_showcase: 2}),
            (f"sum by (cell) ({rows})", {of_full: 1, of_showcase: 1}),
            (f"sum by (cell) ({x_sat})", {of_full: 6, of_showcase: 24}),
            (f"sum by (cell) ({trust_of_cell})", {of_full: 2, of_showcase: 2}),
        ],
    )


def test_a_cells_bar_does_not_mix_profiles(answers):
    (mean,) = queries("aforo-capacity", "X by concurrency")
    figure, whole = "aforo_run_videos_per_minute:ratio", "aforo_run_complete:bool"
    series = runs(
        full={"info": "1x60", figure: "6x60", whole: "1x60"},
        cards={"info": "1x60", figure: "30x60", whole: "1x60", "profile": "showcase", "validity": "indicative"},
    )
    # an indicative run of one profile has its bar beside valid runs of another
    full, showcase = '{series="50 MB"}', '{series="50 MB · showcase"}'
    answers(series, [(f"sum by (series) ({mean})", {full: 6, showcase: 30})])


def test_invalid_runs_of_a_profile_are_named_beside_the_answer_of_another(answers):
    (trust,) = queries("aforo-capacity", "Validity")
    series = {
        **cell(6, "valid", concurrency="2"),
        **cell(24, "invalid", concurrency="4", profile="showcase"),
        **cell(90, "invalid", concurrency="4", **MINE),
    }
    full, showcase, mine = (
        '{size="50 MB",concurrency="2",profile="full",app="aforo"}',
        '{size="50 MB",profile="showcase",app="aforo",of_profile=" · showcase"}',
        '{size="50 MB",profile="mine",app="mine",of_profile=" · mine"}',
    )
    answers(series, [(trust, {full: 2, showcase: 0, mine: 0})])


@pytest.mark.parametrize(
    ("name", "lang", "words"),
    [
        ("mode", "es", {"burst": "ráfaga", "sustained": "sostenido"}),
        ("mode", "en", {"burst": "burst", "sustained": "sustained"}),
        ("size", "es", {"50MB": "50 MB", "2.5GB": "2.5 GB", "1MB:3+2MB:1": "1MB:3+2MB:1"}),
    ],
    ids=["mode es", "mode en", "size"],
)
def test_the_lists_of_modes_and_sizes_show_words(answers, name, lang, words):
    board = json.loads((FOLDERS[lang] / "aforo-capacity.json").read_text(encoding="utf-8"))
    (shown,) = [each for each in board["templating"]["list"] if each["name"] == name]
    expression = shown["query"]["query"].removeprefix("query_result(").removesuffix(")")
    series = {f'aforo_run_info{{run_id="{value}",{name}="{value}"}}': "1x60" for value in words}
    # the labels of a series stand in alphabetical order, and the list takes text and value from them
    labels = [{"in_words": word, name: value} for value, word in words.items()]
    texts = ["{" + ", ".join(f'{key}="{each[key]}"' for key in sorted(each)) + "}" for each in labels]
    answers(series, [(expression, dict.fromkeys(texts, 1))])
    pattern = shown["regex"].strip("/").replace("(?<", "(?P<")
    assert [re.search(pattern, text).groupdict() for text in texts] == [
        {"text": word, "value": value} for value, word in words.items()
    ]


def test_cells_can_be_sorted_by_size_and_slots(answers):
    *_bars, order = queries("aforo-capacity", "X_sat and interval")
    rows, *_columns = queries("aforo-capacity", "Cells")
    series = {
        **cell(6, "valid", size="500KB", concurrency="2", slots="2"),
        **cell(5, "valid", size="2.5MB", concurrency="2×3", slots="6"),
        **cell(4, "valid", size="1GB", concurrency="16", slots="16"),
        **cell(3, "valid", size="50MB:3+100MB:1", concurrency="1", slots="1"),
    }
    answers(
        series,
        [
            (
                f"count by (cell, slots, bytes) ({order})",
                {
                    '{cell="500 KB · 2",slots="2",bytes="500e3"}': 1,
                    '{cell="2.5 MB · 2×3",slots="6",bytes="2.5e6"}': 1,
                    '{cell="1 GB · 16",slots="16",bytes="1e9"}': 1,
                    '{cell="50MB:3+100MB:1 · 1",slots="1",bytes="50e6"}': 1,
                },
            ),
            (
                f"count by (cell, {', '.join(ORDER)}) ({rows})",
                {
                    '{cell="500 KB · 2",bytes="500e3",slots_per_worker="2",workers="1"}': 1,
                    '{cell="2.5 MB · 2×3",bytes="2.5e6",slots_per_worker="2",workers="3"}': 1,
                    '{cell="1 GB · 16",bytes="1e9",slots_per_worker="16",workers="1"}': 1,
                    '{cell="50MB:3+100MB:1 · 1",bytes="50e6",slots_per_worker="1",workers="1"}': 1,
                },
            ),
        ],
    )


@pytest.mark.parametrize(
    ("status", "failed", "number"),
    [
        ("preparing", 0, 1),
        ("running", 2, 2),
        ("finished", 0, 3),
        ("finished", 2, 4),
        ("interrupted", 2, 5),
        ("failed", 0, 6),
    ],
)
def test_a_finished_run_with_failed_videos_is_not_simply_finished(answers, status, failed, number):
    (of_run,), (_facts, of_table, *_) = queries("aforo-run", "Status"), queries("aforo-capacity", "Results")
    (counted,) = queries("aforo-capacity", "Runs")
    series = runs(r={"info": "1x60"}) | {
        f'aforo_run_status{{run_id="r",status="{status}"}}': "1x60",
        'aforo_run_videos{run_id="r",state="failed"}': f"{failed}x60",
    }
    in_words = [(of_run, {"{}": number}), (of_table, {'{run_id="r"}': number})]
    answers(series, [*in_words, (counted, {f'{{state="{number}"}}': 1})])


def test_videos_that_are_not_uploaded_yet_are_not_unaccounted(answers):
    _expected, to_upload, *_states, unaccounted = queries("aforo-run", "Conservation")
    series = {
        'aforo_run_expected_videos{run_id="r"}': "45x60",
        'aforo_run_videos{run_id="r",state="done"}': "21x60",
        'aforo_run_status{run_id="r",status="running"}': "1x20 stale",
        'aforo_run_status{run_id="r",status="finished"}': "_x21 1x39",
    }
    answers(series, [(to_upload, {"{}": 24}), (unaccounted, {})], at="4m")
    answers(series, [(to_upload, {}), (unaccounted, {"{}": 24})])


def test_a_worker_that_is_gone_has_no_value_in_a_tile_with_a_sparkline(answers):
    (busy,) = queries("aforo-worker", "Slots in use")
    answers({}, [(f"count(({busy}) != ({busy}))", {"{}": 1})])  # only NaN differs from itself
    answers(
        {'aforo_worker_slots{instance="a"}': "4x60", 'aforo_worker_slots_busy{instance="a"}': "1x60"},
        [(busy, {"{}": 0.25})],
    )


#: Between which seconds the quantiles of each histogram are at most half off.
NARROW = {
    "aforo_worker_task_seconds": (0.5, 120.0),
    "aforo_worker_queue_wait_seconds": (0.1, 120.0),
    "aforo_worker_stage_seconds": (0.02, 120.0),
    "aforo_worker_slot_idle_seconds": (0.02, 3.0),
}


@pytest.mark.parametrize("seconds", [0.021, 0.12, 0.61, 0.75, 1.1, 1.6, 2.4, 7.34, 11.6, 17.9, 33.0, 75.0, 119.0])
def test_a_percentile_of_equal_durations_is_at_most_half_again_as_high(seconds):
    """PromQL interpolates in the bucket, so the widest bucket decides: from 10 to 30 s, p95 was 2.3 times too high."""
    for name, (least, most) in NARROW.items():
        bounds = next(metric.buckets for metric in catalogue.WORKER if metric.name == name)
        if least < seconds < most:
            below, above = max(b for b in bounds if b < seconds), min(b for b in bounds if b >= seconds)
            assert (below + 0.95 * (above - below)) / seconds < 1.5
            assert above <= 1.5 * below


def test_every_histogram_of_which_a_dashboard_shows_a_quantile_has_narrow_buckets():
    texts = [query.expr for board in BOARDS for panel in panels_of(board.uid) for query in panel.queries]
    shown = {name for text in texts for name in re.findall(r"histogram_quantile.*?(aforo_\w+)_bucket", text)}
    assert shown == set(NARROW)
    for name, (least, most) in NARROW.items():
        bounds = next(metric.buckets for metric in catalogue.WORKER if metric.name == name)
        assert {least, most} <= set(bounds), name
        narrow = [bound for bound in bounds if least <= bound <= most]
        assert all(more <= 1.5 * less for less, more in pairwise(narrow)), name


def test_two_queues_on_one_prometheus_keep_their_slots_apart(answers):
    (slots,), (busy, limit) = queries("aforo-capacity", "Slots"), queries("aforo-run", "Busy slots")
    series = {}
    for instance, queue, number in (("a", "videos", 2), ("b", "of-others", 64)):
        series[f'aforo_worker_queue_info{{instance="{instance}",queue="{queue}"}}'] = "1x60"
        series[f'aforo_worker_slots{{instance="{instance}"}}'] = f"{number}x60"
        series[f'aforo_worker_slots_busy{{instance="{instance}"}}'] = f"{number}x60"
    answers(series, [(slots, {"{}": 2}), (busy, {"{}": 2}), (limit, {"{}": 2})])


def test_videos_of_short_runs_one_after_the_other_count_once_in_the_throughput(answers):
    """Two bursts of 12 videos in 15 s each, within a minute: 24 videos per minute, and not 48 and 48."""
    (throughput,) = queries("aforo-bottleneck", "Throughput")
    series = {}
    for run, start, counts in (("first", 540, "0x36 12x10"), ("second", 570, "0x38 12x10")):
        series |= {
            f'aforo_run_info{{run_id="{run}",queue="videos",app="aforo"}}': "1x60",
            f'aforo_run_videos{{run_id="{run}",state="done"}}': counts,
            f'aforo_run_window_start_timestamp_seconds{{run_id="{run}"}}': f"{start}x60",
            f'aforo_run_window_end_timestamp_seconds{{run_id="{run}"}}': f"{start + 15}x60",
        }
    answers(series, [(throughput, {"{}": 24})], at="590s")


def test_redeliveries_are_unknown_without_a_worker_and_0_where_a_worker_counts_none(answers):
    redeliveries, invalid, _pending = queries("aforo-worker", "Redeliveries")
    answers({}, [(redeliveries, {}), (invalid, {})])
    answers({'aforo_worker_slots{instance="a"}': "2x60"}, [(redeliveries, {"{}": 0}), (invalid, {"{}": 0})])
