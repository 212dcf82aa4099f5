"""Compute confidence intervals of a mean, a difference and a quantile. Define types of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

SECONDS_PER_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval from `low` to `high`. An end is infinite if the data set no limit there."""

    low: float
    high: float


def t_half_width(values: Floats, confidence: float = 0.95) -> float:
    """Return half the width of the two-sided t interval of the mean of `values`.

    The result is NaN if there are fewer than two values.
    """
    if values.size < 2:
        return float("nan")
    quantile = stats.t.ppf(0.5 + confidence / 2, values.size - 1)
    return float(quantile * values.std(ddof=1) / np.sqrt(values.size))


def welch_interval(values: Floats, others: Floats, confidence: float = 0.95) -> Interval:
    """Return Welch's t interval of the difference mean(values) - mean(others).

    If all `values` are equal and all `others` are equal, both ends of the interval are that difference.
    """
    if values.var() + others.var() == 0:
        difference = float(values.mean() - others.mean())
        return Interval(difference, difference)
    ends = stats.ttest_ind(values, others, equal_var=False).confidence_interval(confidence)
    return Interval(float(ends.low), float(ends.high))


@lru_cache  # runs of a matrix have the same count, and scipy takes 2 ms
def quantile_ranks(count: int, probability: float, confidence: float = 0.95) -> tuple[int | None, int | None]:
    """Return which two of `count` sorted values are the ends of a quantile's confidence interval.

    The result is the ranks of the lower and the upper end. Rank 1 is the smallest value. A rank is None if there are
    too few values. `probability` names the quantile: 0.95 is the 95th percentile.
    """
    tail = (1 - confidence) / 2
    below = stats.binom(count, probability)
    low = int(below.ppf(tail))
    if low > 0 and below.cdf(low - 1) > tail:
        low -= 1
    high = int(below.ppf(1 - tail)) + 1
    return (low if low >= 1 else None), (high if high <= count else None)


def quantile_interval(values: Floats, probability: float, confidence: float = 0.95) -> Interval:
    """Return a confidence interval of a quantile of `values`, which can have any distribution.

    `probability` names the quantile: 0.95 is the 95th percentile. With too few values, an end is infinite. Values that
    are not finite are ignored.
    """
    ordered = np.sort(values[np.isfinite(values)])
    low, high = quantile_ranks(ordered.size, probability, confidence)
    return Interval(
        float(ordered[low - 1]) if low else float("-inf"),
        float(ordered[high - 1]) if high else float("inf"),
    )
