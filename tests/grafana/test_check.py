"""The check of dashboards: a valid dashboard passes, and each fault put into it is named."""

from __future__ import annotations

import copy
import json

import pytest

from grafana.boards import BOARDS
from grafana.check import problems
from grafana.dashboard_json import board_json
from grafana.expressions import panels
from grafana.series_names import series_names

UIDS = {board.uid for board in BOARDS}
SOUND = json.loads(board_json(BOARDS[0], "es"))


def first(board, kind=None):
    return next(panel for panel in panels(board) if kind in {None, panel["type"]})


def query(board):
    return first(board)["targets"][0]


def put(where, **values):
    where.update(values)


def titled(board, beginning):
    """Return the first panel whose title begins with `beginning`."""
    return next(panel for panel in panels(board) if panel["title"].startswith(beginning))


def override(panel, column):
    """Return the properties of a column of a table."""
    overrides = panel["fieldConfig"]["overrides"]
    return next(each["properties"] for each in overrides if each["matcher"]["options"] == column)


def of_kind(board, kind, **options):
    """Return the first panel of `kind` whose options have these values."""
    return next(p for p in panels(board) if p["type"] == kind and options.items() <= p["options"].items())


def stacked(board):
    return next(
        p
        for p in panels(board)
        if p["fieldConfig"]["defaults"].get("custom", {}).get("stacking", {}).get("mode") == "normal"
    )


def lines_of(board):
    return [each for each in panels(board) if each["type"] == "timeseries"]


def without_overrides(panel, matcher):
    panel["fieldConfig"]["overrides"] = [o for o in panel["fieldConfig"]["overrides"] if o["matcher"]["id"] != matcher]


