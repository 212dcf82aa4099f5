"""Heat map: the number of events per bucket over time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from grafana.panel import Panel
from grafana.picture import svg
from grafana.picture.answers import Line, Look, lines
from grafana.picture.axes import AXIS, Box, Scale, time_marks
from grafana.picture.frame import nothing, unit
from grafana.picture.values import shown

SHADES = ("#fdd0a2", "#fdae6b", "#f16913", "#d94801", "#8c2d04")
#: `increase()` extrapolates at the edges, so smaller values are noise.
NOISE = 0.01
#: Smallest maximum of the colour scale: a few events do not get the darkest shade.
FEW = 4.0


def heat(panel: Panel, look: Look, box: Box) -> Iterator[str]:
    """Draw the buckets that have events, with one empty bucket below them and one above."""
    found = sorted(lines(panel, look), key=_bound)
    if not found:
        yield from nothing(panel, look, box)
        return
    cells = _differences(found)
    used = [n for n, row in enumerate(cells) if any(value > NOISE for value in row.values())] or [0]
    shown_rows = range(max(0, min(used) - 1), min(len(found), max(used) + 2))
    labels = [f"≤ {shown(_bound(found[n]), unit(panel, look))}" for n in shown_rows]
    plot = box.inside(left=max(svg.width_of(label, AXIS) for label in labels) + 8, top=4, right=6, bottom=20)
    yield from time_marks(Scale(look.start, look.end, plot.x, plot.right), plot)
    pitch = plot.height / len(labels)
    most = max(FEW, *(value for row in cells for value in row.values()))
    for place, (number, label) in enumerate(zip(shown_rows, labels, strict=True)):
        band = Box(plot.x, plot.bottom - (place + 1) * pitch, plot.width, pitch)
        yield svg.text(plot.x - 7, band.y + pitch / 2 + 4, label, AXIS, svg.SOFT, "end")
        yield from _band(cells[number], most, look, band)


def _band(row: dict[float, float], most: float, look: Look, band: Box) -> Iterator[str]:
    times = Scale(look.start, look.end, band.x, band.right)
    step = min((b - a for a, b in pairwise(row)), default=15.0)
    for moment, value in row.items():
        if value > NOISE:
            left = max(band.x, times.at(moment - step))
            shade = SHADES[min(len(SHADES) - 1, int(len(SHADES) * value / most))]
            yield svg.rect(left + 0.5, band.y + 0.5, times.at(moment) - left - 1, band.height - 1, shade, 1)


def _bound(line: Line) -> float:
    return float(line.labels.get("le", "inf"))


def _differences(found: Sequence[Line]) -> list[dict[float, float]]:
    """Return the number of events of each bucket.

    The number is the bucket's cumulative count minus that of the next lower bucket.
    """
    made: list[dict[float, float]] = []
    below: dict[float, float] = {}
    for line in found:
        values = dict(line.points)
        made.append({t: max(0.0, v - below.get(t, 0.0)) for t, v in values.items() if math.isfinite(v)})
        below = values
    return made
