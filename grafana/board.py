"""Types that describe a dashboard: its rows of panels, its drop-down lists, and where panels stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.language import Text
from grafana.panel import Panel

GRID_WIDTH = 24


@dataclass(frozen=True)
class Variable:
    """A drop-down list of a dashboard, from which the user chooses values of one label.

    Grafana evaluates `query` to fill the list. The values of `label_values(metric, label)` are sorted. The values of
    `query_result(expression)` keep the order of the PromQL result, unless `is_sorted` is True.
    """

    name: str
    title: Text
    query: Text | str
    #: Allows several values, and "all".
    multiple: bool = False
    #: "All" means the listed values, not any value.
    only_listed: bool = False
    #: Text and value that are chosen first. Without them, Grafana chooses the first value.
    default: tuple[Text, str] | None = None
    #: A `query_result` has the shown text of each value in this label, and is then sorted by it if `is_sorted`.
    shown_label: str = ""
    is_sorted: bool = False
    #: Sorts descending: newest first, for values that start with a date.
    newest_first: bool = False


@dataclass(frozen=True)
class Row:
    """Panels of a dashboard below one heading, placed from left to right in as many lines as they need."""

    title: Text
    panels: tuple[Panel, ...]
    height: int = 8


@dataclass(frozen=True)
class Place:
    """Position and size of a row heading or a panel on a dashboard, in units of Grafana's grid."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Board:
    """One dashboard: its title, its rows of panels and its drop-down lists.

    `uid` is Grafana's id of the dashboard. The JSON file has this id as its name.
    """

    uid: str
    title: Text
    description: Text
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    time_from: str = "now-1h"
    refresh: str = "5s"


def placed(board: Board) -> Iterator[tuple[Row | Panel, Place]]:
    """Yield every row heading and panel of a dashboard, each with its position and size.

    Panels are placed from left to right. A panel that is too wide for the free space starts a new line.
    """
    y = 0
    for row in board.rows:
        yield row, Place(0, y, GRID_WIDTH, 1)
        y, x = y + 1, 0
        for panel in row.panels:
            if x + panel.width > GRID_WIDTH:
                x, y = 0, y + row.height
            yield panel, Place(x, y, panel.width, row.height)
            x += panel.width
        y += row.height
