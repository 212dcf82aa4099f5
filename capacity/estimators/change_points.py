"""Detect at which runs of a history the mean of a figure changed, and by which factor.

The method is circular binary segmentation (Olshen et al. 2004) on the logarithms of the values. In about 2.5 % of
histories without a change, a false change is found. See docs/adr/0089.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy import stats

from capacity.estimators.interval import Floats, Integers, Interval

#: share of histories without a change in which one series may show one
FALSE_ALARMS = 0.025
#: fewest runs in which a change can be found: two before it and two after it
FEWEST_RUNS = 4
#: from this many runs on, a part has three runs, because two outliers side by side are no change
RUNS_FOR_PARTS_OF_THREE = 6
#: from this many runs on, a change must also be rare among permutations of the history itself
RUNS_FOR_PERMUTATIONS = 16
SIMULATIONS, PERMUTATIONS = 4000, 1000
#: least spread between runs, so that equal values differ by no rounding error
ROUNDING = 1e-6
#: probability of finding the change that is called visible
POWER = 0.8


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the mean of a figure in a history: where it is, and by which factor.

    `index` is the position of the first run after the change, counted from 0. `factor` is the geometric mean after the
    change divided by that before it. `interval` is the confidence interval of `factor`, and never contains 1.
    """

    index: int
    factor: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The changes that were found in a history, and the mean of each part between them.

    `changes` are in time order. `levels` are the geometric means of the values in each part. `visible_ratio` is the
    smallest drop in the newest runs that is detected with a probability of 80 %. 0.1 is a drop by 10 %. With too few
    runs, `visible_ratio` is None.
    """

    changes: tuple[Change, ...]
    levels: tuple[float, ...]
    visible_ratio: float | None


def change_points(values: Floats, errors: Floats) -> Segmentation | None:
    """Find the changes of a figure's mean in a history. Return None for fewer than four runs.

    `values` are the positive values of the figure, one per run, in time order. `errors` are their relative standard
    errors, or NaN where unknown.
    """
    if values.size < FEWEST_RUNS:
        return None
    logs = np.log(values)
    # a few runs can be alike by chance: the variance between runs is never below the mean square of the errors
    known = errors[np.isfinite(errors)]
    least_variance = max(float(np.mean(known**2)) if known.size else 0.0, ROUNDING**2)
    series = _Series(logs, least_variance, _shortest(values.size))
    bounds = series.without_weak([0, *series.boundaries(0, logs.size), logs.size])
    changes = tuple(series.change(*three) for three in zip(bounds, bounds[1:], bounds[2:], strict=False))
    levels = tuple(math.exp(logs[a:b].mean()) for a, b in pairwise(bounds))
    return Segmentation(changes, levels, series.visible_ratio(bounds))


@dataclass(frozen=True)
class _Series:
    """The logarithms of a history, the least variance between runs, and the fewest runs of a part."""

    logs: Floats
    least_variance: float
    shortest: int

    def boundaries(self, start: int, end: int) -> Iterator[int]:
        """Yield the index of the first run after each change of the mean, in ascending order.

        Only the runs with an index from `start` to `end` - 1 are searched.
        """
        logs = self.logs[start:end]
        if logs.size < 2 * self.shortest:
            return
        first, last = _parts(logs.size, self.shortest)
        statistics = _statistics(logs, first, last, self.least_variance)
        best = int(statistics.argmax())
        if not self._is_change(logs, float(statistics[best])):
            return
        for left, right in pairwise(sorted({start, start + int(first[best]), start + int(last[best]), end})):
            if left > start:
                yield left
            yield from self.boundaries(left, right)

    def _is_change(self, logs: Floats, statistic: float) -> bool:
        if statistic <= _limit(logs.size, self.shortest):
            return False
        return logs.size < RUNS_FOR_PERMUTATIONS or statistic > self._permutation_limit(logs)

    def _permutation_limit(self, logs: Floats) -> float:
        shuffled = np.random.default_rng(0).permuted(np.tile(logs, (PERMUTATIONS, 1)), axis=1)
        maxima = _statistics(shuffled, *_parts(logs.size, self.shortest), self.least_variance).max(axis=1)
        return float(np.quantile(maxima, 1 - FALSE_ALARMS))

    def without_weak(self, bounds: list[int]) -> list[int]:
        """Return `bounds` without the weak changes. A change is weak if the interval of its factor contains 1.

        `bounds` are the indexes at which the parts of the history start, followed by the number of runs.
        """
        while len(bounds) > 2:
            inner = list(zip(bounds, bounds[1:], bounds[2:], strict=False))
            margins = [self._margin(*three) for three in inner]
            weakest = int(np.argmin(margins))
            if margins[weakest] > 0:
                break
            bounds = [bound for bound in bounds if bound != inner[weakest][1]]
        return bounds

    def _margin(self, start: int, middle: int, end: int) -> float:
        """Return the distance of the change in `middle` from its half width; above 0 its interval excludes 1."""
        difference, half = self._difference(start, middle, end)
        return abs(difference) - half

    def change(self, start: int, middle: int, end: int) -> Change:
        """Return the change of the geometric mean between two neighbouring parts of the history.

        The first part is the runs `start` to `middle` - 1. The second part is the runs `middle` to `end` - 1.
        """
        difference, half = self._difference(start, middle, end)
        ends = Interval(math.exp(difference - half), math.exp(difference + half))
        return Change(middle, math.exp(difference), ends)

    def _difference(self, start: int, middle: int, end: int) -> tuple[float, float]:
        """Return the change of the mean logarithm, and the half width of its interval."""
        before, after = self.logs[start:middle], self.logs[middle:end]
        squares = before.size * before.var() + after.size * after.var()
        variance = max(squares / (end - start - 2), self.least_variance)
        error = math.sqrt(variance * (1 / before.size + 1 / after.size))
        return float(after.mean() - before.mean()), _limit(end - start, self.shortest) * error

    def visible_ratio(self, bounds: list[int]) -> float | None:
        """Return the smallest drop in the newest runs that is detected with a probability of 80 %.

        0.1 is a drop by 10 %. The number of newest runs is the attribute `shortest`. `bounds` are the indexes at which
        the parts of the history start, followed by the number of runs. Return None if the last part has too few runs.
        """
        count = bounds[-1] - bounds[-2]
        if count < 2 * self.shortest:
            return None
        parts = [self.logs[a:b] for a, b in pairwise(bounds)]
        variance = sum(part.size * part.var() for part in parts) / (self.logs.size - len(parts))
        error = math.sqrt(max(variance, self.least_variance) * (1 / self.shortest + 1 / (count - self.shortest)))
        return 1 - math.exp(-(_limit(count, self.shortest) + float(stats.norm.ppf(POWER))) * error)


def _shortest(count: int) -> int:
    return 3 if count >= RUNS_FOR_PARTS_OF_THREE else 2


@lru_cache
def _parts(count: int, shortest: int) -> tuple[Integers, Integers]:
    """Return the first index of each part that is compared with the rest, and the index after its last run.

    Every piece has at least `shortest` runs. A part that starts with the history is left out, because it is the rest
    of a part that ends with the history.
    """
    firsts, lasts = np.triu_indices(count + 1, shortest)
    is_piece = (firsts >= shortest) & ((lasts == count) | (lasts <= count - shortest))
    return firsts[is_piece], lasts[is_piece]


def _statistics(logs: Floats, first: Integers, last: Integers, least_variance: float = 0.0) -> Floats:
    """Return |t| of each part against the rest, for one series or, as rows, for many."""
    centred = logs - logs.mean(axis=-1, keepdims=True)
    count = logs.shape[-1]
    sums = np.concatenate([np.zeros((*logs.shape[:-1], 1)), centred.cumsum(axis=-1)], axis=-1)
    inside = sums[..., last] - sums[..., first]  # the rest has the opposite sum
    size = last - first
    scale = 1 / size + 1 / (count - size)
    squares = (centred**2).sum(axis=-1, keepdims=True)
    variance = np.maximum((squares - inside**2 * scale) / (count - 2), least_variance)
    return np.asarray(np.abs(inside) * np.sqrt(scale / variance))


@lru_cache
def _limit(count: int, shortest: int) -> float:
    """Return the statistic that a history of `count` runs without a change exceeds with probability FALSE_ALARMS."""
    noise = np.random.default_rng(0).standard_normal((SIMULATIONS, count))
    parts = _parts(count, shortest)
    maxima = [_statistics(piece, *parts).max(axis=1) for piece in np.array_split(noise, 1 + count // 8)]
    return float(np.quantile(np.concatenate(maxima), 1 - FALSE_ALARMS))
