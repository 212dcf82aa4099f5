"""How many workers worked at the same time."""

import numpy as np
import pytest

from capacity.estimators.slots import Executions, most_workers_at_once


def executions(*times, workers=None):
    started, ended = np.array(times, float).reshape(-1, 2).T
    return Executions(
        started, ended, np.ones(started.size, bool), worker=None if workers is None else np.array(workers)
    )


@pytest.mark.parametrize(
    ("times", "workers", "expected"),
    [
        ([(0, 4), (4, 8)], [1, 1], 1),
        ([(0, 4), (4, 8)], [1, 2], 1),  # the second replaces the first
        ([(0, 4), (3, 8)], [1, 2], 2),
        ([(0, 2), (8, 9), (3, 4)], [1, 1, 2], 2),  # the first worker waited meanwhile
        ([(0, 9), (1, 3), (2, 4), (5, 6)], [1, 2, 3, 4], 3),
        ([(0, 4), (1, np.nan)], [1, 2], 1),  # lost executions have no end
        ([], [], 0),
    ],
)
def test_workers_at_once(times, workers, expected):
    assert most_workers_at_once(executions(*times, workers=workers)) == expected


def test_unknown_workers_are_not_counted():
    assert most_workers_at_once(executions((0, 4), (1, 5))) == 0
