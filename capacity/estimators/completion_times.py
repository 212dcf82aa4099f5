"""Estimate X_sat (throughput with every slot busy) of a burst from the end times of its videos.

This estimate is used if no execution was recorded, so that no start time of a video is known.
"""

from __future__ import annotations

import numpy as np

from capacity.estimators.interval import SECONDS_PER_MINUTE, Booleans, Floats, Interval
from capacity.estimators.reason import Reason
from capacity.estimators.throughput import CapacitySource, NoCapacity, SaturatedThroughput

#: with fewer videos the interval covers far less than 95 % (METHOD 1.2)
FEWEST_FOR_INTERVAL = 20
NORMAL_QUANTILE = 1.96


def saturated_from_completions(ended_at: Floats, counted: Booleans, slots: int) -> SaturatedThroughput:
    """Estimate X_sat, the throughput with every slot busy, from the end times of a burst's videos.

    `ended_at` has one end time per video in seconds, and NaN for a video that has not ended. `counted` is True for a
    completed video, and False for any other. The estimate has three steps:

    1. Sort the end times of all videos that have ended, completed or failed.
    2. Subtract from each end time the end time that is `slots` places earlier in this order. The mean of these
       differences is d.
    3. X_sat is 60 · `slots` · p / d, in videos per minute. Here p is the number of completed videos divided by the
       number of ended videos.

    X_sat is unknown if no video was completed, if at most `slots` videos have ended, or if d is 0. The 95 % interval
    takes the correlation of neighbouring differences into account (Newey and West 1987, `slots` lags). The interval is
    None for fewer than 20 ended videos, or if it would have no upper end.
    """
    ended = np.isfinite(ended_at)
    order = np.argsort(ended_at[ended], kind="stable")
    times, completed = ended_at[ended][order], counted[ended][order]
    if times.size <= slots:
        return _unknown(NoCapacity.NO_SECOND_GENERATION, executions=times.size, slots=slots)
    share = float(completed.mean())
    lags = times[slots:] - times[:-slots]
    mean = float(lags.mean())
    if share == 0 or mean <= 0:
        return _unknown(NoCapacity.NO_COMPLETED_VIDEO, executions=times.size)
    rate = SECONDS_PER_MINUTE * slots * share / mean
    interval = _interval(lags, mean, slots, rate) if times.size >= FEWEST_FOR_INTERVAL else None
    return SaturatedThroughput(rate, interval, source=CapacitySource.COMPLETION_TIMES)


def _unknown(code: NoCapacity, **values: int) -> SaturatedThroughput:
    return SaturatedThroughput(None, None, Reason(code, values), source=CapacitySource.COMPLETION_TIMES)


def _interval(lags: Floats, mean: float, slots: int, rate: float) -> Interval | None:
    half = NORMAL_QUANTILE * _newey_west_error(lags - mean, slots)
    return Interval(rate * mean / (mean + half), rate * mean / (mean - half)) if half < mean else None


def _newey_west_error(centred: Floats, lags: int) -> float:
    """Return the standard error of the mean of correlated values, with Bartlett weights."""
    count = centred.size
    variance = float(centred @ centred) / count
    for lag in range(1, min(lags, count - 1) + 1):
        weight = 1 - lag / (lags + 1)
        variance += 2 * weight * float(centred[lag:] @ centred[:-lag]) / count
    return float(np.sqrt(max(variance, 0.0) / count))
