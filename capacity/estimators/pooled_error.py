"""Standard errors of mean throughputs, one per number of slots, from only a few runs each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.estimators.interval import Floats

FEWEST_DOF = 2


@dataclass(frozen=True, slots=True)
class PooledError:
    """Standard error of the mean throughput at each number of slots (`se`).

    `dof` is the degrees of freedom of the deviation from which all these errors are computed.
    """

    se: Floats
    dof: int


def pooled_error(x: Floats, deviations: Floats, runs: Floats) -> PooledError | None:
    """Estimate the standard error of each mean throughput in `x`, one per number of slots.

    `runs` and `deviations` have one item per mean: the number of its runs, and their relative standard deviation
    (divided by the mean). A few runs give a poor estimate of this deviation. So one pooled deviation is used for all
    means: the root mean square of `deviations`, weighted by `runs` - 1. Return None if these weights add up to less
    than two, or if the pooled deviation is 0.
    """
    dof = np.maximum(runs - 1, 0)
    total = int(dof.sum())
    known = dof > 0
    variance = float((dof[known] * deviations[known] ** 2).sum()) / total if total else 0.0
    if total < FEWEST_DOF or variance == 0:
        return None
    return PooledError(x * np.sqrt(variance / runs), total)
