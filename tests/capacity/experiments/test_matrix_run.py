from dataclasses import dataclass, field

import pytest
from capacity.analysis.result_rows import load_rows

from capacity.experiments.matrix_plan import Basis, Plan, ordered
from capacity.experiments.matrix_run import Campaign
from capacity.experiments.test_runner import TrialFailed, silent
from core.errors import AforoError, RunFailed
from tests.capacity.store import add_run, burst, open_store
from tests.capacity.table.test_table import row

PLAN = Plan(("5MB",), (1, 2), ("burst", "sustained"), count=16, repeats=2, rate_per_minute=None)


@dataclass
class Bench:
    """A laboratory whose tests take no time; the n-th of `failing` fails."""

    failing: frozenset[int] = frozenset()
    tests: list[object] = field(default_factory=list)

    def run(self, test, _progress):
        self.tests.append(test)
        if len(self.tests) in self.failing:
            raise TrialFailed("run", "no video ended for 30 min", "see `make logs`")
        capacity = 10.0 * test.concurrency + len(self.tests)
        return row(
            f"r{len(self.tests)}", mode=test.mode.value, concurrency=test.concurrency, slots=test.concurrency,
            rate_per_minute=test.rate_per_minute, x_sat_per_minute=capacity if test.mode == "burst" else None,
            service_mean_seconds=6.0,
        )  # fmt: skip


def carry_out(bench, plan=PLAN):
    campaign, told = Campaign(bench, plan), []
    campaign.run(silent, lambda test, result: told.append((test, result)))
    return campaign, told


def test_every_test_is_run_once_with_its_note():
    bench = Bench()
    campaign, told = carry_out(bench)
    assert [test.note for test in bench.tests] == [test.note(PLAN) for test in ordered(PLAN)]
    assert [test for test, _ in told] == ordered(PLAN)
    assert campaign.left() == []


def test_an_automatic_rate_is_0_8_of_its_burst_and_the_same_in_every_repeat():
    bench = Bench()
    campaign, _ = carry_out(bench)
    for slots in (1, 2):
        tests = [t for t in ordered(PLAN) if t.concurrency == slots]
        first = next(t for t in tests if t.mode == "burst")
        rates = [campaign.rows[t].rate_per_minute for t in tests if t.mode == "sustained"]
        assert rates == [pytest.approx(0.8 * campaign.rows[first].x_sat_per_minute)] * 2


def test_a_test_that_fails_is_told_and_does_not_stop_the_others():
    campaign, told = carry_out(Bench(frozenset({2})))
    failed = [test for test, result in told if isinstance(result, AforoError)]
    assert list(campaign.faults) == failed
    assert len(campaign.rows) == len(ordered(PLAN)) - len(failed)
    assert len(failed) == 2  # the burst, and the sustained test of the same repeat that needed its capacity


def test_two_failures_one_after_the_other_stop_the_matrix():
    bench = Bench(frozenset({2, 3}))
    with pytest.raises(RunFailed, match="2 tests failed one after the other"):
        carry_out(bench)
    assert len(bench.tests) == 3


def test_a_cell_with_losses_counts_as_measured():
    class Lossy(Bench):
        def run(self, test, progress):
            return row(**{**super().run(test, progress).__dict__, "done": 14, "failed": 2})

    campaign, _ = carry_out(Lossy())
    assert campaign.faults == {}


def test_what_is_left_is_predicted_by_what_was_measured_so_far():
    campaign = Campaign(Bench(), PLAN)
    assert campaign.remaining().basis is Basis.GUESSED
    first = ordered(PLAN)[0]
    campaign.rows[first] = row(slots=first.concurrency, concurrency=first.concurrency, service_mean_seconds=6.0)
    assert campaign.remaining().basis is Basis.SCALED


def test_a_burst_is_adaptive_only_when_asked_and_a_sustained_test_never():
    bench = Bench()
    carry_out(bench, Plan(("5MB",), (1,), ("burst", "sustained"), 16, 1, 10.0, adaptive=True, arrivals=60))
    assert {(t.mode, t.adaptive, t.count) for t in bench.tests} == {("burst", True, 16), ("sustained", False, 60)}


@pytest.fixture
def earlier(tmp_path, monkeypatch):
    """Return the sessions of a store with a burst of 5MB on two slots, which this process's settings name."""
    sessions = open_store(tmp_path / "store.db")
    made, start, end, slot = burst(2, 12, 5.0, 1e9, "b2")
    with sessions.begin() as session:
        add_run(session, made, start, end, slot=slot)
    monkeypatch.setenv("AFORO_DATABASE_URL", f"sqlite:///{tmp_path}/store.db")
    monkeypatch.setenv("AFORO_PROMETHEUS_URL", "http://127.0.0.1:9")
    return sessions


def sustained_alone(sessions, **more):
    """Carry out a plan without bursts after looking at what is there; return the tests and what was told."""
    plan = Plan(**dict(sizes=("5MB",), concurrencies=(2,), modes=("sustained",), count=16, repeats=2,
                       rate_per_minute=None) | more)  # fmt: skip
    bench, told = Bench(), []
    bench.sessions = sessions
    campaign = Campaign(bench, plan)
    campaign.look()
    campaign.run(silent, lambda _, result: told.append(result))
    return bench.tests, told


def test_a_plan_without_bursts_takes_its_automatic_rate_from_an_earlier_burst_of_the_cell(earlier):
    (known,) = load_rows(["b2"])
    tests, _ = sustained_alone(earlier)
    assert [test.rate_per_minute for test in tests] == [pytest.approx(0.8 * known.x_sat_per_minute)] * 2


@pytest.mark.parametrize("other", [{"concurrencies": (4,)}, {"sizes": ("10MB",)}, {"profile": "showcase"}])
def test_a_burst_of_another_cell_or_profile_gives_no_rate(earlier, other):
    tests, told = sustained_alone(earlier, **other)
    assert tests == []
    assert {str(fault) for fault in told} == {
        "RATE (auto); no burst of this cell has an X_sat; use more COUNT, measure bursts too, or give a rate"
    }
