import numpy as np
import pytest

from capacity.estimators.comparison import (
    Gate,
    NotComparable,
    SingleRun,
    compare_runs,
    compare_single_runs,
    different_conditions,
    judge_ratio,
)
from capacity.estimators.interval import Interval
from capacity.report.messages import sentence


def one(per_minute, cv=0.1, videos=50):
    return SingleRun("r", per_minute, cv, videos)


def test_equal_runs_pass():
    comparison = compare_runs([8.0, 8.1, 7.9], [8.0, 8.05, 7.95])
    assert comparison.gate is Gate.PASS
    assert comparison.ratio == pytest.approx(1.0, abs=1e-3)
    assert comparison.interval.low <= 1.0 <= comparison.interval.high


def test_clearly_slower_runs_fail():
    assert compare_runs([8.0, 8.1, 7.9], [7.0, 7.1, 6.9]).gate is Gate.FAIL


def test_noisy_runs_are_inconclusive_and_need_two_more_per_side():
    comparison = compare_runs([8.0, 9.0, 7.0], [7.5, 8.5, 6.5])
    assert (comparison.gate, comparison.extra_runs_per_side) == (Gate.INCONCLUSIVE, 2)


def test_identical_runs_have_a_ratio_without_width():
    interval = compare_runs([8.0, 8.0], [4.0, 4.0]).interval
    assert (interval.low, interval.high) == pytest.approx((0.5, 0.5))


def test_one_run_per_side_needs_a_history():
    single = compare_runs([8.0], [7.0])
    without_history = compare_single_runs(one(8.0), one(7.0), run_deviation=None)
    assert (single.gate, without_history.gate) == (Gate.NOT_COMPARABLE, Gate.NOT_COMPARABLE)
    assert (single.reason.code, without_history.reason.code) == (NotComparable.TOO_FEW_RUNS, NotComparable.NO_HISTORY)


def test_one_run_per_side_is_compared_with_the_spread_of_its_history():
    assert compare_single_runs(one(8.0), one(7.0), run_deviation=0.02).gate is Gate.FAIL
    assert compare_single_runs(one(8.0), one(7.6), run_deviation=0.04).gate is Gate.INCONCLUSIVE


def test_the_interval_of_single_runs_has_the_variance_of_both_sides():
    wide = compare_single_runs(one(8.0, cv=0.0, videos=1000), one(7.0, cv=0.6, videos=9), run_deviation=0.0)
    half = np.log(wide.interval.high / wide.ratio)
    assert half == pytest.approx(1.959964 * 0.6 / 3)
    assert wide.gate is Gate.INCONCLUSIVE, "the variance of A alone is 0, and would fail B"


def test_a_single_run_of_unknown_variance_is_not_compared():
    comparison = compare_single_runs(one(8.0), one(7.0, cv=None), run_deviation=0.02)
    assert (comparison.reason.code, comparison.reason.values) == (NotComparable.NO_VARIANCE, {"run_id": "r"})


def test_a_condition_may_differ_on_purpose():
    old, new = {"ffmpeg": "6.1", "cpu": "a"}, {"ffmpeg": "7.0", "cpu": "b"}
    assert different_conditions(old, new, ["ffmpeg", "cpu"]) is None
    assert different_conditions(old, new, ["ffmpeg"]).values == {"conditions": {"cpu": ("a", "b")}}


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


def test_the_gate_fails_equal_systems_in_at_most_the_nominal_share():
    rng = np.random.default_rng(0)
    deviation = np.sqrt(0.02**2 + 0.1**2 / 50)
    runs = np.exp(rng.normal(0, deviation, (300, 2, 5)))
    gates = [compare_runs(a, b).gate for a, b in runs]
    assert np.mean([gate is Gate.FAIL for gate in gates]) <= 0.025


def test_different_conditions_are_named():
    assert different_conditions({"ffmpeg": "6.1", "c": 4}, {"ffmpeg": "6.1", "c": 4}) is None
    different = different_conditions({"ffmpeg": "6.1"}, {"ffmpeg": "7.0"})
    assert different.code is NotComparable.DIFFERENT_CONDITIONS
    assert different.values == {"conditions": {"ffmpeg": ("6.1", "7.0")}}
    assert sentence(different, "en") == "the runs differ in ffmpeg: 6.1 ≠ 7.0"