#: Faults that the board Capacity has no panel for, on a board that has.
SEEDED_ELSEWHERE = {
    "areas with an outline": (
        "aforo-worker",
        lambda b: put(stacked(b)["fieldConfig"]["defaults"]["custom"], lineWidth=1),
        "would outline its areas",
    ),
    "a sparkline without NaN": (
        "aforo-worker",
        lambda b: put(of_kind(b, "stat", graphMode="area")["targets"][0], expr="sum(aforo_worker_slots_busy)"),
        "last value of an ended series",
    ),
    "a sparkline that skips an absent last value": (
        "aforo-worker",
        lambda b: put(of_kind(b, "stat", graphMode="area")["options"]["reduceOptions"], calcs=["lastNotNull"]),
        "would skip an absent last value",
    ),
    "an instant query for lines": (
        "aforo-worker",
        lambda b: put(first(b, "timeseries")["targets"][0], instant=True, range=False),
        "must use range",
    ),
    "an axis with fixed decimals": (
        "aforo-worker",
        lambda b: put(first(b, "timeseries")["fieldConfig"]["defaults"], decimals=3),
        "fixes the decimals of its axis",
    ),
    "thresholds that are not drawn": (
        "aforo-bottleneck",
        lambda b: titled(b, "Presión")["fieldConfig"]["defaults"]["custom"].pop("thresholdsStyle"),
        "does not draw its thresholds",
    ),
    "a pressure without the limit of the verdict": (
        "aforo-bottleneck",
        lambda b: titled(b, "Presión")["fieldConfig"]["defaults"].pop("thresholds"),
        "does not draw the limit",
    ),
    "a disk without the limit of the verdict": (
        "aforo-bottleneck",
        lambda b: titled(b, "Disco")["fieldConfig"].update(overrides=[]),
        "does not draw the limit",
    ),
    "lines of several labels with a legend of names alone": (
        "aforo-worker",
        lambda b: titled(b, "Media por etapa")["options"]["legend"].update(displayMode="list", calcs=[]),
        "shows no last and highest values",
    ),
    "lines of several queries with a legend without the highest value": (
        "aforo-run",
        lambda b: titled(b, "Ritmo")["options"]["legend"].update(calcs=["lastNotNull"]),
        "shows no last and highest values",
    ),
    "a query of another run": (
        "aforo-run",
        lambda b: put(query(b), expr="max(aforo_run_videos)"),
        "ignores the variable $run_id",
    ),
    "a query of every worker on the board of one queue": (
        "aforo-run",
        lambda b: put(first(b, "timeseries")["targets"][0], expr="sum(aforo_worker_slots)"),
        "ignores the variable $queue",
    ),
    "a metric without a queue whose panel does not say so": (
        "aforo-worker",
        lambda b: put(first(b, "timeseries"), targets=[query(b) | {"expr": "sum(celery_task_started_total)"}]),
        "does not say 'all queues'",
    ),
    "the alerts of all queues": (
        "aforo-stack-health",
        lambda b: put(first(b, "stat")["targets"][0], expr='count(ALERTS{product="aforo"})'),
        "ignores the variable $queue",
    ),
    "a table of alerts without a way to the runbook": (
        "aforo-stack-health",
        lambda b: first(b, "table")["fieldConfig"].update(overrides=[]),
        "has no link to the rule of an alert",
    ),
    "the videos of all queues": (
        "aforo-stack-health",
        lambda b: put(first(b, "stat")["targets"][0], expr="sum(aforo_videos)"),
        "ignores the variable $queue",
    ),
    "a rate whose zero gets an axis up to 100": (
        "aforo-run",
        lambda b: [each["fieldConfig"]["defaults"]["custom"].pop("axisSoftMax", None) for each in lines_of(b)],
        "would draw a flat zero on an axis up to 100",
    ),
    "bars of which one alone has no name": (
        "aforo-run",
        lambda b: [each["fieldConfig"].update(overrides=[]) for each in panels(b) if each["type"] == "bargauge"],
        "omit the name of a single bar",
    ),
}
SEEDED = {
    "a link that Grafana 12 does not draw": (lambda b: put(b["links"][0], placement="inControlsMenu"), "placement"),
    "an annotation that Grafana 12 does not draw": (
        lambda b: put(b["annotations"]["list"][0], placement="inControlsMenu"),
        "placement",
    ),
    "an absent value in the colour of a good one": (
        lambda b: put(first(b, "stat")["fieldConfig"]["defaults"], mappings=[]),
        "colour an absent value",
    ),
    "an absent bar in the colour of a good one": (
        lambda b: put(first(b, "bargauge")["fieldConfig"]["defaults"], mappings=[]),
        "colour an absent value",
    ),
    "a panel without words for no data": (
        lambda b: first(b)["fieldConfig"]["defaults"].pop("noValue"),
        "no words for the case without data",
    ),
    "a single bar without a name": (
        lambda b: [
            each["fieldConfig"]["defaults"].pop("displayName", None) for each in panels(b) if each["type"] == "bargauge"
        ],
        "omit the name of a single bar",
    ),
    "the unit of the values behind the categories": (
        lambda b: without_overrides(first(b, "barchart"), "byType"),
        "unit of the values behind its categories",
    ),
    "the number of one part on a whole stack": (
        lambda b: put(of_kind(b, "barchart", stacking="normal")["options"], showValue="auto"),
        "number of the last part",
    ),
    "a first row with a chart": (lambda b: put(b["panels"][1], type="bargauge"), "4 tiles or more, and nothing else"),
    "a first row of three tiles": (lambda b: b["panels"].pop(1), "4 tiles or more"),
    "a first row of two lines": (lambda b: put(b["panels"][1]["gridPos"], y=90), "beside each other"),
    "a first row without a question": (lambda b: put(b["panels"][0], title="Resumen"), "first row has no question"),
    "a board that begins with a table": (lambda b: b["panels"].pop(0), "must begin with a row of tiles"),
    "a unit behind each run": (
        lambda b: override(first(b, "table"), "Prueba").append({"id": "unit", "value": "s"}),
        "would write a unit behind each 'Prueba'",
    ),
    "a unit behind each bottleneck": (
        lambda b: override(titled(b, "Celdas"), "La limita").append({"id": "unit", "value": "videos"}),
        "would write a unit behind each 'La limita'",
    ),
    "a table whose unit is that of its texts too": (
        lambda b: put(first(b, "table")["fieldConfig"]["defaults"], unit="percentunit"),
        "would write its unit behind the texts",
    ),
    "a tile with a text size of its own": (lambda b: first(b, "stat")["options"].pop("text"), "text size of its own"),
    "a column of every run in a filtered table": (
        lambda b: put(first(b, "table")["targets"][2], expr="max by (run_id) (aforo_run_validity_info)"),
        "ignores the variable $size",
    ),
    "the messages of all queues": (
        lambda b: put(first(b, "bargauge")["targets"][0], expr="sum(aforo_sqs_messages_visible)"),
        "ignores the variable $queue",
    ),
    "a uid with a capital": (lambda b: put(b, uid="Aforo"), "uid 'Aforo'"),
    "a uid of 41 characters": (lambda b: put(b, uid="a" * 41), "1 to 40"),
    "an editable dashboard": (lambda b: put(b, editable=True), "editable"),
    "a schema that old Grafanas do not read": (lambda b: put(b, schemaVersion=42), "schemaVersion"),
    "a refresh that Grafana rejects": (lambda b: put(b, refresh="1s"), "more often than every 5 s"),
    "a range query for a single value": (lambda b: put(query(b), instant=False, range=True), "must use instant"),
    "bars whose labels are cut to nothing": (
        lambda b: put(first(b, "barchart")["options"], xTickLabelMaxLength=0),
        "'...' under every bar",
    ),
    "links without the chosen variables": (
        lambda b: put(b["links"][0], includeVars=False),
        "drops the chosen variables",
    ),
    "a link without the data source": (
        lambda b: b.update(json.loads(json.dumps(b).replace("&${datasource:queryparam}", ""))),
        "without the chosen data source",
    ),
    "no description": (lambda b: put(b, description=""), "description"),
    "a field of the import dialog": (lambda b: put(b, __inputs=[]), "__inputs"),
    "two panels with one id": (lambda b: put(first(b), id=first(b, "table")["id"]), "is used 2 times"),
    "a row without an id": (lambda b: put(b["panels"][0], id=0), "above 0"),
    "two panels with one title": (lambda b: put(first(b), title=first(b, "table")["title"]), "two panels are called"),
    "a panel over another": (lambda b: put(first(b, "table")["gridPos"], y=2), "overlaps"),
    "a panel beyond the grid": (lambda b: put(first(b)["gridPos"], x=22), "leaves the grid"),
    "a panel without a title": (lambda b: put(first(b), title=""), "has no title"),
    "a panel without a question": (lambda b: put(first(b), description="Slots."), "has no question"),
    "a unit Grafana does not know": (lambda b: put(first(b)["fieldConfig"]["defaults"], unit="seg"), "unknown unit"),
    "a panel without a unit": (lambda b: first(b)["fieldConfig"]["defaults"].pop("unit"), "unknown unit ''"),
    "a removed panel type": (lambda b: put(first(b), type="graph"), "unknown type 'graph'"),
    "an unknown transformation": (
        lambda b: put(first(b, "table")["transformations"][0], id="merge2"),
        "transformation 'merge2'",
    ),
    "no datasource variable": (lambda b: b["templating"]["list"].pop(0), "needs the datasource variable"),
    "a fixed datasource": (lambda b: put(query(b), datasource={"type": "prometheus", "uid": "P1"}), "must query"),
    "a datasource as a string": (lambda b: put(first(b), datasource="Prometheus"), "must query"),
    "an annotation of another source": (lambda b: b["annotations"]["list"][0].pop("datasource"), "annotation"),
    "a panel without queries": (lambda b: put(first(b), targets=[]), "has no query"),
    "one refId twice": (lambda b: [put(t, refId="A") for t in first(b, "table")["targets"]], "refId twice"),
    "an undefined variable": (lambda b: put(query(b), expr='sum(up{job="$job"})'), "$job is not defined"),
    "a rate of a gauge": (lambda b: put(query(b), expr="rate(aforo_worker_slots[1m])"), "is not a counter"),
    "a metric that does not exist": (
        lambda b: put(query(b), expr="sum(aforo_worker_slot)"),
        "no metric aforo_worker_slot",
    ),
    "a histogram without a suffix": (
        lambda b: put(query(b), expr="aforo_worker_task_seconds"),
        "no metric aforo_worker_task_seconds",
    ),
    "a syntax error in PromQL": (lambda b: put(query(b), expr="sum(up"), "aforo-capacity"),
    "a link to an unknown dashboard": (
        lambda b: b["panels"].__setitem__(
            slice(None), json.loads(json.dumps(b["panels"]).replace("/d/aforo-run", "/d/x"))
        ),
        "unknown dashboard 'x'",
    ),
}


def test_a_valid_dashboard_has_no_problem():
    assert problems(SOUND, series_names(), UIDS) == []


@pytest.mark.parametrize("seeded", SEEDED_ELSEWHERE)
def test_the_check_of_another_board_reports(seeded):
    uid, seed, message = SEEDED_ELSEWHERE[seeded]
    board = json.loads(board_json(next(each for each in BOARDS if each.uid == uid), "es"))
    seed(board)
    reported = problems(board, series_names(), UIDS)
    assert any(message in problem for problem in reported), reported


@pytest.mark.parametrize("seeded", SEEDED)
def test_the_check_reports(seeded):
    board = copy.deepcopy(SOUND)
    seed, message = SEEDED[seeded]
    seed(board)
    reported = problems(board, series_names(), UIDS)
    assert any(message in problem for problem in reported), reported
