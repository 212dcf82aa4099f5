"""Draw charts as inline SVG that stretches to any width, with labels in HTML (docs/adr/0030).

A colour is the name of a CSS variable of the page, such as `blue`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from capacity.estimators.interval import Floats

WIDTH, HEIGHT = 1000.0, 100.0
TICKS = 5


@dataclass(frozen=True)
class Axis:
    """A linear axis of a chart, from `low` to `high`. Its last label shows the unit.

    `is_count` is true for numbers of things, such as slots: the labels are then whole numbers.
    """

    low: float
    high: float
    unit: str = ""
    is_count: bool = False

    def share(self, value: float) -> float:
        """Return where a value is on the axis: 0 at the low end, 1 at the high end."""
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0

    def ticks(self) -> list[float]:
        """Return a few round values on the axis, to be labelled."""
        step = max(_round_step((self.high - self.low) / TICKS), 1.0 if self.is_count else 0.0)
        first = np.ceil(self.low / step - 1e-9) * step
        return [float(v) + 0.0 for v in np.arange(first, self.high + step * 1e-6, step)]  # + 0.0: no "-0"


@dataclass(frozen=True)
class Frame:
    """The plotting area of one chart, with its two axes. `pixels` is its height in CSS pixels."""

    x: Axis
    y: Axis
    pixels: int = 180

    def point(self, x: float, y: float) -> str:
        """Return the SVG coordinates of the point (x, y) as `left,top`."""
        return f"{WIDTH * self.x.share(x):.1f},{HEIGHT * (1 - self.y.share(y)):.2f}"

    def line(self, xs: Floats, ys: Floats, colour: str, dashed: bool = False) -> str:
        """Return the SVG of a line through the points. NaN makes a gap."""
        style = ' stroke-dasharray="6 5"' if dashed else ""
        return "".join(
            f'<polyline points="{" ".join(self.point(x, y) for x, y in piece)}" stroke="var(--{colour})"{style}/>'
            for piece in _pieces(xs, ys)
        )

    def area(self, xs: Floats, ys: Floats, colour: str) -> str:
        """Return the SVG of the filled area below a line through the points."""
        return "".join(
            f'<polygon points="{self.point(piece[0][0], self.y.low)} '
            f'{" ".join(self.point(x, y) for x, y in piece)} {self.point(piece[-1][0], self.y.low)}" '
            f'fill="var(--{colour})" opacity=".25"/>'
            for piece in _pieces(xs, ys)
        )

    def box(self, x0: float, x1: float, y0: float, y1: float, colour: str, title: str = "") -> str:
        """Return the SVG of a filled rectangle from (x0, y0) to (x1, y1), wide enough to be seen.

        `title` is the tooltip of the rectangle.
        """
        left, right = WIDTH * self.x.share(x0), WIDTH * self.x.share(x1)
        top, bottom = HEIGHT * (1 - self.y.share(y1)), HEIGHT * (1 - self.y.share(y0))
        tooltip = f"<title>{escape(title)}</title>" if title else ""
        return (
            f'<rect x="{left:.1f}" y="{top:.2f}" width="{max(right - left, 0.6):.1f}" '
            f'height="{bottom - top:.2f}" fill="var(--{colour})">{tooltip}</rect>'
        )

    def whisker(self, x: float, low: float, high: float, colour: str) -> str:
        """Return the HTML of an interval: a vertical line at `x` from `low` to `high`, with two caps.

        An end outside the axis has an arrow in place of its cap.
        """
        cuts = "".join(
            name for name, is_cut in ((" cut-high", high > self.y.high), (" cut-low", low < self.y.low)) if is_cut
        )
        low, high = max(low, self.y.low), min(high, self.y.high)
        bottom, height = 100 * self.y.share(low), 100 * (self.y.share(high) - self.y.share(low))
        place = f"left:{100 * self.x.share(x):.2f}%;bottom:{bottom:.2f}%;height:{height:.2f}%;color:var(--{colour})"
        return f'<i class="whisker{cuts}" style="{place}"></i>'

    def dot(self, x: float, y: float, colour: str, title: str) -> str:
        """Return the HTML of a dot at (x, y). As HTML, it stays round when the chart stretches.

        `title` is its tooltip.
        """
        left, bottom = 100 * self.x.share(x), 100 * self.y.share(y)
        place = f"left:{left:.2f}%;bottom:{bottom:.2f}%;background:var(--{colour})"
        return f'<i class="dot" style="{place}" title="{escape(title)}"></i>'


def draw(frame: Frame, name: str, shapes: Iterable[str], dots: Iterable[str] = (), names: Sequence[str] = ()) -> str:
    """Return a chart as HTML: a heading, two axes, and the lines, areas and dots in the chart.

    `name` is the heading. `shapes` are the SVG texts of lines, areas and boxes. `dots` are the HTML texts of dots and
    whiskers. `names` replace the numbers on the y axis, from top to bottom.
    """
    grid = "".join(f'<line class="grid" {_across(frame, y)}/>' for y in ([] if names else frame.y.ticks()))
    return (
        f'<figure class="chart" role="img" aria-label="{escape(name)}"><figcaption>{escape(name)}</figcaption>'
        f'<div class="plane" style="height:{frame.pixels}px">'
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="none" aria-hidden="true">'
        f"{grid}{''.join(shapes)}</svg>{''.join(dots)}{_x_labels(frame.x)}{_y_labels(frame.y, names)}</div></figure>"
    )


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Return the HTML of a chart's legend. Each entry is a colour and its meaning."""
    items = (f'<li><i style="background:var(--{colour})"></i>{escape(name)}</li>' for colour, name in entries)
    return f'<ul class="legend">{"".join(items)}</ul>'


def thinned(xs: Floats, ys: Floats, points: int = 400) -> tuple[Floats, Floats]:
    """Return at most `points` of a curve's points, evenly chosen, with the first and the last point."""
    if xs.size <= points:
        return xs, ys
    chosen = np.linspace(0, xs.size - 1, points).astype(np.int64)
    return xs[chosen], ys[chosen]


def _pieces(xs: Floats, ys: Floats) -> list[list[tuple[float, float]]]:
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(xs.tolist(), ys.tolist(), strict=True):
        if np.isfinite(y):
            pieces[-1].append((x, y))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _across(frame: Frame, y: float) -> str:
    height = HEIGHT * (1 - frame.y.share(y))
    return f'x1="0" x2="{WIDTH:g}" y1="{height:.2f}" y2="{height:.2f}"'


def _x_labels(axis: Axis) -> str:
    ticks = axis.ticks()
    unit = f" {escape(axis.unit)}" if axis.unit else ""
    spans = (
        f'<b class="x" style="left:{100 * axis.share(v):.2f}%">{v:g}{unit if v == ticks[-1] else ""}</b>' for v in ticks
    )
    return "".join(spans)


def _y_labels(axis: Axis, names: Sequence[str]) -> str:
    labels = [(100 * axis.share(v), f"{v:g}{axis.unit}") for v in axis.ticks()]
    if names:
        labels = [(100 * (1 - (row + 0.5) / len(names)), name) for row, name in enumerate(names)]
    return "".join(f'<b class="y" style="bottom:{share:.2f}%">{escape(name)}</b>' for share, name in labels)


def _round_step(rough: float) -> float:
    if not rough > 0:
        return 1.0
    magnitude = 10.0 ** np.floor(np.log10(rough))
    return float(next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= rough * 0.999))
