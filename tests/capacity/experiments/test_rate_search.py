import numpy as np
import pytest

from capacity.estimators.queue_simulation import lognormal
from capacity.estimators.stability import Stability
from capacity.estimators.throughput import Executions
from capacity.experiments.rate_search import (
    Search,
    Trial,
    TrialKind,
    TrialResult,
    advance,
    finished_prefix,
    knows_enough,
    may_stop,
    next_trial,
    precision,
)


def explore(answer, *, refine=False, capacity=10.0):
    """Run a search against a system that answers each rate; return the search and the rates tried."""
    search, rates = Search(refine=refine), []
    while (trial := next_trial(search)) is not None:
        if trial.kind is TrialKind.BURST:
            search = advance(search, TrialResult(trial, 180.0, capacity_per_minute=capacity))
        else:
            rates.append(round(trial.rate_per_minute, 4))
            search = advance(search, TrialResult(trial, 720.0, verdict=answer(trial)))
        assert len(rates) < 30, "the search does not end"
    return search, rates


def limited_to(rate):
    return lambda trial: Stability.STABLE if trial.rate_per_minute <= rate else Stability.UNSTABLE


def test_a_search_begins_with_a_burst():
    assert next_trial(Search()) == Trial(TrialKind.BURST, 24)


def test_one_stable_run_at_095_ends_it():
    search, rates = explore(limited_to(10.0))
    assert rates == [9.5]
    assert search.stable_per_minute == 9.5
    assert search.cost_seconds == 900.0


def test_an_unstable_run_steps_down_by_005():
    search, rates = explore(limited_to(8.7))
    assert rates == [9.5, 9.0, 8.5]
    assert (search.stable_per_minute, search.unstable_per_minute) == (8.5, 9.0)


def test_a_hopeless_system_ends_at_half_of_the_burst():
    search, rates = explore(limited_to(0.0))
    assert search.stable_per_minute is None
    assert rates[-1] == 5.0


def test_refining_bisects_to_five_percent():
    search, rates = explore(limited_to(10.1), refine=True)
    assert rates == pytest.approx([9.5, 10.2225, 9.8546], abs=1e-3)
    assert search.unstable_per_minute / search.stable_per_minute <= 1.05
    assert search.stable_per_minute <= 10.1 < search.unstable_per_minute


@pytest.mark.parametrize("limit", [6.2, 8.8, 9.6, 10.4, 12.0])
def test_refining_never_claims_more_than_the_system_sustains(limit):
    search, _ = explore(limited_to(limit), refine=True)
    assert search.stable_per_minute <= limit


def test_an_inconclusive_run_is_prolonged_once_and_then_counts_as_not_stable():
    videos = []

    def answer(trial):
        videos.append(trial.videos)
        return Stability.INCONCLUSIVE if trial.rate_per_minute > 9.2 else Stability.STABLE

    search, rates = explore(answer)
    assert rates == [9.5, 9.5, 9.0]
    assert videos == [120, 240, 120]
    assert search.stable_per_minute == 9.0


def test_a_prolonged_run_that_turns_out_stable_leaves_no_mark():
    search, rates = explore(lambda trial: Stability.STABLE if trial.videos == 240 else Stability.INCONCLUSIVE)
    assert rates == [9.5, 9.5]
    assert (search.stable_per_minute, search.unstable_per_minute) == (9.5, None)


def test_a_burst_without_a_capacity_ends_the_search():
    search = advance(Search(), TrialResult(Trial(TrialKind.BURST, 24), 60.0))
    assert search.failed
    assert next_trial(search) is None


def test_only_the_unbroken_prefix_in_start_order_counts():
    assert finished_prefix(np.array([1.0, 2.0, np.nan, 3.0])) == pytest.approx([1.0, 2.0])


def test_a_burst_stops_when_twelve_cycles_are_precise():
    steady = np.tile([29.0, 31.0], 6)
    assert precision(steady) == pytest.approx(0.0221, abs=1e-3)
    assert may_stop(steady)
    assert not may_stop(steady[:11])
    assert not may_stop(np.tile([20.0, 40.0], 6))


def test_one_cycle_has_no_precision():
    assert np.isnan(precision(np.array([30.0])))


def test_stopping_early_keeps_most_of_the_coverage():
    """METHOD 6: CV .10, nmin 12 stops near 17 videos with coverage .93."""
    rng = np.random.default_rng(0)
    used, hits = [], 0
    for _ in range(300):
        cycles = lognormal(rng, 1.0, 0.1, 100)
        stop = next(n for n in range(12, 101) if may_stop(cycles[:n]))
        used.append(stop)
        hits += abs(cycles[:stop].mean() - 1) <= precision(cycles[:stop]) * cycles[:stop].mean()
    assert 14 <= np.mean(used) <= 20
    assert hits / 300 >= 0.88


@pytest.mark.parametrize(("unfinished_since", "enough"), [(None, True), (1000.0, True), (10.0, False)])
def test_a_burst_in_progress_is_judged_by_what_began_before_the_first_unfinished_execution(unfinished_since, enough):
    start = np.arange(20) * 5.0
    executions = Executions(start, start + 5 + 0.1 * (np.arange(20) % 2), np.ones(20, bool), np.zeros(20, np.int64))
    assert knows_enough(executions, 1, unfinished_since) is enough
