"""Compute standard errors of mean throughputs, one per number of slots, from only a few runs each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.estimators.interval import Floats

FEWEST_DOF = 2


@dataclass(frozen=True, slots=True)
class PooledError:
    """Standard errors of mean throughputs, all computed from one pooled standard deviation.

    `se` is one standard error per number of slots, in the unit of the throughput. `dof` is the degrees of freedom of
    the pooled standard deviation.
    """

    se: Floats
    dof: int


def pooled_error(x: Floats, deviations: Floats, runs: Floats) -> PooledError | None:
    """Return the standard error of each mean throughput in `x`, from a standard deviation that all share.

    All arrays have one entry per number of slots. `runs` is the number of runs behind each mean. `deviations` is the
    standard deviation of the throughputs of these runs, divided by their mean. Return None if there are too few runs,
    or if all `deviations` are 0.
    """
    # the standard deviation is pooled, because a deviation from a few runs is a poor estimate
    dof = np.maximum(runs - 1, 0)
    total = int(dof.sum())
    known = dof > 0
    variance = float((dof[known] * deviations[known] ** 2).sum()) / total if total else 0.0
    if total < FEWEST_DOF or variance == 0:
        return None
    return PooledError(x * np.sqrt(variance / runs), total)
