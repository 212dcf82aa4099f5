"""Bias and coverage of the estimators on simulated bursts with a given true capacity."""

import numpy as np
import pytest

from capacity.estimators.correlation import neighbours_correlate
from capacity.estimators.queue_simulation import lognormal
from capacity.estimators.slots import Executions
from capacity.estimators.throughput import saturated_throughput, scenario_burst, slot_cycles
from testing.burst_simulation import burst

REPETITIONS = 300


def simulated_bursts(seed, count, slots, cv):
    """Yield bursts with a mean service time of 1 s.

    The start lag is 0.15 s + U(0, 0.3), and the poll gap is U(0, 0.04) s.
    """
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
def test_the_slot_estimator_is_unbiased_and_has_its_nominal_coverage(seed):
    truth = true_capacity(4)
    capacities = [saturated_throughput(executions_of(run), 4) for run in simulated_bursts(seed, 50, 4, 0.3)]
    bias = np.mean([c.per_minute for c in capacities]) / truth - 1
    coverage = np.mean([c.interval.low <= truth <= c.interval.high for c in capacities])
    assert abs(bias) < 0.015
    assert 0.90 <= coverage <= 0.98


def test_the_makespan_underestimates_the_capacity():
    runs = simulated_bursts(0, 50, 4, 0.3)
    rates = [scenario_burst(np.zeros(50), run.ended_at).throughput_per_minute for run in runs]
    assert -0.08 <= np.mean(rates) / true_capacity(4) - 1 <= -0.03


def test_a_machine_whose_speed_wanders_widens_the_interval_of_its_run():
    rng = np.random.default_rng(3)
    services = lognormal(rng, 1.0, 0.02, 100) * (1 + 0.05 * np.sin(np.arange(100) / 10))
    widths = []
    for order in (np.arange(100), rng.permutation(100)):
        interval = saturated_throughput(executions_of(burst(services[order], 4)), 4).interval
        widths.append(interval.high - interval.low)
    assert widths[0] > 1.5 * widths[1]


def test_cold_starts_do_not_pass_for_a_machine_whose_speed_wanders():
    services = lognormal(np.random.default_rng(3), 1.0, 0.05, 120)
    services[:4] *= 1.6
    cycles = slot_cycles(executions_of(burst(services, 4)), 4)
    assert neighbours_correlate(cycles.cycle_seconds)
    assert not neighbours_correlate(cycles.settled(4))
