import numpy as np
import pytest

from capacity.estimators.comparison import Gate, compare_runs, compare_single_runs, differing_settings, judge_ratio
from capacity.estimators.interval import Interval


def test_equal_runs_pass():
    found = compare_runs([8.0, 8.1, 7.9], [8.0, 8.05, 7.95])
    assert found.gate is Gate.PASS
    assert found.ratio == pytest.approx(1.0, abs=1e-3)
    assert found.interval.contains(1.0)


def test_clearly_slower_runs_fail():
    assert compare_runs([8.0, 8.1, 7.9], [7.0, 7.1, 6.9]).gate is Gate.FAIL


def test_noisy_runs_are_inconclusive_and_ask_for_two_more():
    found = compare_runs([8.0, 9.0, 7.0], [7.5, 8.5, 6.5])
    assert (found.gate, found.extra_runs_per_side) == (Gate.INCONCLUSIVE, 2)


def test_identical_runs_have_a_ratio_without_width():
    interval = compare_runs([8.0, 8.0], [4.0, 4.0]).interval
    assert (interval.low, interval.high) == pytest.approx((0.5, 0.5))


def test_one_run_a_side_needs_a_history():
    assert compare_runs([8.0], [7.0]).gate is Gate.NOT_COMPARABLE
    assert compare_single_runs(8.0, 7.0, run_deviation=None, cv=0.1, videos=50).gate is Gate.NOT_COMPARABLE


def test_one_run_a_side_with_a_history_is_compared_with_its_spread():
    assert compare_single_runs(8.0, 7.0, run_deviation=0.02, cv=0.1, videos=50).gate is Gate.FAIL
    assert compare_single_runs(8.0, 7.6, run_deviation=0.04, cv=0.1, videos=50).gate is Gate.INCONCLUSIVE


@pytest.mark.parametrize(
    ("ratio", "interval", "gate"),
    [
        (1.0, Interval(0.951, 1.05), Gate.PASS),
        (1.0, Interval(0.95, 1.05), Gate.INCONCLUSIVE),
        (0.94, Interval(0.90, 0.99), Gate.FAIL),
        (0.96, Interval(0.94, 0.99), Gate.INCONCLUSIVE),
        (0.94, Interval(0.88, 1.0), Gate.INCONCLUSIVE),
    ],
)
def test_the_gate_follows_the_margin(ratio, interval, gate):
    assert judge_ratio(ratio, interval) is gate


def test_the_gate_fails_equal_systems_at_most_as_often_as_it_says():
    rng = np.random.default_rng(0)
    deviation = np.sqrt(0.02**2 + 0.1**2 / 50)
    runs = np.exp(rng.normal(0, deviation, (300, 2, 5)))
    gates = [compare_runs(a, b).gate for a, b in runs]
    assert np.mean([gate is Gate.FAIL for gate in gates]) <= 0.025


def test_different_settings_are_named():
    assert differing_settings({"ffmpeg": "6.1", "c": 4}, {"ffmpeg": "6.1", "c": 4}) is None
    assert differing_settings({"ffmpeg": "6.1"}, {"ffmpeg": "7.0"}).en == "the runs differ in ffmpeg: 6.1 ≠ 7.0"
