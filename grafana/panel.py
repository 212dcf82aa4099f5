"""Types that describe a panel of a dashboard, and one function for each kind of panel."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.language import Text, same
from grafana.wording import Words

#: (lower limit, colour). The first limit is None.
Thresholds = tuple[tuple[float | None, str], ...]
NO_DATA = Text("sin datos", "no data")
DASH = same("–")


class Kind(StrEnum):
    """Kinds of panels that our dashboards use. The values are Grafana's names."""

    STAT = "stat"
    SERIES = "timeseries"
    BARS = "bargauge"
    CHART = "barchart"
    TABLE = "table"
    HEAT = "heatmap"
    STATES = "state-timeline"


#: Kinds with range queries. The others query at the end of the range only, so ended series are not shown.
OVER_TIME = frozenset({Kind.SERIES, Kind.HEAT, Kind.STATES})


@dataclass(frozen=True)
class Query:
    """One PromQL query of a panel. `legend` is a fixed text or a pattern such as `{{state}}`."""

    expr: str
    legend: Text | str = ""
    color: str | None = None
    #: Draws a dashed line, for a limit instead of a measurement.
    is_limit: bool = False


@dataclass(frozen=True)
class Column:
    """One column of a table panel. Its cells show a label, or the values of a query.

    - `label` alone: the cells show this label of the table's first query.
    - `expr` alone: the cells show the values of the query `expr`.
    - Both: the cells show the label `label` of the query `expr`.
    """

    title: Text
    label: str = ""
    expr: str = ""
    unit: str = "none"
    decimals: int | None = None
    words: Words = field(default_factory=dict)
    #: (lower limit, colour) of the text. The first limit is None.
    thresholds: Thresholds = ()
    #: URL that the cell opens, with Grafana's `${__value.raw}`.
    link: str = ""
    width: int | None = None
    #: Its texts can be longer than the column, and a click shows them whole.
    is_long: bool = False
    #: The column is not shown. Its values are for the links of other columns.
    is_hidden: bool = False
    empty: Text = DASH


@dataclass(frozen=True)
class Panel:
    """One panel of a dashboard: its kind, title, PromQL queries and display options.

    `question` is the question that the panel answers, shown as its description. `empty` is the text shown without data.
    `unit` is the name of a unit of Grafana, or a Text with the word for another unit.
    """

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
    #: A series panel draws them as lines.
    thresholds: Thresholds = ()
    empty: Text = NO_DATA
    columns: tuple[Column, ...] = ()
    #: Shows the names of the series beside their values, even of a single one.
    is_named: bool = False
    #: The table has one row per value of this label.
    key: str = ""
    #: Labels of the table's first query by whose numbers its rows are sorted, the most important first. Without any,
    #: the rows are sorted by their key, the greatest first.
    order: tuple[str, ...] = ()
    transformations: tuple[dict[str, Any], ...] = ()
    #: Shows the values 0 and 1 as words such as up and down.
    value_words: Words = field(default_factory=dict)
    #: The bars of a chart are horizontal.
    is_horizontal: bool = False
    #: Draws each sample as a bar, so that one sample alone is visible.
    as_bars: bool = False
    #: Shows the recent course behind the number.
    sparkline: bool = False

    @property
    def is_instant(self) -> bool:
        """Return True if the panel's queries are evaluated only at the end of the dashboard's time range."""
        return self.kind not in OVER_TIME and not self.sparkline

    @property
    def is_compared(self) -> bool:
        """Return True if the panel has several lines, whose last and highest values a reader compares.

        Stacked areas and bars are parts of a sum. A limit is no line to compare.
        """
        measured = [query for query in self.queries if not query.is_limit]
        is_by_label = any("{{" in str(query.legend) for query in measured)
        has_lines = self.kind is Kind.SERIES and not self.stacked and not self.as_bars
        return has_lines and (is_by_label or len(measured) > 1)

    @property
    def unit_text(self) -> Text | None:
        """Return the word for this panel's unit, or None if the field `unit` names a unit that Grafana has."""
        return self.unit if isinstance(self.unit, Text) else None


def stat(title: Text, question: Text, expr: str, unit: Text | str, **more: Any) -> Panel:
    """Return a panel that shows one number: the value at the end of the dashboard's time range.

    `expr` is the PromQL query for the number. `more` has further fields of Panel. With `sparkline=True`, the panel also
    shows a small curve, and `expr` must return one series without labels.
    """
    # without NaN, Grafana would show the last value of a series that has ended
    text = f"({expr}) or vector(NaN)" if more.get("sparkline") else expr
    return Panel(Kind.STAT, title, question, (Query(text, more.pop("legend", title)),), unit, **{"width": 4, **more})


def series(title: Text, question: Text, queries: tuple[Query, ...], unit: Text | str, **more: Any) -> Panel:
    """Return a panel with curves over time, one for each series of the queries.

    `more` has further fields of Panel.
    """
    return Panel(Kind.SERIES, title, question, queries, unit, **more)


def states(title: Text, question: Text, queries: tuple[Query, ...], value_words: Words, **more: Any) -> Panel:
    """Return a panel with horizontal bands over time, one for each series of the queries.

    `value_words` maps a value of a series to the word and colour of the band. `more` has further fields of Panel.
    """
    return Panel(Kind.STATES, title, question, queries, "none", value_words=value_words, **more)


def bars(title: Text, question: Text, queries: tuple[Query, ...], unit: Text | str, **more: Any) -> Panel:
    """Return a panel with horizontal bars, one for each series of the queries.

    A bar shows the value of its series at the end of the dashboard's time range. `more` has further fields of Panel.
    """
    return Panel(Kind.BARS, title, question, queries, unit, **more)


def heat(title: Text, question: Text, buckets: str, unit: Text, **more: Any) -> Panel:
    """Return a panel with a heat map, which shows how a distribution of values changes over time.

    `buckets` is a PromQL query of the form `sum by (le) (...)`. `more` has further fields of Panel.
    """
    return Panel(Kind.HEAT, title, question, (Query(buckets, "{{le}}"),), unit, **more)


def chart(title: Text, question: Text, queries: tuple[Query, ...], unit: Text | str, **more: Any) -> Panel:
    """Return a panel with one bar per category, such as a video size.

    `more` has further fields of Panel. The field `transformations` is required: it joins the query results into one
    table. The first text column of this table has the categories.
    """
    return Panel(Kind.CHART, title, question, queries, unit, **more)


def table(title: Text, question: Text, facts: str, key: str, columns: tuple[Column, ...], **more: Any) -> Panel:
    """Return a panel with a table that has one row per value of the label `key`, such as a run id.

    `facts` is a PromQL query that returns one series per row. The series of each query in `columns` must also have the
    label `key`. `more` has further fields of Panel.
    """
    chosen = f"and on ({key}) ({facts})"
    queries = (Query(facts), *(Query(f"({column.expr}) {chosen}") for column in columns if column.expr))
    return Panel(Kind.TABLE, title, question, queries, "none", columns=columns, key=key, **{"width": 24, **more})
