"""The dashboards on a live stack: every panel has data after a run, and equal values everywhere."""

from __future__ import annotations

import json
import re
import time
import urllib.request

import pytest

from core import promql
from core.label_values import values_of
from core.language import VALIDITY_NAMES
from core.metrics import CATALOGUE
from grafana.dashboard_files import FOLDERS
from grafana.expressions import expressions, filled

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
X, S = "run_id:aforo_run_videos_per_minute:ratio", "run_id:aforo_run_response_seconds:mean"
RANGE_SECONDS, STEP_SECONDS = 600.0, 15.0
#: values of variables and macros for a time range of ten minutes
CHOSEN = {"stage": "transcode", "job": "prometheus", "__range": "10m", "__rate_interval": "1m", "__interval": "15s"}
#: panels that may be empty here, and why; each of them explains it in its description
MAY_BE_EMPTY = {
    "aforo-run · Tiempo restante": "both runs are over",
    "aforo-run · Fallos por motivo": "no video failed",
    "aforo-worker · Problemas": "no video failed, no malformed message was sent and no call failed",
    "aforo-capacity · Capacidad: X_sat (videos/min)": "on a busy machine the runs are invalid",
    "aforo-capacity · Intervalo del 95 % (videos/min)": "on a busy machine the runs are invalid",
    "aforo-capacity · La limita": "on a busy machine the runs are invalid",
    "aforo-capacity · X_sat e intervalo (videos/min)": "on a busy machine the runs are invalid",
    "aforo-capacity · X según la concurrencia (videos/min)": "on a busy machine the runs are invalid",
    "aforo-capacity · Celdas": "on a busy machine the runs are invalid",
    "aforo-worker · Prórrogas de visibilidad": "a video of 2 MB ends before its message must be extended",
    "aforo-bottleneck · Cuota de CPU": "a machine without a CPU quota",
    "aforo-stack-health · Alertas activas": "nothing is wrong",
    "aforo-stack-health · Errores por motivo": "no read failed",
}
#: panels with data in only one of the two modes
OF_MODE = {"aforo-run · Mayor retraso (s)": "sustained"}
#: queries without data in a panel whose other queries have some
QUERIES_THAT_MAY_BE_EMPTY = {
    "aforo_node_bandwidth_limit_bytes_per_second": "no bandwidth limit of this machine was measured",
    'status=~"preparing|running"': "the run is over, so no video is still to be uploaded",
}
WITHOUT_QUOTA = "aforo_node_cgroup_"  # a machine without a CPU quota has none of these
#: suffixes that only the series of a histogram have
PARTS = re.compile(r"_(bucket|sum|count)$")


def run(stack, *options, **more):
    injected = stack.run("injector", *options, "--size", "2MB", **more)
    assert injected.returncode == 0, injected.stderr
    run_id = injected.stdout.split("run ", 1)[1].split(":", 1)[0]
    assert stack.run("capacity", "wait", run_id).returncode == 0
    shown = stack.run("capacity", "report", run_id, "--json")
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


@pytest.fixture(scope="module")
def rows(stack):
    """Return the rows of a burst and of a short sustained run, as `capacity report --json` printed them."""
    assert stack.run("local", "up", CONCURRENCY="2").returncode == 0
    burst = run(stack, "--count", "6")
    sustained = run(stack, "--mode", "sustained", "--rate", "20", "--count", "6")
    return {"burst": burst, "sustained": sustained}


@pytest.fixture(scope="module")
def prometheus(stack):
    return stack.environment["AFORO_PROMETHEUS_URL"]


def boards():
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDERS["es"].glob("*.json")}


def answered(url, text, is_instant=True):
    """Query as Grafana does until there is a result.

    Rates need two scrapes, and recording rules need an evaluation.
    """
    deadline = time.monotonic() + 20
    while not (samples := ask(url, text, is_instant)) and time.monotonic() < deadline:
        time.sleep(1)
    return samples


def ask(url, text, is_instant):
    now = time.time()
    return (
        promql.query(url, text) if is_instant else promql.query_range(url, text, now - RANGE_SECONDS, now, STEP_SECONDS)
    )


@pytest.mark.parametrize("mode", ["burst", "sustained"])
def test_only_the_panels_listed_here_with_a_reason_are_empty_after_a_run(rows, prometheus, mode):
    empty, values = [], CHOSEN | {"run_id": rows[mode]["run_id"]}
    for expression in (e for board in boards().values() for e in expressions(board)):
        panel = f"{expression.board} · {expression.panel}"
        excused = panel in MAY_BE_EMPTY or OF_MODE.get(panel, mode) != mode
        if not excused and not any(name in expression.text for name in QUERIES_THAT_MAY_BE_EMPTY):
            text = filled(expression.text, values)
            empty += [] if answered(prometheus, text, expression.is_instant) else [f"{expression}: {text}"]
    assert empty == []


def test_a_panel_that_may_be_empty_explains_it_in_its_description():
    says_why = {f"{e.board} · {e.panel}": e.says_why for board in boards().values() for e in expressions(board)}
    assert {panel for panel in MAY_BE_EMPTY | OF_MODE if not says_why.get(panel)} == set()


