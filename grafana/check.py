"""Find problems in a dashboard's JSON: broken conventions, and names of metrics that do not exist."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import combinations
from typing import Any

from grafana.board import GRID_WIDTH
from grafana.expressions import expressions, filled, metric_names, panels, variables_of
from grafana.panel import OVER_TIME, Kind

Json = Mapping[str, Any]
Problem = str

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
#: Grafana writes seconds from a minute on in minutes, and loses digits, so seconds are a text beside the axis.
UNITS = frozenset({"none", "dthms", "bytes", "Bps", "percentunit", "currencyUSD"})
TRANSFORMATIONS = frozenset(
    {"joinByField", "organize", "sortBy", "filterFieldsByName", "convertFieldType", "groupingToMatrix", "limit"}
)
#: Variables that choose among series, by the beginnings of the metric names that they apply to.
FILTERS = {
    "size": ("aforo_run_", "run_id"),
    "mode": ("aforo_run_", "run_id"),
    "app": ("aforo_run_", "run_id"),
    "run_id": ("aforo_run_", "run_id"),
    "instance": ("aforo_worker_", "aforo_node_", "instance"),
    "queue": (
        *("aforo_sqs_messages", "aforo_sqs_dead", "aforo_sqs_oldest", "aforo_sqs_last", "aforo_sqs_poll"),
        *("aforo_videos", "queue:", "ALERTS"),
    ),
}
#: Beginnings of the names of metrics without a queue. Their panels say that they are of all queues.
OF_ALL_QUEUES = ("aforo_exporter_", "aforo_sqs_api_", "celery_", "scrape_", "up")
ALL_QUEUES = re.compile("all queues|todas las colas")
#: Beginnings of the names of metrics that a verdict or an alert compares with a limit. Their curves are beside it.
JUDGED = (
    *(
        "aforo_node_cpu_seconds_total",
        "instance_resource:aforo_node_pressure",
        "instance_direction:aforo_node_disk_bytes",
    ),
    *("instance_direction:aforo_node_network_bytes", "aforo_node_filesystem_free_bytes", "scrape_duration_seconds"),
    *("prometheus_rule_group_last_duration", "aforo_exporter_last_success", "aforo_sqs_last_success"),
)
#: Grafana's names of the values of text columns, which are labels. A column of numbers is `Value`, or `Value #B`.
NUMBERS = re.compile(r"Value( #[A-Z])?")
LEAST_TILES = 4
UID = re.compile(r"[a-z0-9-]{1,40}")
#: Filled in by the import dialog only, not by provisioning.
OF_THE_DIALOG = ("__inputs", "__requires", "id", "version")
#: Grafana's minimum is 5 s (`min_refresh_interval`).
REFRESHES = frozenset({"5s", "15s", "1m"})
COUNTED = re.compile(r"\b(?:rate|increase)\(\s*([a-z_:]+)")
COUNTERS = ("_total", "_bucket", "_sum", "_count")


def problems(board: Json, metrics: Collection[str], uids: Collection[str]) -> list[Problem]:
    """Return a text for each problem in the JSON of one dashboard, or an empty list if there is none.

    `metrics` has the names of all existing metrics, and `uids` the ids of all dashboards.
    """
    general = [problem for check in CHECKS for problem in check(board)]
    return [*general, *_unknown_metrics(board, metrics), *_broken_links(board, uids)]


def _identity(board: Json) -> Iterator[Problem]:
    if not UID.fullmatch(board.get("uid", "")):
        yield f"uid {board.get('uid')!r}: 1 to 40 of a-z, 0-9 and '-'"
    if board.get("editable") is not False:
        yield "editable must be false: the file is the source"
    if board.get("schemaVersion") != 39:
        yield "schemaVersion must be 39, which every Grafana from 10 on reads"
    if not board.get("title") or not board.get("description"):
        yield "it needs a title and a description"
    if board.get("refresh") not in REFRESHES:
        yield f"refresh {board.get('refresh')!r}: Grafana rejects an import that refreshes more often than every 5 s"
    yield from (f"{key} is for the import dialog only" for key in OF_THE_DIALOG if board.get(key) is not None)


def _ids(board: Json) -> Iterator[Problem]:
    counts = Counter(panel.get("id") for panel in board["panels"])
    yield from (f"panel id {number} is used {times} times" for number, times in counts.items() if times > 1)
    if not all(isinstance(number, int) and number > 0 for number in counts):
        yield "every panel needs an id above 0"
    titles = Counter(panel.get("title") for panel in panels(board))
    yield from (f"two panels are called {title!r}" for title, times in titles.items() if times > 1)


def _grid(board: Json) -> Iterator[Problem]:
    places = [(panel.get("title"), panel["gridPos"]) for panel in board["panels"]]
    for title, place in places:
        if place["x"] < 0 or place["x"] + place["w"] > GRID_WIDTH or place["w"] < 1 or place["h"] < 1:
            yield f"{title!r} leaves the grid of {GRID_WIDTH}"
    yield from (f"{a!r} overlaps {b!r}" for (a, one), (b, two) in combinations(places, 2) if _overlap(one, two))


def _overlap(one: Json, two: Json) -> bool:
    return all(one[at] < two[at] + two[size] and two[at] < one[at] + one[size] for at, size in ("xw", "yh"))


def _words(board: Json) -> Iterator[Problem]:
    for panel in panels(board):
        title = panel.get("title")
        if not title:
            yield f"panel {panel.get('id')} has no title"
        if "?" not in panel.get("description", ""):
            yield f"{title!r} has no question in its description"
        unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "")
        if unit not in UNITS:
            yield f"{title!r} has the unknown unit {unit!r}"


def _kinds(board: Json) -> Iterator[Problem]:
    for panel in panels(board):
        if panel["type"] not in set(Kind):
            yield f"{panel.get('title')!r} is of the unknown type {panel['type']!r}"
        for step in panel.get("transformations", []):
            if step["id"] not in TRANSFORMATIONS:
                yield f"{panel.get('title')!r} uses the unknown transformation {step['id']!r}"
        if panel["type"] == Kind.CHART and not panel.get("options", {}).get("xTickLabelMaxLength"):
            yield f"{panel.get('title')!r} would write '...' under every bar"


def _sources(board: Json) -> Iterator[Problem]:
    variables = board["templating"]["list"]
    if [v["name"] for v in variables if v["type"] == "datasource"] != ["datasource"]:
        yield "it needs the datasource variable"
    parts = [("variable " + v["name"], v) for v in variables if v["type"] == "query"]
    parts += [("annotation " + a["name"], a) for a in board["annotations"]["list"]]
    for panel in panels(board):
        parts.append((f"panel {panel.get('title')!r}", panel))
        parts += [(f"query {t.get('refId')} of {panel.get('title')!r}", t) for t in panel.get("targets", [])]
    yield from (f"{who} must query ${{datasource}}" for who, part in parts if part.get("datasource") != SOURCE)


def _queries(board: Json) -> Iterator[Problem]:
    for panel in panels(board):
        letters = [target.get("refId") for target in panel.get("targets", [])]
        if not letters:
            yield f"{panel.get('title')!r} has no query"
        if len(set(letters)) < len(letters):
            yield f"{panel.get('title')!r} uses a refId twice"
        over_time = panel["type"] in OVER_TIME or _has_sparkline(panel)
        modes = {(target.get("range"), target.get("instant")) for target in panel.get("targets", [])}
        if modes - {(over_time, not over_time)}:
            yield f"{panel.get('title')!r} must use {'range' if over_time else 'instant'} queries"
    defined = {v["name"] for v in board["templating"]["list"]}
    for expression in expressions(board):
        for name in variables_of(expression.text) - defined:
            yield f"{expression}: the variable ${name} is not defined"
        for name in COUNTED.findall(filled(expression.text)):
            if not name.endswith(COUNTERS):
                yield f"{expression}: {name} is not a counter, so it has no rate"


def _unknown_values(board: Json) -> Iterator[Problem]:
    """Yield the places at which an absent value would look like a good one."""
    for panel in panels(board):
        title, defaults, options = panel.get("title"), panel["fieldConfig"]["defaults"], panel.get("options", {})
        if not defaults.get("noValue"):
            yield f"{title!r} has no words for the case without data"
        if panel["type"] in {Kind.STAT, Kind.BARS}:
            matches = [step["options"].get("match") for step in defaults.get("mappings", [])]
            if "null+nan" not in matches:
                yield f"{title!r} would colour an absent value like its lowest threshold"
        if _has_sparkline(panel):
            if not all(target["expr"].endswith(" or vector(NaN)") for target in panel["targets"]):
                yield f"{title!r} would show the last value of an ended series as the current one"
            if options.get("reduceOptions", {}).get("calcs") != ["last"]:
                yield f"{title!r} would skip an absent last value"


def _drawing(board: Json) -> Iterator[Problem]:
    """Yield what Grafana would draw in a misleading way."""
    for panel in panels(board):
        title, fields, options = panel.get("title"), panel["fieldConfig"], panel.get("options", {})
        custom = fields["defaults"].get("custom") or {}
        if panel["type"] == Kind.BARS and not _bars_are_named(panel):
            yield f"{title!r} would omit the name of a single bar"
        if panel["type"] == Kind.SERIES and fields["defaults"].get("decimals") is not None:
            yield f"{title!r} fixes the decimals of its axis"
        if panel["type"] == Kind.SERIES and not (_has_upper_end(fields["defaults"]) or custom.get("axisSoftMax")):
            yield f"{title!r} would draw a flat zero on an axis up to 100"
        is_stacked = "normal" in {options.get("stacking"), (custom.get("stacking") or {}).get("mode")}
        if panel["type"] == Kind.SERIES and is_stacked and custom.get("lineWidth") != 0:
            yield f"{title!r} would outline its areas in the colour of series that are 0"
        if panel["type"] == Kind.CHART and is_stacked and options.get("showValue") != "never":
            yield f"{title!r} would write the number of the last part on a whole stack"
        if panel["type"] == Kind.CHART and not _has_override(panel, "byType", "string", "unit"):
            yield f"{title!r} would write the unit of the values behind its categories"
        if panel["type"] == Kind.STAT and not options.get("text", {}).get("valueSize"):
            yield f"{title!r} would have a text size of its own"


def _bars_are_named(panel: Json) -> bool:
    """Return True if each bar has a configured name. Of several queries, one alone may answer."""
    letters = [target["refId"] for target in panel["targets"]]
    return bool(panel["fieldConfig"]["defaults"].get("displayName")) or all(
        _has_override(panel, "byFrameRefID", letter, "displayName") for letter in letters
    )


def _has_upper_end(defaults: Json) -> bool:
    """Return True if the axis ends at a value of its own, or its unit is a share, whose 1 is 100 %."""
    return defaults.get("max") is not None or defaults.get("unit") == "percentunit"


def _has_override(panel: Json, matcher: str, options: str, name: str) -> bool:
    return any(
        (each["matcher"]["id"], each["matcher"].get("options")) == (matcher, options)
        and name in {each_property["id"] for each_property in each["properties"]}
        for each in panel["fieldConfig"].get("overrides", [])
    )


def _has_sparkline(panel: Json) -> bool:
    return bool(panel["type"] == Kind.STAT and panel.get("options", {}).get("graphMode") == "area")


def _headline(board: Json) -> Iterator[Problem]:
    """Yield what keeps the first row from answering the first question: it is one line of tiles."""
    rows = [place for place, panel in enumerate(board["panels"]) if panel["type"] == "row"]
    if not rows or rows[0] != 0:
        yield "it must begin with a row of tiles"
        return
    first = board["panels"][1 : rows[1] if len(rows) > 1 else None]
    if "?" not in board["panels"][0].get("title", ""):
        yield "the first row has no question"
    if [panel["title"] for panel in first if panel["type"] != Kind.STAT] or len(first) < LEAST_TILES:
        yield f"the first row must be {LEAST_TILES} tiles or more, and nothing else"
    if len({panel["gridPos"]["y"] for panel in first}) > 1:
        yield "the tiles of the first row must be beside each other"


def _limits(board: Json) -> Iterator[Problem]:
    """Yield the curves that a verdict or an alert compares with a limit which the panel does not draw."""
    judged = {e.panel for e in expressions(board) if any(name.startswith(JUDGED) for name in _read(e.text))}
    for panel in panels(board):
        if panel["type"] != Kind.SERIES:
            continue
        defaults = panel["fieldConfig"]["defaults"]
        has_steps = len((defaults.get("thresholds") or {}).get("steps", [])) > 1
        draws_steps = (defaults["custom"].get("thresholdsStyle") or {}).get("mode", "off") != "off"
        if has_steps and not draws_steps:
            yield f"{panel['title']!r} does not draw its thresholds"
        if panel["title"] in judged and not (has_steps or _limit_queries(panel)):
            yield f"{panel['title']!r} does not draw the limit that its values are compared with"


def _limit_queries(panel: Json) -> set[str]:
    """Return the letters of the queries that are drawn as limits: as dashed lines."""
    return {
        each["matcher"]["options"]
        for each in panel["fieldConfig"].get("overrides", [])
        if any(each_property["id"] == "custom.lineStyle" for each_property in each["properties"])
    }


def _compared(board: Json) -> Iterator[Problem]:
    """Yield the panels of several lines whose legend does not show last and highest values."""
    for panel in panels(board):
        custom, options = panel["fieldConfig"]["defaults"].get("custom") or {}, panel.get("options", {})
        if panel["type"] != Kind.SERIES or custom.get("drawStyle") == "bars":
            continue
        limits = _limit_queries(panel)
        legends = [t.get("legendFormat", "") for t in panel.get("targets", []) if t["refId"] not in limits]
        is_stacked = (custom.get("stacking") or {}).get("mode") == "normal"
        has_lines = not is_stacked and (len(legends) > 1 or any("{{" in legend for legend in legends))
        legend = options.get("legend", {})
        if has_lines and (legend.get("displayMode") != "table" or not {"lastNotNull", "max"} <= set(legend["calcs"])):
            yield f"{panel['title']!r} compares lines, and its legend shows no last and highest values"


def _text_columns(board: Json) -> Iterator[Problem]:
    """Yield the text columns of tables that have a unit, which Grafana would write behind each text."""
    for panel in panels(board):
        if panel["type"] != Kind.TABLE:
            continue
        renamed = [s["options"]["renameByName"] for s in panel["transformations"] if s["id"] == "organize"]
        names: Mapping[str, str] = renamed[0] if renamed else {}
        texts = {title for name, title in names.items() if not NUMBERS.fullmatch(name)}
        if panel["fieldConfig"]["defaults"].get("unit") != "none":
            yield f"{panel['title']!r} would write its unit behind the texts of its columns"
        for each in panel["fieldConfig"].get("overrides", []):
            units = [each_property["value"] for each_property in each["properties"] if each_property["id"] == "unit"]
            if each["matcher"].get("options") in texts and set(units) - {"none", "string"}:
                yield f"{panel['title']!r} would write a unit behind each {each['matcher']['options']!r}"


def _placement(board: Json) -> Iterator[Problem]:
    for part in (*board["links"], *board["annotations"]["list"]):
        if "placement" in part:
            yield f"{part.get('title') or part.get('name')!r} has a placement, so Grafana 12 does not draw it"


def _ignored_variables(board: Json) -> Iterator[Problem]:
    """Yield the queries that ignore a variable of the dashboard, although it chooses among their series."""
    names = {variable["name"] for variable in board["templating"]["list"]}
    chosen = {name: FILTERS[name] for name in names & FILTERS.keys()}
    if "queue" in names and "instance" not in names:
        chosen["queue"] += FILTERS["instance"]
    for expression in expressions(board):
        read, named = _read(expression.text), variables_of(expression.text)
        for name, beginnings in chosen.items():
            if name not in named and any(metric.startswith(beginnings) for metric in read):
                yield f"{expression}: it ignores the variable ${name}"


def _all_queues(board: Json) -> Iterator[Problem]:
    """Yield the queries of metrics without a queue whose panel does not say that they are of all queues."""
    saying = {panel.get("title") for panel in panels(board) if ALL_QUEUES.search(panel.get("description", ""))}
    for expression in expressions(board):
        if expression.panel not in saying and any(name.startswith(OF_ALL_QUEUES) for name in _read(expression.text)):
            yield f"{expression}: its metric has no queue, and the description does not say 'all queues'"


def _read(text: str) -> set[str]:
    """Return the metrics that a query reads, or none if it is not PromQL, which `_unknown_metrics` says."""
    try:
        return metric_names(text)
    except ValueError:
        return set()


def _unknown_metrics(board: Json, metrics: Collection[str]) -> Iterator[Problem]:
    texts = [(str(e), e.text) for e in expressions(board)]
    texts += [(f"annotation {a['name']}", a["expr"]) for a in board["annotations"]["list"]]
    for who, text in texts:
        try:
            yield from (f"{who}: no metric {name}" for name in sorted(metric_names(text) - set(metrics)))
        except ValueError as error:
            yield f"{who}: {error}"


def _rules_of_alerts(board: Json) -> Iterator[Problem]:
    """Yield the tables of alerts that lead to no rule, which has the link to the runbook."""
    for panel in panels(board):
        is_of_alerts = panel["type"] == Kind.TABLE and "ALERTS{" in panel["targets"][0]["expr"]
        if is_of_alerts and "/alerting/list?search=${__value.raw}" not in str(panel["fieldConfig"]["overrides"]):
            yield f"{panel['title']!r} has no link to the rule of an alert"


def _broken_links(board: Json, uids: Collection[str]) -> Iterator[Problem]:
    for panel in panels(board):
        for override in panel.get("fieldConfig", {}).get("overrides", []):
            for link in (url for p in override["properties"] if p["id"] == "links" for url in p["value"]):
                if link["url"].startswith("/alerting/list?"):  # Grafana's page of rules has no variables
                    continue
                target, _, chosen = link["url"].removeprefix("/d/").partition("?")
                if target not in uids:
                    yield f"{panel.get('title')!r} links to the unknown dashboard {target!r}"
                if "${datasource:queryparam}" not in chosen.split("&"):
                    yield f"{panel.get('title')!r} links to {target!r} without the chosen data source"
    yield from (
        f"link {link['title']!r} drops the chosen variables"
        for link in board["links"]
        if link["type"] == "dashboards" and not link.get("includeVars")
    )


CHECKS: tuple[Callable[[Json], Iterator[Problem]], ...] = (
    *(_identity, _ids, _grid, _words, _kinds, _sources, _queries),
    *(_headline, _unknown_values, _drawing, _limits, _compared, _text_columns, _placement),
    *(_ignored_variables, _all_queues, _rules_of_alerts),
)
