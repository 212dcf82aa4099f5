import math

import numpy as np
import pytest

from capacity.estimators.interval import Interval
from capacity.estimators.queue_simulation import ggc, lognormal
from capacity.estimators.tails import goodput, response_times, tail

HUNDRED = np.arange(1.0, 101.0)


def test_percentiles_are_values_that_were_measured_with_their_order_statistics():
    measured = tail(np.random.default_rng(1).permutation(HUNDRED))
    assert (measured.count, measured.p50_seconds, measured.p95_seconds) == (100, 50.0, 95.0)
    assert (measured.p50_interval, measured.p95_interval) == (Interval(40.0, 61.0), Interval(90.0, 100.0))


def test_twelve_values_do_not_bound_the_95th_percentile_from_above():
    assert tail(np.arange(12.0)).p95_interval.high == math.inf


def test_without_values_the_percentiles_are_unknown():
    unknown = tail(np.array([math.nan]))
    assert (unknown.count, unknown.p50_seconds, unknown.p95_seconds) == (0, None, None)


def test_an_open_video_counts_with_the_time_that_it_has_waited_and_a_failed_one_not_at_all():
    uploaded, updated = np.zeros(4), np.array([5.0, 9.0, math.nan, 7.0])
    seconds, has_open = response_times(uploaded, updated, np.array([True, True, False, False]))
    assert (sorted(seconds), has_open) == ([5.0, 9.0, 9.0], True)
    assert tail(seconds, is_lower_bound=has_open).p50_interval.high == math.inf


def test_a_failed_video_is_not_within_the_goal():
    measured = goodput(HUNDRED[:90], 100, 60.0)
    assert (measured.within, measured.ratio) == (60, 0.6)
    assert (measured.interval.low, measured.interval.high) == pytest.approx((0.502, 0.691), abs=1e-3)


def coverage(sample, truth, probability, runs=400):
    """Return the share of intervals that contain the true quantile."""
    hits = 0
    for seed in range(runs):
        measured = tail(sample(np.random.default_rng(seed)))
        interval = measured.p50_interval if probability == 0.5 else measured.p95_interval
        hits += interval.low <= truth <= interval.high
    return hits / runs


@pytest.mark.parametrize("probability", [0.5, 0.95])
def test_intervals_of_independent_values_cover_at_least_their_level(probability):
    draw = lambda rng: rng.lognormal(0.0, 0.5, 100)  # noqa: E731
    truth = float(np.quantile(np.random.default_rng(9).lognormal(0.0, 0.5, 1_000_000), probability))
    assert coverage(draw, truth, probability) >= 0.93


def burst_responses(rng):
    return ggc(np.zeros(60), service := lognormal(rng, 10.0, 0.2, 60), 4) + service


@pytest.mark.parametrize("probability", [0.5, 0.95])
def test_intervals_of_a_burst_are_wider_than_needed(probability):
    truth = np.median(
        [np.quantile(burst_responses(np.random.default_rng(10_000 + k)), probability) for k in range(200)]
    )
    assert coverage(burst_responses, truth, probability) >= 0.95


def sustained_responses(rng, rho, arrivals=100, slots=4):
    sent = np.cumsum(rng.exponential(1 / (rho * slots), arrivals))
    service = lognormal(rng, 1.0, 0.3, arrivals)
    return ggc(sent, service, slots) - sent + service


def test_a_busy_queue_gives_no_interval_because_neighbours_wait_alike():
    tails = [tail(sustained_responses(np.random.default_rng(k), 0.9), is_sustained=True) for k in range(100)]
    assert sum(measured.is_correlated for measured in tails) >= 90
    assert all(measured.p95_interval == Interval(-math.inf, math.inf) for measured in tails if measured.is_correlated)
    assert tails[0].p95_seconds is not None


def test_independent_values_keep_their_interval():
    draws = [np.random.default_rng(k).lognormal(0.0, 0.3, 100) for k in range(200)]
    assert sum(tail(values, is_sustained=True).is_correlated for values in draws) <= 20
