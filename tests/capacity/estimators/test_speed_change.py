import numpy as np
import pytest

from capacity.estimators.speed_change import speed_change


def test_the_ratio_of_the_halves_has_welchs_interval():
    change = speed_change(np.array([10, 11, 9, 10, 12, 13, 11, 12.0]))
    # difference 2, variance 2/3 in each half: standard error 1 / sqrt(3), 6 degrees of freedom, t = 3.7074
    half_width = 3.7074 / np.sqrt(3) / 10
    assert change.ratio == pytest.approx(1.2)
    assert (change.interval.low, change.interval.high) == pytest.approx((1.2 - half_width, 1.2 + half_width), abs=1e-5)
    assert not change.exceeds(0.05)


def test_a_change_counts_only_if_the_whole_interval_lies_beyond_the_tolerance():
    steady = np.array([10.0, 10.1, 9.9, 10.0])
    for factor, exceeds in ((1.04, False), (1.2, True), (0.8, True)):
        assert speed_change(np.concatenate([steady, factor * steady])).exceeds(0.05) is exceeds


def test_an_odd_number_leaves_out_the_middle_and_equal_costs_have_no_width():
    change = speed_change(np.array([10.0] * 4 + [99.0] + [12.0] * 4))
    assert (change.ratio, change.interval.low, change.interval.high) == (1.2, 1.2, 1.2)


@pytest.mark.parametrize("cpu_seconds", [np.ones(7), np.zeros(8), np.empty(0)])
def test_too_few_videos_or_no_cost_give_no_change(cpu_seconds):
    assert speed_change(cpu_seconds) is None
