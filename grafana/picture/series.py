"""Lines and stacked bands over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from grafana.panel import Panel
from grafana.picture import svg
from grafana.picture.answers import Line, Look, lines
from grafana.picture.axes import Box, Scale, time_marks
from grafana.picture.frame import LEGEND, legend, nothing, value_axis


def series(panel: Panel, look: Look, box: Box) -> Iterator[str]:
    """Draw lines, or stacked bands, over the time window."""
    found = lines(panel, look)
    if not found:
        yield from nothing(panel, look, box)
        return
    plot = box.inside(top=4, bottom=20 + LEGEND)
    stacked = _stack([line for line in found if not line.is_limit]) if panel.stacked else []
    top = max([v for line in found for _, v in line.points] + [v for _, points in stacked for _, _, v in points])
    low = min(0.0, *(v for line in found for _, v in line.points)) if panel.minimum is None else panel.minimum
    values, plot = yield from value_axis(panel, look, plot, low, max(top, panel.maximum or 0))
    times = Scale(look.start, look.end, plot.x, plot.right)
    yield from time_marks(times, plot)
    for line, points in reversed(stacked):
        outline = [(times.at(t), values.at(high)) for t, _, high in points]
        base = [(times.at(t), values.at(low)) for t, low, _ in reversed(points)]
        yield svg.area(outline + base, line.color, 0.65)
    for line in found if not panel.stacked else [line for line in found if line.is_limit]:
        for part in _parts(line.points):
            places = [(times.at(t), values.at(v)) for t, v in part]
            yield svg.line(places, line.color, 1.5 if line.is_limit else 2, "7 6" if line.is_limit else "")
    visible = [line for line in found if not panel.stacked or any(value > top / 500 for _, value in line.points)]
    yield from legend([(line.name, line.color) for line in visible], box)


def _parts(points: Sequence[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """Yield sequences of points without gaps in time."""
    usual = min((b[0] - a[0] for a, b in pairwise(points)), default=0)
    part = [points[0]]
    for before, point in pairwise(points):
        if point[0] - before[0] > usual * 1.5:
            yield part
            part = []
        part.append(point)
    yield part if len(part) > 1 else [part[0], (part[0][0] + 2, part[0][1])]


def _stack(found: Sequence[Line]) -> list[tuple[Line, list[tuple[float, float, float]]]]:
    """Return each line with the lower and upper edge of its band at each time."""
    moments = sorted({t for line in found for t, _ in line.points})
    ground, made = dict.fromkeys(moments, 0.0), []
    for line in found:
        values = dict(line.points)
        band = [(t, ground[t], ground[t] + values.get(t, 0.0)) for t in moments]
        ground = {t: high for t, _, high in band}
        made.append((line, band))
    return made
