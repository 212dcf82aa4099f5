"""Bound on the throughput from the measured levels alone: linear in the slots, up to a ceiling if one was reached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.estimators.usl import Levels

#: a last step that gives less than this share of what its slots could add shows a ceiling
FLAT_GAIN = 0.10


@dataclass(frozen=True, slots=True)
class ScalingBound:
    """The bound X(n) <= min(n `per_slot`, `ceiling`).

    `ceiling` is None if X still grew at the largest level.
    """

    per_slot: float
    ceiling: float | None

    @property
    def knee(self) -> float | None:
        """Return the concurrency at which the ceiling is reached, or None without a ceiling."""
        return None if self.ceiling is None else self.ceiling / self.per_slot


def scaling_bound(levels: Levels) -> ScalingBound:
    """Return the bound of a system with a hard ceiling: no slot does more than the best one, none passes the ceiling.

    X of a repeated level is its mean.
    """
    n = np.unique(levels.n)
    x = np.array([levels.x[levels.n == level].mean() for level in n])
    per_slot = float((x / n).max())
    if n.size < 2:
        return ScalingBound(per_slot, None)
    gain, possible = x[-1] / x[-2] - 1, n[-1] / n[-2] - 1
    return ScalingBound(per_slot, float(x.max()) if gain < FLAT_GAIN * possible else None)
