"""What a panel is: a question, the queries that answer it, a unit, and how the answer is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.language import Text
from grafana.wording import Words


class Kind(StrEnum):
    """Grafana's names of the panels we use."""

    STAT = "stat"
    SERIES = "timeseries"
    BARS = "bargauge"
    CHART = "barchart"
    TABLE = "table"
    HEAT = "heatmap"
    STATES = "state-timeline"


#: kinds that show how something went; the others ask once, at the end of the range: what is gone now is not shown
OVER_TIME = frozenset({Kind.SERIES, Kind.HEAT, Kind.STATES})


@dataclass(frozen=True)
class Query:
    """One PromQL expression; `legend` is a fixed text or Grafana's pattern such as `{{state}}`."""

    expr: str
    legend: Text | str = ""
    color: str | None = None
    #: drawn as a dashed line: a limit rather than a measurement
    is_limit: bool = False


@dataclass(frozen=True)
class Column:
    """One column of a table: a label of the first query, or the value of a query of its own."""

    title: Text
    label: str = ""
    expr: str = ""
    unit: str = "none"
    decimals: int | None = None
    words: Words = field(default_factory=dict)
    #: address the cell opens, with Grafana's `${__value.raw}`
    link: str = ""
    width: int | None = None


@dataclass(frozen=True)
class Panel:
    """One panel; `question` becomes its description, `empty` says what it means when there is nothing to show."""

    kind: Kind
    title: Text
    question: Text
    queries: tuple[Query, ...]
    unit: Text | str
    width: int = 8
    decimals: int | None = None
    minimum: float | None = 0
    maximum: float | None = None
    stacked: bool = False
    words: Words = field(default_factory=dict)
    #: (from this value on, colour); the first has None
    thresholds: tuple[tuple[float | None, str], ...] = ()
    empty: Text | None = None
    columns: tuple[Column, ...] = ()
    #: shows the names of series instead of their values (a status)
    by_name: bool = False
    #: the table has one row per value of this label
    key: str = ""
    transformations: tuple[dict[str, Any], ...] = ()
    #: draws numbers 0/1 as words, such as up and down
    value_words: Words = field(default_factory=dict)
    #: pixels a label below a bar needs; where bars stand closer, some labels are left out
    label_width: int = 0

    @property
    def is_instant(self) -> bool:
        """Say whether its queries are asked at the end of the range only."""
        return self.kind not in OVER_TIME


def stat(title: Text, question: Text, expr: str, unit: Text | str, **more: Any) -> Panel:
    """Return one number, as it is at the end of the range."""
    return Panel(Kind.STAT, title, question, (Query(expr, more.pop("legend", title)),), unit, **{"width": 4, **more})


def series(title: Text, question: Text, queries: tuple[Query, ...], unit: Text | str, **more: Any) -> Panel:
    """Return lines over time."""
    return Panel(Kind.SERIES, title, question, queries, unit, **more)


def states(title: Text, question: Text, queries: tuple[Query, ...], value_words: Words, **more: Any) -> Panel:
    """Return one band per series over time, in the colour and under the word of each value."""
    return Panel(Kind.STATES, title, question, queries, "none", value_words=value_words, **more)


def bars(title: Text, question: Text, queries: tuple[Query, ...], unit: Text | str, **more: Any) -> Panel:
    """Return one horizontal bar per series, now."""
    return Panel(Kind.BARS, title, question, queries, unit, **more)


def heat(title: Text, question: Text, buckets: str, unit: str, **more: Any) -> Panel:
    """Return a distribution over time; `buckets` is a sum by (le)."""
    return Panel(Kind.HEAT, title, question, (Query(buckets, "{{le}}"),), unit, **more)


def chart(title: Text, question: Text, queries: tuple[Query, ...], unit: Text | str, **more: Any) -> Panel:
    """Return bars over categories; `transformations` shape the frames, the first text column names the bars."""
    return Panel(Kind.CHART, title, question, queries, unit, **more)


def table(title: Text, question: Text, facts: str, key: str, columns: tuple[Column, ...], **more: Any) -> Panel:
    """Return one row per `key`: labels of `facts`, and one joined value per column with an expression."""
    queries = (Query(facts), *(Query(column.expr) for column in columns if column.expr))
    return Panel(Kind.TABLE, title, question, queries, "none", columns=columns, key=key, **{"width": 24, **more})
