"""Little's law, L = X R: compare recorded times with queue counters.

The run must start and end with an empty system.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from capacity.estimators.interval import Floats

OK_MISMATCH = 0.05
WARN_MISMATCH = 0.10


class Agreement(StrEnum):
    """Agreement of two measurements of the same quantity."""

    OK = "ok"
    WARN = "warn"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LittleCheck:
    """Mean number of videos present: counted by the queue, and implied by the recorded times.

    `mismatch` is implied / counted - 1.
    """

    counted_mean: float
    implied_mean: float
    mismatch: float
    agreement: Agreement


def check_littles_law(counted: Floats, arrived_at: Floats, left_at: Floats) -> LittleCheck:
    """Compare the polled counts (visible plus in flight) with the time that videos spent in the system.

    `counted` has one entry per poll. `arrived_at` and `left_at` have one entry per video, in seconds, NaN where
    unknown.
    """
    finite = np.isfinite(arrived_at) & np.isfinite(left_at)
    samples = counted[np.isfinite(counted)]
    if not finite.any() or not samples.size or not samples.any():
        return LittleCheck(float("nan"), float("nan"), float("nan"), Agreement.UNKNOWN)
    implied = implied_mean(arrived_at[finite], left_at[finite], float(np.nanmin(arrived_at)), float(np.nanmax(left_at)))
    present = float(samples.mean())
    mismatch = implied / present - 1
    return LittleCheck(present, implied, mismatch, judge_mismatch(mismatch))


def implied_mean(arrived_at: Floats, left_at: Floats, window_start: float, window_end: float) -> float:
    """Return sum(time in the system) / window, which is X R. It is NaN for an empty window."""
    window = window_end - window_start
    return float((left_at - arrived_at).sum()) / window if window > 0 else float("nan")


def judge_mismatch(mismatch: float) -> Agreement:
    """Return ok up to 5 %, warn up to 10 %, and invalid above 10 %."""
    if not np.isfinite(mismatch):
        return Agreement.UNKNOWN
    if abs(mismatch) <= OK_MISMATCH:
        return Agreement.OK
    return Agreement.WARN if abs(mismatch) <= WARN_MISMATCH else Agreement.INVALID
