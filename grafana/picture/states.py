"""One band per series over time, in the colour of each value."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from grafana.panel import Panel
from grafana.picture import svg
from grafana.picture.answers import Line, Look, lines
from grafana.picture.axes import Box, Scale, time_marks
from grafana.picture.frame import LEGEND, legend, nothing

BAND, NAME = 22.0, 12.0


def states(panel: Panel, look: Look, box: Box) -> Iterator[str]:
    """Draw one band per series, as many as fit. A band has gaps where its series has no samples."""
    found = lines(panel, look)
    if not found:
        yield from nothing(panel, look, box)
        return
    names = min(box.width * 0.45, max(svg.width_of(line.name, NAME) for line in found) + 10)
    plot = box.inside(left=names, top=4, right=6, bottom=20 + LEGEND)
    times = Scale(look.start, look.end, plot.x, plot.right)
    yield from time_marks(times, plot)
    pitch = min(BAND + 8, plot.height / len(found))
    for number, line in enumerate(found):
        y, height = plot.y + number * pitch, max(4.0, min(BAND, pitch - 4))
        yield svg.text(box.x, y + height / 2 + 4, svg.cut(line.name, NAME, names), NAME, svg.INK)
        for start, end, value in _stretches(line):
            left, right = times.at(start), times.at(min(end, look.end))
            color = word.color if (word := panel.value_words.get(f"{value:g}")) else svg.SOFT
            yield svg.rect(left, y, right - left, height, color, fill_opacity="0.85")
    yield from legend([(word.text.to(look.lang), word.color) for word in panel.value_words.values()], box)


def _stretches(line: Line) -> Iterator[tuple[float, float, float]]:
    """Yield start, end and value of each state. A value lasts until the next step of the query."""
    step = min((b[0] - a[0] for a, b in pairwise(line.points)), default=1.0)
    start, value = line.points[0]
    for (before, _), (moment, after) in pairwise(line.points):
        if after != value or moment - before > step * 1.5:
            yield start, min(before + step, moment), value
            start, value = moment, after
    yield start, line.points[-1][0] + step, value
