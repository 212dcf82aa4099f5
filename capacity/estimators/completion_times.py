"""Estimate X_sat (throughput with every slot busy) of a burst from the end times of its videos.

This estimate is used if no execution of the run was recorded. The start times of the videos are then unknown.
"""

from __future__ import annotations

import numpy as np

from capacity.estimators.interval import SECONDS_PER_MINUTE, Booleans, Floats, Interval
from capacity.estimators.reason import Reason
from capacity.estimators.throughput import CapacitySource, NoCapacity, SaturatedThroughput

#: with fewer videos the interval covers far less than 95 %
FEWEST_FOR_INTERVAL = 20
NORMAL_QUANTILE = 1.96


def saturated_from_completions(ended_at: Floats, counted: Booleans, slots: int) -> SaturatedThroughput:
    """Estimate the X_sat of a burst from the end times of its videos.

    `ended_at` is the end time of each video in seconds, or NaN for an unfinished video. `counted` is True for a
    completed video. X_sat is 60 · `slots` · p / d, in videos per minute:

    - p: number of completed videos divided by the number of ended videos
    - d: mean difference between an end time and the end time `slots` places earlier, in ascending order

    X_sat is unknown if p or d is 0, or if at most `slots` videos have ended. The 95 % interval (Newey and West 1987) is
    None if too few videos have ended.
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
