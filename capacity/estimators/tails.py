"""Median and 95th percentile of response times and queue waits, and the share of videos within a goal."""

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
    """Median and 95th percentile of response times or queue waits in seconds, with 95 % intervals.

    `count` says how many response times or queue waits there are. If there are none, the percentiles are None. If
    `is_lower_bound` is true, some videos are unfinished: their real times will be longer, and the intervals have no
    upper end. If `is_correlated` is true, neighbouring videos have similar times, and the intervals are unknown.
    """

    count: int
    p50_seconds: float | None
    p50_interval: Interval
    p95_seconds: float | None
    p95_interval: Interval
    is_lower_bound: bool = False
    is_correlated: bool = False


def tail(seconds: Floats, *, is_lower_bound: bool = False, is_sustained: bool = False) -> Tail:
    """Return the median and the 95th percentile of `seconds`, each with its 95 % interval.

    `seconds` has one time per video, in the order of upload. Values that are not finite are left out. With
    `is_lower_bound`, some of the times belong to unfinished videos and will still grow. The intervals then have no
    upper end.

    The formula of the intervals assumes that the times are independent. In a sustained run, neighbouring videos can
    have similar times. The formula then gives intervals that are far too narrow. With `is_sustained`, the times are
    tested for this. If neighbouring times are similar, the intervals are unknown: from minus infinity to infinity. In a
    burst, the intervals are wider than needed. Source: docs/method.md, "Tails".
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
    """Return the response times in seconds, and True if some of the videos are unfinished.

    The result has one time for each done or unfinished video. Failed videos are left out. All arrays have one entry per
    video. `uploaded_at` and `updated_at` are in epoch seconds. `done` is True for a video in the state done.
    `updated_at` is NaN for an unfinished video. The response time of such a video is counted up to the latest
    `updated_at` of all videos, and is at least 0.
    """
    uploaded = np.isfinite(uploaded_at)
    is_open = uploaded & ~np.isfinite(updated_at)
    until = np.where(is_open, np.fmax(np.nanmax(updated_at, initial=-math.inf), uploaded_at), updated_at)
    counted = is_open | (done & uploaded)
    return (until - uploaded_at)[counted], bool(is_open.any())


@dataclass(frozen=True, slots=True)
class Goodput:
    """Share of the videos of a run that were done within a time goal: `within` out of `count`.

    `interval` is the 95 % Wilson interval of the share.
    """

    goal_seconds: float
    within: int
    count: int
    interval: Interval

    @property
    def ratio(self) -> float | None:
        """Return the share of a run's videos that were done within the time goal; 1 is 100 %.

        Return None if the run has no videos.
        """
        return self.within / self.count if self.count else None


def goodput(response_seconds: Floats, count: int, goal_seconds: float) -> Goodput:
    """Return how many videos of a run were done within the goal, and their share of all its videos.

    `response_seconds` has the response time of each done video. `count` is the number of all videos of the run. A
    failed, lost or unfinished video counts as not done within the goal.
    """
    within = int(np.count_nonzero(response_seconds <= goal_seconds))
    return Goodput(goal_seconds, within, count, _wilson(within, count))


def _wilson(successes: int, count: int) -> Interval:
    if not count:
        return Interval(0.0, 1.0)
    bounds = stats.binomtest(successes, count).proportion_ci(0.95, method="wilson")
    return Interval(float(bounds.low), float(bounds.high))
