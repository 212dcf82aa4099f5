import pytest

from capacity.diagnosis.validity import Level, Validity
from capacity.estimators.stability import Stability
from capacity.experiments.rate_search import (
    RateSearch,
    SearchStep,
    StepResult,
    advance,
    next_step,
)
from core.run import Mode


def explore(answer, *, refine=False, capacity=10.0):
    """Run a search against a system that answers each rate.

    Return the search and the rates that it tried.
    """
    search, rates = RateSearch(refine=refine), []
    while (trial := next_step(search)) is not None:
        if trial.kind is Mode.BURST:
            search = advance(search, StepResult(trial, 180.0, capacity_per_minute=capacity))
        else:
            rates.append(round(trial.rate_per_minute, 4))
            search = advance(search, StepResult(trial, 720.0, verdict=answer(trial)))
        assert len(rates) < 30, "the search does not end"
    return search, rates


def limited_to(rate):
    return lambda trial: Stability.STABLE if trial.rate_per_minute <= rate else Stability.UNSTABLE


def test_a_search_starts_with_a_burst():
    assert next_step(RateSearch()) == SearchStep(Mode.BURST, 24)


def test_many_slots_get_enough_videos_for_a_verdict():
    search = advance(RateSearch(), StepResult(SearchStep(Mode.BURST, 24), 60.0, capacity_per_minute=10.0, slots=32))
    step = next_step(search)
    assert step.videos == 321
    doubtful = advance(search, StepResult(step, 60.0, verdict=Stability.INCONCLUSIVE))
    assert next_step(doubtful) == SearchStep(Mode.SUSTAINED, 642, step.rate_per_minute)


def test_one_stable_run_at_095_ends_it():
    search, rates = explore(limited_to(10.0))
    assert rates == [9.5]
    assert search.stable_per_minute == 9.5
    assert search.cost_seconds == 900.0


def test_an_unstable_run_steps_down_by_005():
    search, rates = explore(limited_to(8.7))
    assert rates == [9.5, 9.0, 8.5]
    assert (search.stable_per_minute, search.unstable_per_minute) == (8.5, 9.0)


def test_a_search_without_a_stable_rate_ends_at_half_of_the_burst():
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
    search = advance(RateSearch(), StepResult(SearchStep(Mode.BURST, 24), 60.0))
    assert search.failed
    assert next_step(search) is None


INVALID = Validity(Level.INVALID, ("idle_slots",))


def test_an_invalid_burst_is_repeated_once_and_does_not_give_the_capacity():
    burst = next_step(RateSearch())
    search = advance(RateSearch(), StepResult(burst, 60.0, capacity_per_minute=95.8, validity=INVALID))
    assert (search.capacity_per_minute, next_step(search)) == (None, burst)
    again = advance(search, StepResult(burst, 60.0, capacity_per_minute=24.0))
    assert (again.capacity_per_minute, again.failed, again.validity.level) == (24.0, False, Level.VALID)


def test_a_step_that_is_invalid_twice_ends_the_search():
    search = advance(RateSearch(), StepResult(next_step(RateSearch()), 60.0, capacity_per_minute=10.0))
    for _ in range(2):
        step = next_step(search)
        assert step.rate_per_minute == pytest.approx(9.5)
        search = advance(search, StepResult(step, 60.0, verdict=Stability.STABLE, validity=INVALID))
    assert (search.failed, search.stable_per_minute, next_step(search)) == (True, None, None)


def test_an_indicative_step_makes_the_answer_indicative():
    few = Validity(Level.INDICATIVE, ("few_videos",))
    search = advance(RateSearch(), StepResult(next_step(RateSearch()), 60.0, capacity_per_minute=10.0, validity=few))
    assert search.validity == few


def test_the_steps_of_a_mix_have_its_exact_shares():
    search = RateSearch(period=7)
    burst = next_step(search)
    assert burst.videos == 28
    search = advance(search, StepResult(burst, 180.0, capacity_per_minute=10.0))
    sustained = next_step(search)
    assert sustained.videos == 126
    doubtful = advance(search, StepResult(sustained, 60.0, verdict=Stability.INCONCLUSIVE))
    assert next_step(doubtful).videos == 252
