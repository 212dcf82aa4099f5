"""Detect whether the machine became slower or faster during a run, from the CPU seconds per video."""

from __future__ import annotations

from dataclasses import dataclass

from capacity.estimators.interval import Floats, Interval, welch_interval

CONFIDENCE = 0.99
#: fewer videos leave an interval too wide for any change
FEWEST_VIDEOS = 8


@dataclass(frozen=True, slots=True)
class SpeedChange:
    """Mean CPU seconds per video in the second half of a run, divided by the mean in its first half.

    `interval` is the 99 % interval of this ratio.
    """

    ratio: float
    interval: Interval

    def exceeds(self, tolerance: float) -> bool:
        """Return True if the interval of the ratio lies above 1 + `tolerance` or below 1 - `tolerance`.

        Then the speed surely changed by more than `tolerance`. A tolerance of 0.05 is 5 %.
        """
        return self.interval.low > 1 + tolerance or self.interval.high < 1 - tolerance


def speed_change(cpu_seconds: Floats) -> SpeedChange | None:
    """Compare the mean CPU seconds per video in the two halves of a run.

    `cpu_seconds` has one entry per execution of the same file, in start order. The field `interval` of the result is
    1 + d / m: d is Welch's 99 % t interval of the difference of the two means, and m is the mean of the first half.
    Return None for fewer than 8 executions, or if m is 0.
    """
    half = cpu_seconds.size // 2
    first, second = cpu_seconds[:half], cpu_seconds[-half:]
    if cpu_seconds.size < FEWEST_VIDEOS or first.mean() <= 0:
        return None
    ends = welch_interval(second, first, CONFIDENCE)
    interval = Interval(*(1 + float(end / first.mean()) for end in (ends.low, ends.high)))
    return SpeedChange(float(second.mean() / first.mean()), interval)
