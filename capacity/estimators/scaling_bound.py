"""Compute an upper bound on the throughput at any number of slots, from the measured levels alone.

The bound grows in proportion to the slots, up to a ceiling if the measurements reached one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.estimators.usl import Levels

#: a last step that gives less than this share of what its slots could add shows a ceiling
FLAT_GAIN = 0.10


@dataclass(frozen=True, slots=True)
class ScalingBound:
    """Upper bound on the throughput: X(n) <= min(n * per_slot, ceiling), in videos per minute.

    `n` is the number of slots. `per_slot` is the highest measured throughput per slot. `ceiling` is the highest
    measured throughput, or None if the throughput still grew at the largest number of slots.
    """

    per_slot: float
    ceiling: float | None

    @property
    def knee(self) -> float | None:
        """Return the number of slots at which the ceiling is reached, or None without a ceiling."""
        return None if self.ceiling is None else self.ceiling / self.per_slot


def scaling_bound(levels: Levels) -> ScalingBound:
    """Return the upper bound on the throughput X, from the X of the measured levels (numbers of slots).

    A level that was measured several times counts with its mean X. The field `ceiling` of the result is None for a
    single level, or if X still grew at the largest level.
    """
    n = np.unique(levels.n)
    x = np.array([levels.x[levels.n == level].mean() for level in n])
    per_slot = float((x / n).max())
    if n.size < 2:
        return ScalingBound(per_slot, None)
    gain, possible = x[-1] / x[-2] - 1, n[-1] / n[-2] - 1
    return ScalingBound(per_slot, float(x.max()) if gain < FLAT_GAIN * possible else None)
