"""Change points: known changes are found in their place, and nothing is found where the runs cannot tell."""

import numpy as np
import pytest

from capacity.estimators.change_points import FALSE_ALARMS, FEWEST_RUNS, change_points

#: deviations of ten runs from their level, with a standard deviation of 2 %
SPREAD = 0.02 * np.array([0.3, -1.2, 0.9, 1.4, -0.6, -0.9, 0.8, -1.3, 1.1, -0.5])


def history(*levels, errors=np.nan):
    values = np.asarray(levels) * np.exp(SPREAD[: len(levels)])
    return change_points(values, np.full(values.size, errors))


def test_under_four_runs_there_is_no_answer():
    assert history(*[40] * (FEWEST_RUNS - 1)) is None
    assert history(*[40] * FEWEST_RUNS) is not None


def test_a_level_that_stays_has_no_change_and_says_what_it_would_show():
    found = history(*[40] * 10)
    assert found.changes == ()
    assert found.levels == (pytest.approx(40, rel=0.01),)
    assert 0.04 < found.visible_ratio < 0.09


def test_a_loss_is_found_in_its_place_with_an_interval_that_has_the_truth():
    (change,) = history(*[40] * 6, *[34] * 4).changes
    assert change.index == 6
    assert change.factor == pytest.approx(0.85, rel=0.02)
    assert change.interval.low < 0.85 < change.interval.high < 1


def test_a_short_loss_in_the_middle_is_two_changes():
    rng = np.random.default_rng(3)
    values = 40 * np.exp(0.02 * rng.standard_normal(30))
    values[12:17] *= 0.85
    found = change_points(values, np.full(30, np.nan))
    assert [change.index for change in found.changes] == [12, 17]
    assert found.levels == pytest.approx((40, 34, 40), rel=0.03)


def test_one_slow_run_is_no_change():
    assert history(*[40] * 5, 30, *[40] * 4).changes == ()


def test_two_slow_runs_side_by_side_are_no_change_from_six_runs_on():
    assert history(*[40] * 4, 32, 32, *[40] * 4).changes == ()


def test_runs_that_are_alike_by_chance_are_no_better_than_their_own_errors():
    values = np.array([40.0, 40.01, 41.0, 41.01])
    assert len(change_points(values, np.full(4, np.nan)).changes) == 1
    assert change_points(values, np.full(4, 0.02)).changes == ()


def test_equal_values_have_no_change():
    found = change_points(np.full(12, 40.0), np.full(12, np.nan))
    assert found.changes == ()


def test_the_newest_part_must_be_long_enough_to_show_a_further_change():
    assert history(*[40] * 7, *[34] * 3).visible_ratio is None


def test_histories_without_a_change_rarely_show_one():
    rng = np.random.default_rng(1)
    alarms = sum(bool(change_points(np.exp(rng.normal(0, 0.03, 9)), np.full(9, np.nan)).changes) for _ in range(800))
    assert alarms <= 800 * FALSE_ALARMS + 3 * (800 * FALSE_ALARMS) ** 0.5
