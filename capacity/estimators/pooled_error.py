"""Standard errors of mean throughputs, one per number of slots, from only a few runs each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.estimators.interval import Floats

FEWEST_DOF = 2


@dataclass(frozen=True, slots=True)
class PooledError:
    """Standard error of the mean throughput at each number of slots (`se`).

    All errors are computed from one pooled standard deviation. `dof` is its degrees of freedom.
    """

    se: Floats
    dof: int


def pooled_error(x: Floats, deviations: Floats, runs: Floats) -> PooledError | None:
    """Estimate the standard error of each mean throughput in `x`, one per number of slots.

    The error of a mean is x · s / √runs. `runs` has the number of runs behind each mean. `deviations` has the standard
    deviation of these runs, divided by their mean. The pooled deviation s is the root mean square of `deviations`,
    weighted by `runs` - 1. All means share s, because a deviation of a few runs is a poor estimate. Return None if the
    sum of the weights is below two, or if s is 0.
    """
    dof = np.maximum(runs - 1, 0)
    total = int(dof.sum())
    known = dof > 0
    variance = float((dof[known] * deviations[known] ** 2).sum()) / total if total else 0.0
    if total < FEWEST_DOF or variance == 0:
        return None
    return PooledError(x * np.sqrt(variance / runs), total)
