"""Golden data set A: ten videos, two slots, no random numbers."""

import numpy as np

from capacity.estimators.slots import Executions

SLOTS = 2
UPLOADED = np.zeros(10)
STARTED = np.array([2, 3, 30.5, 34.5, 61, 68, 90.5, 98.5, 123, 126])
ENDED = np.array([30, 34, 60.5, 67.5, 90, 98, 122.5, 125.5, 153, 156])
SLOT = np.tile([0, 1], 5)


def executions() -> Executions:
    return Executions(STARTED, ENDED, np.ones(10, dtype=bool), SLOT)
