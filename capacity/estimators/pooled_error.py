"""Standard errors of levels that were measured in a few runs each, pooled over the levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.estimators.interval import Floats

FEWEST_DOF = 2


@dataclass(frozen=True, slots=True)
class PooledError:
    """Standard errors of the levels, and the degrees of freedom behind them."""

    se: Floats
    dof: int


def pooled_error(x: Floats, deviations: Floats, runs: Floats) -> PooledError | None:
    """Return the standard errors of mean throughputs `x`, from the relative deviations between the runs of each level.

    Three runs give an error that is itself uncertain by half. The deviation between runs is taken to be the same share
    of X at every level, and its estimates are pooled by their degrees of freedom (runs - 1). A level with one run adds
    none. Return None if all levels together have fewer than FEWEST_DOF, or if no run differs from another.
    """
    dof = np.maximum(runs - 1, 0)
    total = int(dof.sum())
    known = dof > 0
    variance = float((dof[known] * deviations[known] ** 2).sum()) / total if total else 0.0
    if total < FEWEST_DOF or variance == 0:
        return None
    return PooledError(x * np.sqrt(variance / runs), total)
