"""Invariants of the throughput estimators, for any burst that a system with slots can produce."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.estimators.slots import Executions
from capacity.estimators.throughput import saturated_throughput, scenario_burst
from testing.burst_simulation import burst

SEEDS = st.integers(0, 2**32 - 1)
SLOTS = st.integers(1, 6)


def random_burst(seed, slots):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(slots + 1, 12 * slots))
    gaps = rng.uniform(0, 2, count)
    return burst(rng.uniform(5, 60, count), slots, start_lags=rng.uniform(0, 5, slots), poll_gaps=gaps), rng


def results(run, slots, slot):
    count = run.started_at.size
    capacity = saturated_throughput(Executions(run.started_at, run.ended_at, np.ones(count, bool), slot), slots)
    return np.array(
        [
            scenario_burst(np.full(count, run.started_at.min()), run.ended_at).throughput_per_minute,
            capacity.per_minute,
        ]
    )


@settings(max_examples=60, deadline=None)
@given(SEEDS, SLOTS, st.sampled_from([0.0, 1e6, 1.7e9]), st.sampled_from([0.01, 1.0, 60.0]))
def test_shifting_time_changes_nothing_and_stretching_it_divides_the_rate(seed, slots, shift, stretch):
    run, _ = random_burst(seed, slots)
    moved = type(run)(shift + stretch * run.started_at, shift + stretch * run.ended_at, run.slot)
    assert results(moved, slots, moved.slot) * stretch == pytest.approx(results(run, slots, run.slot), rel=1e-4)


@settings(max_examples=60, deadline=None)
@given(SEEDS, SLOTS)
def test_the_order_of_the_videos_and_the_names_of_the_slots_do_not_matter(seed, slots):
    run, rng = random_burst(seed, slots)
    order = rng.permutation(run.started_at.size)
    names = rng.permutation(1000)[:slots]
    shuffled = type(run)(run.started_at[order], run.ended_at[order], names[run.slot][order])
    assert results(shuffled, slots, shuffled.slot) == pytest.approx(results(run, slots, run.slot), rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(SEEDS, SLOTS)
def test_a_capacity_lies_between_those_of_the_longest_and_the_shortest_cycle(seed, slots):
    run, _ = random_burst(seed, slots)
    service = run.ended_at - run.started_at
    rates = results(run, slots, run.slot)
    assert 60 * slots / (service.max() + 2) <= rates[1] * (1 + 1e-9)
    assert rates[1] <= 60 * slots / service.min() * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(SEEDS, SLOTS)
def test_the_interval_holds_the_estimate(seed, slots):
    run, _ = random_burst(seed, slots)
    executions = Executions(run.started_at, run.ended_at, np.ones(run.started_at.size, bool), run.slot)
    capacity = saturated_throughput(executions, slots)
    assert capacity.interval is None or capacity.interval.low <= capacity.per_minute <= capacity.interval.high


@settings(max_examples=60, deadline=None)
@given(SEEDS, SLOTS)
def test_a_capacity_without_slot_ids_is_near_the_one_with_them(seed, slots):
    run, _ = random_burst(seed, slots)
    everyone = np.ones(run.started_at.size, bool)
    known = saturated_throughput(Executions(run.started_at, run.ended_at, everyone, run.slot), slots)
    unknown = saturated_throughput(Executions(run.started_at, run.ended_at, everyone), slots)
    assert unknown.per_minute == pytest.approx(known.per_minute, rel=0.05)
