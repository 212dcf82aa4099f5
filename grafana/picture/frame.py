"""Parts that all panels share: unit, legend, value axis, and the text shown without data."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from grafana.fields import in_language
from grafana.panel import Panel
from grafana.picture import svg
from grafana.picture.answers import Look
from grafana.picture.axes import AXIS, Box, Scale, ticks
from grafana.picture.values import shown

LEGEND = 18.0
BINARY = {"bytes", "Bps"}
PALE = {"#F2CC0C", "#9FA7B3"}


def unit(panel: Panel, look: Look) -> str:
    """Return the unit in the language of `look`."""
    return in_language(panel.unit, look.lang)


def nothing(panel: Panel, look: Look, box: Box) -> Iterator[str]:
    """Draw the text for a panel without data."""
    words = panel.empty.to(look.lang) if panel.empty else "–"
    yield svg.text(box.x + box.width / 2, box.y + box.height / 2 + 5, words, 13, svg.SOFT, "middle")


def threshold(panel: Panel, value: float) -> str:
    """Return the colour of a value by the panel's thresholds. Return '' without thresholds."""
    return next((color for start, color in reversed(panel.thresholds) if start is None or value >= start), "")


def value_axis(panel: Panel, look: Look, plot: Box, low: float, high: float) -> Generator[str, None, tuple[Scale, Box]]:
    """Draw a value axis. Return its scale and the part of the plot that is left for the lines."""
    marks = ticks(low, high, 4, 1024 if unit(panel, look) in BINARY else 10)
    labels = [_mark(panel, look, mark) for mark in marks]
    plot = plot.inside(left=max(svg.width_of(label, AXIS) for label in labels) + 8, right=6)
    scale = Scale(marks[0], marks[-1], plot.bottom, plot.y)
    for mark, label in zip(marks, labels, strict=True):
        yield svg.line([(plot.x, scale.at(mark)), (plot.right, scale.at(mark))], svg.LINE, 1)
        yield svg.text(plot.x - 7, scale.at(mark) + 4, label, AXIS, svg.SOFT, "end")
    return scale, plot


def _mark(panel: Panel, look: Look, value: float) -> str:
    words = unit(panel, look)
    if words.startswith("suffix:"):
        return f"{value:g}"
    return f"{100 * value:.3g} %" if words == "percentunit" else shown(round(value, 9), words)


def ink_on(color: str) -> str:
    """Return a text colour that is readable on `color`."""
    return svg.INK if color in PALE else "#ffffff"


def legend(entries: Sequence[tuple[str, str]], box: Box) -> Iterator[str]:
    """Draw names and colours along the lower edge of the box, as many as fit."""
    x, y = box.x, box.bottom - 3
    for name, color in entries:
        words = svg.cut(name, AXIS, box.width / 2)
        if x + svg.width_of(words, AXIS) + 16 > box.right:
            yield svg.text(x, y, "…", AXIS, svg.SOFT)
            return
        yield svg.rect(x, y - 7, 11, 4, color, 2)
        yield svg.text(x + 15, y, words, AXIS, svg.INK)
        x += svg.width_of(words, AXIS) + 28