@pytest.mark.parametrize("mode", ["burst", "sustained"])
def test_table_rule_dashboard_and_report_show_one_number_to_the_last_digit(stack, rows, prometheus, mode):
    row, run_id = rows[mode], rows[mode]["run_id"]
    table = json.loads(stack.run("capacity", "table", "--json").stdout)["rows"]
    (line,) = (line for line in table if line["runs"] == [run_id])
    for rule, field in ((X, "x_per_minute"), (S, "s_seconds")):
        shown = {
            "report": row[field],
            "table": line[field],
            "rule": promql.single(prometheus, f'{rule}{{run_id="{run_id}"}}'),
            "database": row[field.replace("per_minute", "database").replace("seconds", "database")],
        }
        for expression in (e for board in boards().values() for e in expressions(board) if rule in e.text):
            samples = promql.query(prometheus, filled(expression.text, CHOSEN | {"run_id": run_id}))
            of_run = [s for s in samples if s.labels.get("run_id", run_id) == run_id]
            shown |= {str(expression): s.value for s in of_run if is_row(expression)}
        assert set(shown.values()) == {row[field]}, shown


def is_row(expression):
    """Return True if a query has one value per run. The mean of a cell does not."""
    return "avg by" not in expression.text


def test_the_capacity_dashboard_shows_the_values_that_the_report_stored(rows, prometheus):
    row = rows["burst"]
    bound = 'run_id_bound:aforo_run_capacity_videos_per_minute:max{{run_id="{}", bound="{}"}}'
    shown = {b: answered(prometheus, bound.format(row["run_id"], b)) for b in ("estimate", "lower", "upper")}
    interval = row["x_sat_interval"] or {}
    expected = {"estimate": row["x_sat_per_minute"], "lower": interval.get("low"), "upper": interval.get("high")}
    assert {b: samples[0].value if samples else None for b, samples in shown.items()} == expected
    verdict = f'run_id_kind_verdict:aforo_run_verdict:max{{run_id="{rows["sustained"]["run_id"]}", kind="stability"}}'
    verdicts = [sample.labels["verdict"] for sample in answered(prometheus, verdict)]
    assert verdicts == [rows["sustained"]["stability"].lower()]


def test_the_live_page_shows_the_rows_with_the_tables_digits(rows, prometheus):
    with urllib.request.urlopen(f"{prometheus}/consoles/index.html", timeout=10) as answer:
        page = answer.read().decode()
    for row in rows.values():
        cells = page.partition(f"<small>{row['run_id']}</small>")[0].rpartition("<tr id=")[2]
        assert f"<b>{row['x_per_minute']:.2f}</b>" in cells
        assert f">{row['s_seconds']:.1f}</td>" in cells
        assert f'<span class="validity">{VALIDITY_NAMES[row["validity"]].es}</span>' in cells
    assert "En curso" not in page


#: to these, the configuration of Prometheus adds the label `app`
OF_APP = {"aforo_worker_info", "aforo_worker_queue_info", "aforo_node_info"}


def test_every_metric_of_the_catalogue_is_exposed_with_its_type(rows, prometheus):
    with urllib.request.urlopen(f"{prometheus}/api/v1/metadata", timeout=10) as answer:
        exposed = json.load(answer)["data"]
    missing = set()
    for name, metric in CATALOGUE.items():
        families = exposed.get(name) or exposed.get(name.removesuffix("_total"))
        if families is None:
            missing.add(name)
        else:
            assert (families[0]["type"], families[0]["help"]) == (metric.kind, metric.help)
    # the collector runs only with an app
    absent = (WITHOUT_QUOTA, "aforo_collector_")
    assert {name for name in missing if not name.startswith(absent)} == set()


WITHOUT_VALUE = {"autoscale", "reasons"}  # a worker of fixed size, a valid run


def test_each_of_our_series_is_in_the_catalogue_and_has_only_its_label_values(rows, prometheus):
    strangers = []
    for sample in promql.query(prometheus, '{__name__=~"aforo_[a-z0-9_]+"}'):
        name = sample.labels["__name__"]
        if name.startswith("aforo_") and ":" not in name and not name.endswith("_created"):
            metric = CATALOGUE.get(name) or CATALOGUE.get(PARTS.sub("", name))
            labels = set(sample.labels) - {"__name__", "instance", "job", "le"}
            if name in OF_APP and sample.labels.get("app") == "aforo":
                labels -= {"app"}
            # Prometheus drops a label whose value is empty
            if metric is None or labels | WITHOUT_VALUE & set(metric.labels) != set(metric.labels):
                strangers.append(f"{name} {sorted(labels)}")
                continue
            closed = {label: values_of(metric.name, label) for label in labels}
            strangers += [
                f"{name} {label}={sample.labels[label]}"
                for label, values in closed.items()
                if not isinstance(values, str) and sample.labels[label] not in values
            ]
    assert sorted(set(strangers)) == []
