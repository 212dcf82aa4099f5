"""Find the PromQL queries in a dashboard's JSON, with their variables and the metrics they read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser as promql

#: Grafana's values at the shortest step of rates and a range of one hour.
MACROS = {"__range": "1h", "__rate_interval": "1m", "__interval": "15s", "__from": "0"}
VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?::\w+)?\}|([A-Za-z_]\w*))")


@dataclass(frozen=True)
class Expression:
    """One PromQL query in a dashboard's JSON, and where it stands.

    `board` is the dashboard's id, `panel` the title of the panel, and `ref_id` Grafana's letter of the query.
    """

    board: str
    panel: str
    ref_id: str
    text: str
    #: Evaluated once, at the end of the range.
    is_instant: bool
    #: The panel has a text for the case without data.
    says_why: bool

    def __str__(self) -> str:
        return f"{self.board} · {self.panel} · {self.ref_id}"


def expressions(board: Mapping[str, Any]) -> Iterator[Expression]:
    """Yield every PromQL query in a dashboard's JSON."""
    for panel in panels(board):
        says_why = bool(panel.get("fieldConfig", {}).get("defaults", {}).get("noValue"))
        for target in panel.get("targets", []):
            where = (board["uid"], panel.get("title", ""), target["refId"])
            yield Expression(*where, target["expr"], bool(target.get("instant")), says_why)


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the panels in a dashboard's JSON, without row headings."""
    return [panel for panel in board.get("panels", []) if panel["type"] != "row"]


def variables_of(text: str) -> set[str]:
    """Return the names of the dashboard's variables that a PromQL query uses.

    Names that start with `__` are left out, because these are Grafana's own variables.
    """
    return {name for name in _names(text) if not name.startswith("__")}


def filled(text: str, values: Mapping[str, str] | None = None) -> str:
    """Return the PromQL query `text` of a dashboard with a value in place of each variable.

    `values` maps the name of a variable to its value. A variable without a value becomes `.+`. Each of Grafana's own
    variables gets a fixed value, such as `1h` for `$__range`.
    """
    replacements = MACROS | dict(values or {})
    return VARIABLE.sub(lambda match: replacements.get(match[1] or match[2], ".+"), text)


def metric_names(text: str) -> set[str]:
    """Return the names of the metrics that a PromQL query reads.

    `text` is a query of a dashboard, and can contain variables. Raise ValueError if it is not PromQL.
    """
    return set(_selected(promql.parse(filled(text))))


def _names(text: str) -> set[str]:
    return {match[1] or match[2] for match in VARIABLE.finditer(text)}


def _selected(node: Any) -> Iterator[str]:
    """Yield the metric names in the syntax tree.

    The `$1` in an argument of label_replace is a string and no metric, so it is ignored.
    """
    if isinstance(node, promql.VectorSelector):
        yield node.name or ""
    for child in _children(node):
        yield from _selected(child)


def _children(node: Any) -> list[Any]:
    parts = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "vector_selector", "selector")]
    arguments = getattr(node, "args", None) or []
    return [part for part in (*parts, *arguments) if part is not None]
