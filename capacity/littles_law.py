"""Whether the log and the queue counters tell the same story: Little's law, L = X R, from empty to empty."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from capacity.estimate import Floats

OK_MISMATCH = 0.05
WARN_MISMATCH = 0.10
LONGEST_POLL_SECONDS = 5.0


class Agreement(StrEnum):
    """How well two measurements of the same quantity agree."""

    OK = "ok"
    WARN = "warn"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LittleCheck:
    """Mean number present, as counted and as the times imply; `mismatch` is implied / counted - 1."""

    counted_mean: float
    implied_mean: float
    mismatch: float
    agreement: Agreement


def check_littles_law(counted: Floats, arrived_at: Floats, left_at: Floats) -> LittleCheck:
    """Compare polled counts with the time videos spent inside, over the whole run.

    Give uploaded_at/updated_at and visible + in-flight counts for the system, started_at/ended_at and in-flight
    counts for the service. The service check is the one that sees clock skew; it needs late acknowledgement and a
    prefetch of one. Poll at least every `poll_seconds`.
    """
    known = np.isfinite(arrived_at) & np.isfinite(left_at)
    samples = counted[np.isfinite(counted)]
    if not known.any() or not samples.size or not samples.any():
        return LittleCheck(float("nan"), float("nan"), float("nan"), Agreement.UNKNOWN)
    implied = implied_mean(arrived_at[known], left_at[known], float(np.nanmin(arrived_at)), float(np.nanmax(left_at)))
    present = float(samples.mean())
    mismatch = implied / present - 1
    return LittleCheck(present, implied, mismatch, judge_mismatch(mismatch))


def implied_mean(arrived_at: Floats, left_at: Floats, window_start: float, window_end: float) -> float:
    """Return sum(time inside) / window, which is X R; NaN for an empty window."""
    window = window_end - window_start
    return float((left_at - arrived_at).sum()) / window if window > 0 else float("nan")


def occupancy_integral(arrived_at: Floats, left_at: Floats) -> float:
    """Return the integral of the number present over time, in video-seconds, by stepping through the events."""
    times = np.concatenate([arrived_at, left_at])
    steps = np.concatenate([np.ones(arrived_at.size), -np.ones(left_at.size)])
    order = np.argsort(times, kind="stable")
    present = np.cumsum(steps[order])
    return float((present[:-1] * np.diff(times[order])).sum())


def judge_mismatch(mismatch: float) -> Agreement:
    """Return ok up to 5 %, warn up to 10 %, invalid beyond."""
    if not np.isfinite(mismatch):
        return Agreement.UNKNOWN
    if abs(mismatch) <= OK_MISMATCH:
        return Agreement.OK
    return Agreement.WARN if abs(mismatch) <= WARN_MISMATCH else Agreement.INVALID


def poll_seconds(service_mean_seconds: float) -> float:
    """Return how often to poll so that sampling error stays under the tolerance: min(5 s, S / 6)."""
    return min(LONGEST_POLL_SECONDS, service_mean_seconds / 6)
