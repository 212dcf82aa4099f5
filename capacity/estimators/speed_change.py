"""Change of the machine's speed during a run, by the CPU seconds that one and the same file costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from capacity.estimators.interval import Floats, Interval

CONFIDENCE = 0.99
#: fewer videos leave an interval too wide for any change
FEWEST_VIDEOS = 8


@dataclass(frozen=True, slots=True)
class SpeedChange:
    """Mean CPU seconds per video of the second half over those of the first, with a 99 % interval."""

    ratio: float
    interval: Interval

    def exceeds(self, tolerance: float) -> bool:
        """Return True if the whole interval lies further than `tolerance` from 1."""
        return self.interval.low > 1 + tolerance or self.interval.high < 1 - tolerance


def speed_change(cpu_seconds: Floats) -> SpeedChange | None:
    """Compare the halves of `cpu_seconds`, one entry per execution in start order; None for too few.

    The interval is Welch's t interval of a ratio of means (Welch 1947, with the variances of the delta method).
    """
    half = cpu_seconds.size // 2
    first, second = cpu_seconds[:half], cpu_seconds[-half:]
    if cpu_seconds.size < FEWEST_VIDEOS or first.mean() <= 0:
        return None
    ratio = float(second.mean() / first.mean())
    parts = np.array([second.var(ddof=1), ratio**2 * first.var(ddof=1)]) / (half * first.mean() ** 2)
    variance = float(parts.sum())
    degrees = variance**2 / float((parts**2).sum() / (half - 1)) if variance > 0 else float("inf")
    width = float(stats.t.ppf(0.5 + CONFIDENCE / 2, degrees)) * np.sqrt(variance)
    return SpeedChange(ratio, Interval(float(ratio - width), float(ratio + width)))
