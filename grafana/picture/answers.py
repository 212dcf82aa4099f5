"""Prometheus' results for the queries of a panel: lines over a time window, or values at its end."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from core import promql
from core.language import Language
from grafana.expressions import filled
from grafana.fields import in_language
from grafana.panel import Panel, Query

#: Grafana's classic palette, in the order it gives its colours to series
PALETTE = ("#73BF69", "#F2CC0C", "#5794F2", "#FF9830", "#B877D9", "#37872D", "#E0B400", "#1F60C4", "#FA6400", "#8F3BB8")
POINTS = 240
SHORTEST_STEP_OF_RATES = 15.0
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Look:
    """View of the data: time window in epoch seconds, language, and values of the variables."""

    url: str
    start: float
    end: float
    lang: Language
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Line:
    """One series of a query result, with its name and colour on the panel.

    `labels` are the series' labels in Prometheus.
    """

    name: str
    color: str
    labels: Mapping[str, str]
    points: Points
    is_limit: bool = False

    @property
    def last(self) -> float:
        """Return the last value."""
        return self.points[-1][1]


def lines(panel: Panel, look: Look) -> list[Line]:
    """Return the panel's series over the time window."""
    made: list[Line] = []
    for query in panel.queries:
        made += _lines_of(panel, query, look, _step(query, look), len(made))
    return made


def now(panel: Panel, query: Query, look: Look, position: int = 0) -> list[Line]:
    """Return the series of one query at the end of the time window."""
    moment = Look(look.url, look.end, look.end, look.lang, {**look.variables, "__range": _span(look)})
    return _lines_of(panel, query, moment, 1.0, position)


def _lines_of(panel: Panel, query: Query, look: Look, step: float, position: int) -> list[Line]:
    text = filled(query.expr, _macros(look, step) | dict(look.variables))
    found = promql.query_range(look.url, text, look.start, look.end, step)
    known = [(each, tuple(point for point in each.points if math.isfinite(point[1]))) for each in found]
    return [
        _line(panel, query, look.lang, each.labels, points, position + n)
        for n, (each, points) in enumerate(known)
        if points
    ]


def _line(panel: Panel, query: Query, lang: Language, labels: Mapping[str, str], points: Points, number: int) -> Line:
    legend = re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), in_language(query.legend, lang))
    word = panel.words.get(legend)
    color = word.color if word else query.color or PALETTE[number % len(PALETTE)]
    name = word.text.to(lang) if word else legend or " ".join(labels.values())
    return Line(name, color, labels, points, query.is_limit)


def _step(query: Query, look: Look) -> float:
    step = max(1.0, round((look.end - look.start) / POINTS))
    return max(step, SHORTEST_STEP_OF_RATES) if "_interval" in query.expr else step


def _macros(look: Look, step: float) -> dict[str, str]:
    rate = max(4 * SHORTEST_STEP_OF_RATES, step + SHORTEST_STEP_OF_RATES)
    return {"__interval": f"{step:.0f}s", "__rate_interval": f"{rate:.0f}s", "__range": _span(look)}


def _span(look: Look) -> str:
    return f"{max(1, look.end - look.start):.0f}s"
