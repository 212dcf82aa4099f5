"""Stability where only uploads and ends are known: the worker of a team without instrumentation."""

import numpy as np
import pytest

from capacity.estimators.stability import Stability, judge_backlog


def paced(utilisation, slots=2, count=120, service=10.0, seed=3):
    """Return uploads at a fixed rate, and the ends that slots with varying service times give."""
    rng = np.random.default_rng(seed)
    uploads = np.arange(count) * service / slots / utilisation
    free, ends = np.zeros(slots), []
    for upload in uploads:
        slot = int(np.argmin(free))
        free[slot] = max(free[slot], upload) + service * rng.normal(1, 0.1)
        ends.append(free[slot])
    return uploads, np.array(ends)


STABLE, UNSTABLE = Stability.STABLE, Stability.UNSTABLE


@pytest.mark.parametrize(("utilisation", "verdict"), [(0.5, STABLE), (0.8, STABLE), (1.25, UNSTABLE), (2.0, UNSTABLE)])
def test_a_backlog_that_does_not_grow_is_stable_and_one_that_grows_is_not(utilisation, verdict):
    judged = judge_backlog(*paced(utilisation), 2)
    assert judged.verdict is verdict
    assert judged.growth_ratio == pytest.approx(max(0, 1 - 1 / utilisation), abs=0.02)
    assert np.isnan(judged.utilisation)


def test_a_slight_overload_is_never_called_stable():
    verdicts = {judge_backlog(*paced(1.04, seed=seed), 2).verdict for seed in range(20)}
    assert Stability.STABLE not in verdicts


def test_a_short_run_is_inconclusive():
    judged = judge_backlog(*paced(0.5, count=20), 2)
    assert (judged.verdict, judged.long_enough, judged.arrivals_needed) == (Stability.INCONCLUSIVE, False, 60)
