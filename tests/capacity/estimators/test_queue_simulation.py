import numpy as np
import pytest

from capacity.estimators.queue_simulation import ggc, lognormal
from testing.burst_simulation import burst

ARRIVALS = 100_000
WARM_UP = ARRIVALS // 20


def mean_wait(slots, rho, cv_arrivals, cv_service, seed):
    """Return the mean queue wait as a multiple of the mean service time."""
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(draw(rng, cv_arrivals, 1 / (slots * rho)))
    starts = ggc(arrivals, draw(rng, cv_service, 1.0), slots)
    return float((starts - arrivals)[WARM_UP:].mean())


def draw(rng, cv, mean):
    if cv == "exponential":
        return rng.exponential(mean, ARRIVALS)
    return lognormal(rng, mean, cv, ARRIVALS)


@pytest.mark.parametrize(
    ("system", "theory"),
    [
        ((1, 0.5, "exponential", "exponential"), 1.0),
        ((2, 0.7, "exponential", "exponential"), 0.96078),
        ((4, 0.8, "exponential", "exponential"), 0.745541),
        ((1, 0.7, "exponential", 0.0), 1.166667),
        ((1, 0.8, 0.0, "exponential"), 1.692731),
        ((1, 0.8, "exponential", 0.3), 2.18),
    ],
    ids=["M/M/1", "M/M/2", "M/M/4", "M/D/1", "D/M/1", "M/G/1"],
)
def test_the_mean_of_eight_seeds_is_within_three_percent_of_queueing_theory(system, theory):
    waits = [mean_wait(*system, seed) for seed in range(8)]
    assert np.mean(waits) == pytest.approx(theory, rel=0.03)


def test_deterministic_arrivals_never_wait():
    arrivals = np.arange(1000.0)
    assert (ggc(arrivals, np.full(1000, 4.0), 4) == arrivals).all()


@pytest.mark.parametrize(("count", "slots", "makespan"), [(8, 2, 120.0), (10, 4, 90.0), (12, 4, 90.0)])
def test_a_burst_of_constant_service_runs_in_generations(count, slots, makespan):
    assert burst(np.full(count, 30.0), slots).ended_at.max() == pytest.approx(makespan, rel=1e-9)


def test_contention_slows_every_running_video():
    run = burst(np.full(8, 30.0), 2, contention=0.1)
    assert (run.ended_at - run.started_at) == pytest.approx(np.full(8, 33.0))


def test_contention_changes_nothing_on_one_slot():
    alone, quiet = burst(np.full(4, 30.0), 1, contention=0.5), burst(np.full(4, 30.0), 1)
    assert alone.ended_at == pytest.approx(quiet.ended_at)


def test_start_lags_and_poll_gaps_are_idle_time():
    run = burst(np.full(3, 10.0), 1, start_lags=np.array([2.0]), poll_gaps=np.full(3, 0.5))
    assert run.started_at == pytest.approx([2.0, 12.5, 23.0])


def test_lognormal_service_has_the_given_moments():
    drawn = lognormal(np.random.default_rng(0), 30.0, 0.3, 200_000)
    assert drawn.mean() == pytest.approx(30.0, rel=0.01)
    assert drawn.std() / drawn.mean() == pytest.approx(0.3, rel=0.01)
