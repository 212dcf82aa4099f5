"""What a dashboard is: rows of panels from top to bottom, the variables they use, and where they stand on the grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.language import Text
from grafana.panel import Panel

GRID_WIDTH = 24


@dataclass(frozen=True)
class Variable:
    """A choice above the dashboard: the values of one label.

    `query` is Grafana's `label_values(metric, label)`, or `query_result(expression)` of series in the order of choice.
    """

    name: str
    title: Text
    query: str
    #: several values at once, "all" among them
    multiple: bool = False
    #: newest first, where the values begin with a date
    newest_first: bool = False


@dataclass(frozen=True)
class Row:
    """Panels under one heading; they flow from left to right and wrap."""

    title: Text
    panels: tuple[Panel, ...]
    height: int = 8


@dataclass(frozen=True)
class Place:
    """Where a row heading or a panel stands, in grid units."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Board:
    """One dashboard; its uid is its file's stem."""

    uid: str
    title: Text
    description: Text
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    time_from: str = "now-1h"
    refresh: str = "5s"


def placed(board: Board) -> Iterator[tuple[Row | Panel, Place]]:
    """Yield every row heading and panel with its place; a panel that does not fit begins a new line."""
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
