import numpy as np
import pytest

from capacity.estimators.interval import Interval
from capacity.estimators.queue_simulation import ggc, lognormal
from capacity.estimators.stability import (
    Stability,
    arrivals_needed,
    classify,
    growth_ratio,
    judge_stability,
    judged_window,
    offered_rate,
    waiting_videos,
)

REPETITIONS = 200


def verdicts(rho, arrivals=120, slots=4, cv=0.3, seed=0):
    rng = np.random.default_rng(seed)
    sent = np.arange(arrivals) / (rho * slots)
    for _ in range(REPETITIONS):
        service = lognormal(rng, 1.0, cv, arrivals)
        yield judge_stability(sent, ggc(sent, service, slots), service, slots).verdict


def share(verdict, rho):
    return np.mean([v is verdict for v in verdicts(rho)])


def test_a_run_at_nine_tenths_is_almost_never_called_unstable():
    assert share(Stability.UNSTABLE, 0.9) <= 0.02


def test_a_run_ten_percent_over_capacity_is_called_unstable():
    assert share(Stability.UNSTABLE, 1.10) >= 0.9


def test_a_run_at_eight_tenths_is_called_stable():
    assert share(Stability.STABLE, 0.8) >= 0.98


def test_a_run_far_over_capacity_is_always_called_unstable():
    assert share(Stability.UNSTABLE, 1.25) == 1.0


def test_a_slowly_growing_queue_has_its_golden_growth():
    times = np.arange(0, 720, 5.0)
    assert growth_ratio(times, np.floor(2 + 0.02 * times), 10 / 60) == pytest.approx(0.12, abs=1e-4)


def test_a_sawtooth_does_not_grow():
    queue = np.array([2, 3, 1, 2, 3, 1, 2, 3, 1, 2.0])
    assert growth_ratio(np.arange(10.0), queue, 1.0) == 0.0


def test_glitches_to_zero_do_not_move_the_growth():
    times = np.arange(120.0)
    queue = 3 + 0.1 * times
    queue[[17, 48, 71, 110]] = 0
    assert growth_ratio(times, queue, 1.0) == pytest.approx(0.1, abs=1e-4)


def test_a_million_samples_are_thinned():
    times = np.linspace(0, 1000, 1_000_000)
    assert growth_ratio(times, 0.5 * times, 1.0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("growth", "interval", "verdict"),
    [
        (0.05, Interval(0.7, 0.99), Stability.STABLE),
        (0.05, Interval(0.9, 1.0), Stability.INCONCLUSIVE),
        (0.06, Interval(0.9, 1.0), Stability.UNSTABLE),
        (0.06, Interval(0.7, 0.9), Stability.INCONCLUSIVE),
        (0.00, Interval(1.01, 1.2), Stability.UNSTABLE),
        (0.00, Interval(1.0, 1.2), Stability.INCONCLUSIVE),
        (float("nan"), Interval(0.7, 0.9), Stability.INCONCLUSIVE),
    ],
)
def test_verdict_follows_growth_and_utilisation(growth, interval, verdict):
    assert classify(growth, interval) is verdict


def test_workers_that_do_not_fetch_differ_from_workers_that_cannot_keep_up():
    sent = np.arange(120) * 6.0
    only_every_other = np.where(np.arange(120) % 2 == 0, sent, np.nan)
    verdict = judge_stability(sent, only_every_other, np.full(60, 5.0), 4)
    assert verdict.not_fetching
    assert verdict.verdict is Stability.INCONCLUSIVE
    assert verdict.growth_ratio == pytest.approx(0.5, abs=0.02)


def test_a_short_run_is_not_long_enough():
    sent = np.arange(50) * 6.0
    verdict = judge_stability(sent, sent, np.full(50, 5.0), 1)
    assert verdict.arrivals_needed == 60
    assert not verdict.long_enough
    assert verdict.verdict is Stability.STABLE


def test_one_arrival_cannot_be_judged():
    verdict = judge_stability(np.zeros(1), np.zeros(1), np.ones(1), 1)
    assert verdict.verdict is Stability.INCONCLUSIVE
    assert np.isnan(verdict.growth_ratio)


@pytest.mark.parametrize(
    ("cv", "rho", "needed"), [(0.3, 0.8, 60), (0.3, 0.9, 63), (0.3, 0.95, 279), (0.6, 0.9, 251), (0.6, 0.95, 1116)]
)
def test_minimum_duration(cv, rho, needed):
    assert arrivals_needed(cv, rho) == needed


def test_no_number_of_arrivals_suffices_at_full_utilisation():
    assert arrivals_needed(0.3, 1.0) is None


def test_waiting_counts_uploaded_but_not_started():
    waiting = waiting_videos(np.array([0.0, 1.0, 2.0]), np.array([0.5, np.nan, 5.0]), np.array([0.0, 1.0, 2.0, 9.0]))
    assert waiting == pytest.approx([1, 1, 2, 1])


def test_the_first_fifth_of_a_run_or_three_service_times_are_not_judged():
    arrivals = np.arange(0, 600, 6.0)
    assert judged_window(arrivals, 5.0) == pytest.approx((0.2 * 594, 594.0))
    assert judged_window(arrivals, 100.0) == pytest.approx((300.0, 594.0))
    assert judged_window(arrivals, 900.0) == pytest.approx((594.0, 594.0))


def test_a_punctual_generator_is_on_target():
    intended = np.arange(50) * 6.0
    rate = offered_rate(intended + 0.01, intended, 10.0)
    assert rate.per_minute == pytest.approx(10.0)
    assert rate.on_target
    assert not rate.generator_limited


def test_a_generator_that_sleeps_after_each_send_is_limited():
    """Each send takes 0.4 s before a sleep of 6 s, and the generator stalls once for 60 s."""
    intended = np.arange(60) * 6.0
    sent = np.arange(60) * 6.4 + np.where(np.arange(60) > 30, 60.0, 0.0)
    rate = offered_rate(sent, intended, 10.0)
    assert rate.per_minute == pytest.approx(8.09, abs=0.01)
    assert not rate.on_target
    assert rate.generator_limited
