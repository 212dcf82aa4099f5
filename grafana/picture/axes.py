"""Scales and their tick marks: round steps on the value axis, times on the time axis."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from grafana.picture import svg

AXIS = 11.0


@dataclass(frozen=True)
class Box:
    """A rectangle on the page."""

    x: float
    y: float
    width: float
    height: float

    def inside(self, left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> Box:
        """Return the box reduced by a margin on each side."""
        return Box(self.x + left, self.y + top, self.width - left - right, self.height - top - bottom)

    @property
    def right(self) -> float:
        """Return the x of the right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Return the y of the lower edge."""
        return self.y + self.height


@dataclass(frozen=True)
class Scale:
    """Mapping of values to positions on a line."""

    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        """Return the position of a value."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0
        return self.begin + share * (self.end - self.begin)


def ticks(low: float, high: float, most: int = 5, base: int = 10) -> list[float]:
    """Return round values that cover `low` to `high`.

    The first value is at or below `low`, the last at or above `high`.
    """
    if high <= low:
        high = low + 1
    rough = (high - low) / most
    power = float(base ** math.floor(math.log(rough, base) + 1e-9))
    factors = (1, 2, 2.5, 5, 10) if base == 10 else (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    step = next(power * factor for factor in factors if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def time_marks(scale: Scale, box: Box) -> Iterator[str]:
    """Yield time labels (UTC) under a box."""
    span = scale.high - scale.low
    steps = (5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)
    room = max(2, int(box.width / 95))
    step = next((step for step in steps if span / step <= room), 43200)
    moment = math.ceil(scale.low / step) * step
    while moment <= scale.high:
        x = scale.at(moment)
        label = datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S" if step < 60 else "%H:%M")
        yield svg.line([(x, box.y), (x, box.bottom)], svg.LINE, 1)
        if box.x + 16 < x < box.right - 16:
            yield svg.text(x, box.bottom + 15, label, AXIS, svg.SOFT, "middle")
        moment += step
