"""Standard errors of throughputs at several numbers of slots, each measured in only a few runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.estimators.interval import Floats

FEWEST_DOF = 2


@dataclass(frozen=True, slots=True)
class PooledError:
    """Standard error of the throughput at each number of slots, and the degrees of freedom behind them."""

    se: Floats
    dof: int


def pooled_error(x: Floats, deviations: Floats, runs: Floats) -> PooledError | None:
    """Estimate the standard error of each mean throughput in `x`, one per number of slots.

    `runs` is the number of runs behind each mean. `deviations` is the standard deviation between these runs, divided by
    their mean. A few runs estimate this deviation badly. So one pooled relative deviation is used for all means. It is
    the root mean square of `deviations`, with `runs` - 1 as weights. Return None if these weights add up to less than
    two, or if all deviations are 0.
    """
    dof = np.maximum(runs - 1, 0)
    total = int(dof.sum())
    known = dof > 0
    variance = float((dof[known] * deviations[known] ** 2).sum()) / total if total else 0.0
    if total < FEWEST_DOF or variance == 0:
        return None
    return PooledError(x * np.sqrt(variance / runs), total)
