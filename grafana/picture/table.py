"""A table: labels of the first query and one value per further query, joined on the panel's key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from grafana.fields import in_language
from grafana.panel import Panel
from grafana.picture import svg
from grafana.picture.answers import Line, Look, now
from grafana.picture.axes import Box
from grafana.picture.frame import PALE, nothing
from grafana.picture.values import shown
from grafana.wording import Word


def table(panel: Panel, look: Look, box: Box) -> Iterator[str]:
    """Draw the table's first rows, as many as fit."""
    rows = _rows(panel, look)
    titles = [in_language(column.title, look.lang) for column in panel.columns]
    wanted = [max(8.0, len(title) + 2, *(len(row[n][0]) + 2 for row in rows), 0) for n, title in enumerate(titles)]
    edges = [box.x + box.width * sum(wanted[:n]) / sum(wanted) for n in range(len(wanted) + 1)]
    numeric = [bool(column.expr) and not column.label for column in panel.columns]
    yield from _line(titles, [svg.SOFT] * len(titles), edges, numeric, box.y + 14, 12)
    pitch = 25.0
    for number, row in enumerate(rows[: int((box.height - 24) / pitch)]):
        y = box.y + 40 + number * pitch
        yield svg.line([(box.x, y - 17), (box.right, y - 17)], svg.LINE, 1)
        yield from _line([cell for cell, _ in row], [color for _, color in row], edges, numeric, y, 13)
    if not rows:
        yield from nothing(panel, look, box)


def _line(
    words: Sequence[str], colors: Sequence[str], edges: Sequence[float], numeric: Sequence[bool], y: float, size: float
) -> Iterator[str]:
    for number, (left, right) in enumerate(pairwise(edges)):
        x, anchor = (right - 14, "end") if numeric[number] else (left, "start")
        yield svg.text(x, y, svg.cut(words[number], size, right - left), size, colors[number], anchor)


def _rows(panel: Panel, look: Look) -> list[list[tuple[str, str]]]:
    """Return a table's cells with their colours, joined on its key, newest first."""
    answers = [now(panel, query, look) for query in panel.queries]
    joined = [{line.labels.get(panel.key, ""): line for line in answer} for answer in answers[1:]]
    facts = sorted(answers[0], key=lambda line: line.labels.get(panel.key, ""), reverse=True)
    return [
        [*_cells(panel, look, fact, [answer.get(fact.labels.get(panel.key, "")) for answer in joined])]
        for fact in facts
    ]


def _cells(panel: Panel, look: Look, fact: Line, values: Sequence[Line | None]) -> Iterator[tuple[str, str]]:
    remaining = iter(values)
    for column in panel.columns:
        line = next(remaining) if column.expr else fact
        if column.label:
            value = line.labels.get(column.label, "–") if line else "–"
            word = column.words.get(value)
            link = "#2459c4" if column.link else svg.INK
            yield (word.text.to(look.lang), _readable(word)) if word else (value, link)
        else:
            yield shown(line.last if line else None, column.unit, column.decimals), svg.INK


def _readable(word: Word) -> str:
    return "#7a6100" if word.color in PALE else word.color
