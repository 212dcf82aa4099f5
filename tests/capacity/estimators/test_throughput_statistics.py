"""Bias and coverage of the estimators on simulated bursts whose capacity is known."""

import numpy as np
import pytest

from capacity.estimators.queue_simulation import burst, lognormal
from capacity.estimators.throughput import Executions, saturated_throughput, scenario_burst

REPETITIONS = 300


def simulated_bursts(seed, count, slots, cv):
    """Yield runs with unit mean service, start lag .15+U(0,.3) and poll gap U(0,.04)."""
    rng = np.random.default_rng(seed)
    for _ in range(REPETITIONS):
        yield burst(
            lognormal(rng, 1.0, cv, count),
            slots,
            start_lags=0.15 + rng.uniform(0, 0.3, slots),
            poll_gaps=rng.uniform(0, 0.04, count),
        )


def true_capacity(slots):
    return 60 * slots / 1.02


def executions_of(run):
    return Executions(run.started_at, run.ended_at, np.ones(run.started_at.size, dtype=bool), run.slot)


@pytest.mark.parametrize("seed", range(2))
def test_the_slot_estimator_is_unbiased_and_covers_as_often_as_it_says(seed):
    truth = true_capacity(4)
    capacities = [saturated_throughput(executions_of(run), 4) for run in simulated_bursts(seed, 50, 4, 0.3)]
    bias = np.mean([c.per_minute for c in capacities]) / truth - 1
    coverage = np.mean([c.interval.contains(truth) for c in capacities])
    assert abs(bias) < 0.015
    assert 0.90 <= coverage <= 0.98


def test_the_makespan_underestimates_the_capacity():
    runs = simulated_bursts(0, 50, 4, 0.3)
    rates = [scenario_burst(np.zeros(50), run.ended_at).throughput_per_minute for run in runs]
    assert -0.08 <= np.mean(rates) / true_capacity(4) - 1 <= -0.03


def test_the_interdeparture_rate_overestimates_small_bursts_by_a_third():
    rates = [60 * 7 / np.ptp(run.ended_at) for run in simulated_bursts(0, 8, 4, 0.1)]
    assert 0.30 <= np.mean(rates) / true_capacity(4) - 1 <= 0.42


def test_the_error_of_a_regression_line_through_departures_is_not_an_interval():
    """Guards against replacing the slot cycles with a fitted slope, whose standard error is invalid."""
    truth, k, hits = true_capacity(4), np.arange(1, 51), 0
    for run in simulated_bursts(0, 50, 4, 0.3):
        done = np.sort(run.ended_at)
        slope, covariance = np.polyfit(done, k, 1, cov=True)
        half = 2.01 * np.sqrt(covariance[0][0])
        hits += abs(60 * slope[0] - truth) <= 60 * half
    assert hits / REPETITIONS < 0.5
