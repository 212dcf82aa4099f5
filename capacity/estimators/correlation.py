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


def batch_half_width(values: Floats) -> float:
    """Return half the width of the 95 % confidence interval of the mean of `values`, which are in time order.

    It is the t interval of the means of six batches (Schmeiser 1982), for values whose neighbours correlate.
    """
    return t_half_width(np.array([batch.mean() for batch in np.array_split(values, BATCHES)]))
