"""Checks of a dashboard's JSON against our conventions and the existing metrics."""

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
UNITS = frozenset({"none", "s", "bytes", "Bps", "percentunit", "currencyUSD"})
TRANSFORMATIONS = frozenset(
    {"joinByField", "organize", "sortBy", "filterFieldsByName", "convertFieldType", "groupingToMatrix"}
)
UID = re.compile(r"[a-z0-9-]{1,40}")
#: Filled in by the import dialog only, not by provisioning.
OF_THE_DIALOG = ("__inputs", "__requires", "id", "version")
#: Grafana's minimum is 5 s (`min_refresh_interval`).
REFRESHES = frozenset({"5s", "15s", "1m"})
COUNTED = re.compile(r"\b(?:rate|increase)\(\s*([a-z_:]+)")
COUNTERS = ("_total", "_bucket", "_sum", "_count")


def problems(board: Json, metrics: Collection[str], uids: Collection[str]) -> list[Problem]:
    """Return the problems of a dashboard's JSON.

    `metrics` and `uids` are the metric names and dashboard uids that the JSON may refer to.
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
        if unit not in UNITS and not unit.startswith("suffix: "):
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
        over_time = panel["type"] in OVER_TIME
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


def _unknown_metrics(board: Json, metrics: Collection[str]) -> Iterator[Problem]:
    texts = [(str(e), e.text) for e in expressions(board)]
    texts += [(f"annotation {a['name']}", a["expr"]) for a in board["annotations"]["list"]]
    for who, text in texts:
        try:
            yield from (f"{who}: no metric {name}" for name in sorted(metric_names(text) - set(metrics)))
        except ValueError as error:
            yield f"{who}: {error}"


def _broken_links(board: Json, uids: Collection[str]) -> Iterator[Problem]:
    for panel in panels(board):
        for override in panel.get("fieldConfig", {}).get("overrides", []):
            for link in (url for p in override["properties"] if p["id"] == "links" for url in p["value"]):
                target, _, chosen = link["url"].removeprefix("/d/").partition("?")
                if target not in uids:
                    yield f"{panel.get('title')!r} links to the unknown dashboard {target!r}"
                if "${datasource:queryparam}" not in chosen.split("&"):
                    yield f"{panel.get('title')!r} links to {target!r} without the chosen data source"
    yield from (
        f"link {link['title']!r} drops the chosen variables" for link in board["links"] if not link.get("includeVars")
    )


CHECKS: tuple[Callable[[Json], Iterator[Problem]], ...] = (_identity, _ids, _grid, _words, _kinds, _sources, _queries)
