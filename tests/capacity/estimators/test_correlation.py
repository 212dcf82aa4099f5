import numpy as np
import pytest

from capacity.estimators.correlation import autocorrelation, batch_half_width, drifts, neighbours_correlate
from capacity.estimators.interval import t_half_width


def test_slowly_wandering_values_correlate_and_alternating_ones_do_not():
    wandering, alternating = 30 + np.sin(np.arange(60) / 6), np.tile([29.0, 31.0], 30)
    assert autocorrelation(wandering) > 0.9
    assert neighbours_correlate(wandering)
    assert autocorrelation(alternating) < -0.9
    assert not neighbours_correlate(alternating)


def test_equal_values_have_no_autocorrelation():
    for value in (30.0, 30.1):  # the mean of thirty times 30.1 is not exactly 30.1
        assert np.isnan(autocorrelation(np.full(30, value)))
        assert not neighbours_correlate(np.full(30, value))


def test_fewer_than_thirty_values_are_not_judged():
    assert not neighbours_correlate(np.arange(29.0))
    assert neighbours_correlate(np.arange(30.0))


def test_the_interval_of_batches_is_the_t_interval_of_six_means():
    values = np.repeat([29.0, 31.0, 29.5, 30.5, 30.0, 30.0], 10)
    # standard deviation of the six means: sqrt(0.5); t(5) = 2.5706
    assert batch_half_width(values) == pytest.approx(2.5706 * np.sqrt(0.5) / np.sqrt(6), rel=1e-4)
    assert t_half_width(values) < batch_half_width(values) / 3


def test_batch_means_contain_the_mean_of_a_wandering_sequence_more_often():
    """Values with a standard deviation of 3 %, on a machine whose speed wanders by 3 % within 20 values."""
    rng, plain, batched = np.random.default_rng(1), [], []
    for _ in range(300):
        speed, persistence = [rng.standard_normal()], np.exp(-1 / 20)
        for step in rng.standard_normal(73):
            speed.append(persistence * speed[-1] + np.sqrt(1 - persistence**2) * step)
        values = (1 + 0.03 * rng.standard_normal(74)) * (1 + 0.03 * np.array(speed))
        if neighbours_correlate(values):
            plain.append(abs(values.mean() - 1) <= t_half_width(values))
            batched.append(abs(values.mean() - 1) <= batch_half_width(values))
    assert len(plain) > 50
    assert np.mean(plain) < 0.6
    assert np.mean(batched) > 0.75


def test_a_drift_is_a_change_by_over_a_tenth_in_either_direction():
    assert drifts(np.linspace(27, 33, 30))
    assert drifts(np.linspace(33, 27, 30))
    assert not drifts(np.linspace(29, 31, 30))
    assert not drifts(np.linspace(27, 33, 29)), "fewer than 30 values"
