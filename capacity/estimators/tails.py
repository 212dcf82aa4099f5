"""Median and 95th percentile of response time and queue wait, and the share of videos within a goal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from capacity.estimators.interval import Booleans, Floats, Interval, quantile_interval

UNBOUNDED = Interval(-math.inf, math.inf)
#: one-sided 5 % point of the correlation of neighbouring independent values, times the root of their number
CORRELATION_POINT = 1.645


@dataclass(frozen=True, slots=True)
class Tail:
    """Median and 95th percentile in seconds, with distribution-free 95 % intervals; None is unknown.

    With `is_lower_bound`, open videos count with the time that they have waited so far, and no upper end is known. With
    `is_correlated`, neighbouring videos of a sustained run wait alike, and the intervals are unknown.
    """

    count: int
    p50_seconds: float | None
    p50_interval: Interval
    p95_seconds: float | None
    p95_interval: Interval
    is_lower_bound: bool = False
    is_correlated: bool = False


def tail(seconds: Floats, *, is_lower_bound: bool = False, is_sustained: bool = False) -> Tail:
    """Return median and 95th percentile of the finite values, each one of the values.

    The intervals are order statistics of independent values. Values of a burst rise from video to video, for which
    they are wider than needed. Those of a busy sustained run, in the order of upload, would be far too narrow, so they
    are left out where neighbours correlate (docs/method.md, "Tails").
    """
    known = seconds[np.isfinite(seconds)]
    if not known.size:
        return Tail(0, None, UNBOUNDED, None, UNBOUNDED, is_lower_bound)
    p50, p95 = (float(value) for value in np.quantile(known, (0.5, 0.95), method="inverted_cdf"))
    is_correlated = is_sustained and _neighbours_correlate(known)
    bounds = [UNBOUNDED if is_correlated else quantile_interval(known, probability) for probability in (0.5, 0.95)]
    if is_lower_bound:
        bounds = [Interval(interval.low, math.inf) for interval in bounds]
    return Tail(known.size, p50, bounds[0], p95, bounds[1], is_lower_bound, is_correlated)


def _neighbours_correlate(values: Floats) -> bool:
    deviations = values - values.mean()
    total = float((deviations**2).sum())
    return total > 0 and float((deviations[1:] * deviations[:-1]).sum()) / total > CORRELATION_POINT / math.sqrt(
        values.size
    )


def response_times(uploaded_at: Floats, updated_at: Floats, done: Booleans) -> tuple[Floats, bool]:
    """Return the response times, and True if open videos are among them with the time that they have waited.

    All arrays have one entry per video, in seconds. `updated_at` is NaN for an open video. Failed videos are left out.
    """
    uploaded = np.isfinite(uploaded_at)
    is_open = uploaded & ~np.isfinite(updated_at)
    until = np.where(is_open, np.fmax(np.nanmax(updated_at, initial=-math.inf), uploaded_at), updated_at)
    counted = is_open | (done & uploaded)
    return (until - uploaded_at)[counted], bool(is_open.any())


@dataclass(frozen=True, slots=True)
class Goodput:
    """Videos that were done within a goal, as a share of all videos of the run; the interval is Wilson's at 95 %."""

    goal_seconds: float
    within: int
    count: int
    interval: Interval

    @property
    def ratio(self) -> float | None:
        """Return the share of the videos within the goal. None without videos."""
        return self.within / self.count if self.count else None


def goodput(response_seconds: Floats, count: int, goal_seconds: float) -> Goodput:
    """Return the share of `count` videos whose response time is at most the goal.

    `response_seconds` are those of done videos. A failed, lost or open video is not within the goal.
    """
    within = int(np.count_nonzero(response_seconds <= goal_seconds))
    return Goodput(goal_seconds, within, count, _wilson(within, count))


def _wilson(successes: int, count: int) -> Interval:
    if not count:
        return Interval(0.0, 1.0)
    bounds = stats.binomtest(successes, count).proportion_ci(0.95, method="wilson")
    return Interval(float(bounds.low), float(bounds.high))
