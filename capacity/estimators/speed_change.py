"""Change of the machine's speed during a run, by the CPU seconds that one and the same file costs."""

from __future__ import annotations

from dataclasses import dataclass

from capacity.estimators.interval import Floats, Interval, welch_interval

CONFIDENCE = 0.99
#: fewer videos leave an interval too wide for any change
FEWEST_VIDEOS = 8


@dataclass(frozen=True, slots=True)
class SpeedChange:
    """Mean CPU seconds per video in a run's second half / that in its first half, with a 99 % interval."""

    ratio: float
    interval: Interval

    def exceeds(self, tolerance: float) -> bool:
        """Return True if the whole interval lies further than `tolerance` from 1."""
        return self.interval.low > 1 + tolerance or self.interval.high < 1 - tolerance


def speed_change(cpu_seconds: Floats) -> SpeedChange | None:
    """Compare the halves of `cpu_seconds`, one entry per execution in start order; None for too few.

    The interval is Welch's t interval of the difference of the means, over the mean of the first half.
    """
    half = cpu_seconds.size // 2
    first, second = cpu_seconds[:half], cpu_seconds[-half:]
    if cpu_seconds.size < FEWEST_VIDEOS or first.mean() <= 0:
        return None
    ends = welch_interval(second, first, CONFIDENCE)
    interval = Interval(*(1 + float(end / first.mean()) for end in (ends.low, ends.high)))
    return SpeedChange(float(second.mean() / first.mean()), interval)
