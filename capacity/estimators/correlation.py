"""Detect that neighbouring values of a sequence resemble each other, and compute the interval of their mean then.

The slot cycles of a run resemble their neighbours while the speed of the machine changes slowly.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from capacity.estimators.interval import Floats, t_half_width

CORRELATION_LIMIT = 0.3
FEWEST_VALUES = 30
P_VALUE = 0.001
#: six batches contained the true mean most often in `benchmarks/interval_coverage.py`; eight and ten did less often
BATCHES = 6


def autocorrelation(values: Floats) -> float:
    """Return how much each value resembles the next one, from -1 to 1 (lag-1 autocorrelation).

    It is NaN for fewer than three values, or if all are equal.
    """
    centred = values - values.mean() if values.size else values
    variance = float(centred @ centred)
    return float(centred[1:] @ centred[:-1]) / variance if values.size > 2 and variance > 0 else float("nan")


def neighbours_correlate(values: Floats) -> bool:
    """Return True if the autocorrelation of the values exceeds both 0.3 and what chance gives at p = 0.001.

    Of n independent values it has a standard deviation of 1 / sqrt(n) (Bartlett 1946). For fewer than 30 values the
    result is False.
    """
    if values.size < FEWEST_VALUES:
        return False
    chance = float(stats.norm.isf(P_VALUE)) / np.sqrt(values.size)
    return bool(autocorrelation(values) > max(CORRELATION_LIMIT, chance))


def mean_half_width(values: Floats, confidence: float = 0.95) -> float:
    """Return half of the width of the interval of the mean of the values, which are in the order of their times.

    It is the t interval of the values. If neighbours correlate, that interval is too narrow, and the result is the t
    interval of the means of six batches (Schmeiser 1982). It is NaN below two values.
    """
    if not neighbours_correlate(values):
        return t_half_width(values, confidence)
    return t_half_width(np.array([batch.mean() for batch in np.array_split(values, BATCHES)]), confidence)
