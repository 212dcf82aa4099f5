"""Estimate X_sat (throughput with every slot busy) of a burst from the end times of its videos.

It is used for a worker that records no executions. The start times of its videos are unknown.
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

    `ended_at` has one end time per video in seconds, and NaN for a video that has not ended. `counted` is true for a
    completed video, and false for any other.

    The formula is X_sat = 60 · `slots` · share / mean difference, in videos per minute. The share is the number of
    completed videos divided by the number of ended videos. For the differences, the end times of completed and failed
    videos are sorted together. Each difference is an end time minus the end time `slots` places before it.

    X_sat is unknown if no video was completed, or if not more than `slots` videos have ended. The 95 % interval takes
    the correlation of neighbouring differences into account (Newey and West 1987, `slots` lags). With fewer than 20
    ended videos, the interval is None.
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
