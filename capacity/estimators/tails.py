"""Compute median and 95th percentile of response times and queue waits, and the share within a goal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from capacity.estimators.correlation import autocorrelation
from capacity.estimators.interval import Booleans, Floats, Interval, quantile_interval

UNBOUNDED = Interval(-math.inf, math.inf)
#: one-sided 5 % point of the correlation of neighbouring independent values, times the root of their number
CORRELATION_POINT = 1.645


@dataclass(frozen=True, slots=True)
class Tail:
    """Median and 95th percentile of response times or queue waits in seconds, with 95 % intervals.

    The percentiles are None if `count`, the number of times, is 0. `is_lower_bound` means that some videos are
    unfinished: the intervals have no upper end. `is_correlated` means that neighbouring videos have similar times: the
    intervals are unknown.
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

    `seconds` is one time per video, in the order of upload. `is_lower_bound` means that some times will still grow. In
    a sustained run (`is_sustained`), the intervals are infinite if neighbouring times are similar. Source:
    docs/method.md, "Tails".
    """
    known = seconds[np.isfinite(seconds)]
    if not known.size:
        return Tail(0, None, UNBOUNDED, None, UNBOUNDED, is_lower_bound)
    p50, p95 = (float(value) for value in np.quantile(known, (0.5, 0.95), method="inverted_cdf"))
    is_correlated = is_sustained and autocorrelation(known) > CORRELATION_POINT / math.sqrt(known.size)
    bounds = [UNBOUNDED if is_correlated else quantile_interval(known, probability) for probability in (0.5, 0.95)]
    if is_lower_bound:
        bounds = [Interval(interval.low, math.inf) for interval in bounds]
    return Tail(known.size, p50, bounds[0], p95, bounds[1], is_lower_bound, is_correlated)


def response_times(uploaded_at: Floats, updated_at: Floats, done: Booleans) -> tuple[Floats, bool]:
    """Return the response times of done and unfinished videos in seconds, and True if any is unfinished.

    All arrays have one entry per video, in epoch seconds. `updated_at` is NaN for an unfinished video. The response
    time of an unfinished video lasts until the latest `updated_at` of all videos.
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

    `response_seconds` is the response time of each done video. A time equal to `goal_seconds` is within the goal.
    `count` is the number of all videos of the run, done or not.
    """
    within = int(np.count_nonzero(response_seconds <= goal_seconds))
    return Goodput(goal_seconds, within, count, _wilson(within, count))


def _wilson(successes: int, count: int) -> Interval:
    if not count:
        return Interval(0.0, 1.0)
    bounds = stats.binomtest(successes, count).proportion_ci(0.95, method="wilson")
    return Interval(float(bounds.low), float(bounds.high))
