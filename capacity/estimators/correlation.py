"""Detect whether neighbouring values of a sequence are alike, and compute the interval of the mean.

If neighbouring values are alike, the usual t interval of the mean is too narrow.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from capacity.estimators.interval import Floats, t_half_width

CORRELATION_LIMIT = 0.3
FEWEST_VALUES = 30
P_VALUE = 0.001
TREND_LIMIT = 0.10
TREND_P_VALUE = 0.01
#: eight or ten batches contained the true mean less often (docs/adr/0094)
BATCHES = 6


def autocorrelation(values: Floats) -> float:
    """Return the lag-1 autocorrelation: how much each value resembles the next one, from -1 to 1.

    The result is NaN for fewer than three values, or if all values are equal.
    """
    if values.size < 3 or np.ptp(values) == 0:
        return float("nan")
    centred = values - values.mean()
    return float(centred[1:] @ centred[:-1]) / float(centred @ centred)


def neighbours_correlate(values: Floats) -> bool:
    """Return True if neighbouring values are more alike than chance explains.

    For n values, the lag-1 autocorrelation must be above 0.3 and above 3.09 / sqrt(n). Independent values exceed the
    second limit with a probability of 0.001 (Bartlett 1946). For fewer than 30 values, the result is False.
    """
    if values.size < FEWEST_VALUES:
        return False
    chance = float(stats.norm.isf(P_VALUE)) / np.sqrt(values.size)
    return bool(autocorrelation(values) > max(CORRELATION_LIMIT, chance))


def drift(values: Floats) -> tuple[float, float]:
    """Fit a line to `values`. Return the relative change over all values, and the p-value of the slope.

    A relative change of 0.1 is a rise by 10 % of the mean. Both results are NaN for fewer than three values, or if the
    mean is 0.
    """
    if values.size < 3 or values.mean() == 0:
        return float("nan"), float("nan")
    line = stats.linregress(np.arange(values.size), values)
    return float(line.slope * values.size / values.mean()), float(line.pvalue)


def drifts(values: Floats) -> bool:
    """Return True if a fitted line changes by over 10 % along `values`, and by more than chance explains.

    Independent values pass the second test with a probability of 0.01. For fewer than 30 values, the result is False.
    """
    if values.size < FEWEST_VALUES:
        return False
    change, p_value = drift(values)
    return abs(change) > TREND_LIMIT and p_value < TREND_P_VALUE


def batch_half_width(values: Floats) -> float:
    """Return half the width of the 95 % confidence interval of the mean of `values`, in time order.

    The interval is the t interval of the means of six batches (Schmeiser 1982). It is for values whose neighbours
    correlate, or that drift.
    """
    return t_half_width(np.array([batch.mean() for batch in np.array_split(values, BATCHES)]))
