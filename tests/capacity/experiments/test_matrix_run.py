from dataclasses import dataclass, field

import pytest

from capacity.analysis.load_and_analyse import load_rows
from capacity.experiments.matrix_plan import Basis, MatrixPlan, ordered_runs
from capacity.experiments.matrix_run import MatrixRun
from capacity.experiments.run_launcher import no_progress
from capacity.experiments.run_programs import MeasurementFailed
from core.errors import AforoError, RunFailed
from core.models import RunRow
from core.settings import Settings
from tests.capacity.result_rows import row
from tests.capacity.store import burst, record_bursts

PLAN = MatrixPlan(("5MB",), (1, 2), ("burst", "sustained"), count=16, repeats=2, rate_per_minute=None)


@dataclass
class FakeLauncher:
    """A run launcher whose runs take no time. The runs with a number in `failing` fail."""

    failing: frozenset[int] = frozenset()
    requests: list[object] = field(default_factory=list)

    def run(self, test, _progress):
        self.requests.append(test)
        if len(self.requests) in self.failing:
            raise MeasurementFailed("run", "no video ended for 30 min", "see `make logs`")
        capacity = 10.0 * test.concurrency + len(self.requests)
        return row(
            f"r{len(self.requests)}", mode=test.mode.value, concurrency=test.concurrency, slots=test.concurrency,
            rate_per_minute=test.rate_per_minute, x_sat_per_minute=capacity if test.mode == "burst" else None,
            service_mean_seconds=6.0,
        )  # fmt: skip


def carry_out(launcher, plan=PLAN):
    matrix_run, results = MatrixRun(launcher, plan), []
    matrix_run.run(no_progress, lambda test, result: results.append((test, result)))
    return matrix_run, results


def test_every_planned_run_is_carried_out_once_with_its_note_and_profile():
    launcher = FakeLauncher()
    matrix_run, results = carry_out(launcher)
    assert [test.note for test in launcher.requests] == [test.note(PLAN) for test in ordered_runs(PLAN)]
    assert {test.profile for test in launcher.requests} == {PLAN.profile}
    assert [test for test, _ in results] == ordered_runs(PLAN)
    assert matrix_run.remaining() == []


def test_an_automatic_rate_is_0_8_of_its_burst_and_the_same_in_every_repeat():
    launcher = FakeLauncher()
    matrix_run, _ = carry_out(launcher)
    for slots in (1, 2):
        tests = [t for t in ordered_runs(PLAN) if t.concurrency == slots]
        first = next(t for t in tests if t.mode == "burst")
        rates = [matrix_run.rows[t].rate_per_minute for t in tests if t.mode == "sustained"]
        assert rates == [pytest.approx(0.8 * matrix_run.rows[first].x_sat_per_minute)] * 2


def test_a_failed_run_is_a_result_and_does_not_stop_the_others():
    matrix_run, results = carry_out(FakeLauncher(frozenset({2})))
    failed = [test for test, result in results if isinstance(result, AforoError)]
    assert list(matrix_run.errors) == failed
    assert len(matrix_run.rows) == len(ordered_runs(PLAN)) - len(failed)
    assert len(failed) == 2  # the burst, and the sustained test of the same repeat that needed its capacity


def test_two_failures_one_after_the_other_stop_the_matrix():
    launcher = FakeLauncher(frozenset({2, 3}))
    with pytest.raises(RunFailed, match="2 runs failed in a row"):
        carry_out(launcher)
    assert len(launcher.requests) == 3


def test_a_cell_with_losses_counts_as_measured():
    class Lossy(FakeLauncher):
        def run(self, test, progress):
            return row(**{**super().run(test, progress).__dict__, "done": 14, "failed": 2})

    matrix_run, _ = carry_out(Lossy())
    assert matrix_run.errors == {}


def test_the_remaining_runs_are_predicted_from_those_measured_so_far():
    matrix_run = MatrixRun(FakeLauncher(), PLAN)
    assert matrix_run.remaining_time().basis is Basis.GUESSED
    first = ordered_runs(PLAN)[0]
    matrix_run.rows[first] = row(slots=first.concurrency, concurrency=first.concurrency, service_mean_seconds=6.0)
    assert matrix_run.remaining_time().basis is Basis.SCALED


def test_a_burst_is_adaptive_only_on_request_and_a_sustained_run_never():
    launcher = FakeLauncher()
    carry_out(launcher, MatrixPlan(("5MB",), (1,), ("burst", "sustained"), 16, 1, 10.0, adaptive=True, arrivals=60))
    assert {(t.mode, t.adaptive, t.count) for t in launcher.requests} == {("burst", True, 16), ("sustained", False, 60)}


@pytest.fixture
def earlier(sessions, tmp_path, monkeypatch):
    """Return the sessions of a store with a burst of 5MB videos on two slots.

    The settings of this process name the store.
    """
    record_bursts(sessions, [burst(2, 12, 5.0, 1e9, "b2")])
    monkeypatch.setenv("AFORO_DATABASE_URL", f"sqlite:///{tmp_path}/store.db")
    monkeypatch.setenv("AFORO_PROMETHEUS_URL", "http://127.0.0.1:9")
    return sessions


def sustained_alone(sessions, **more):
    """Carry out a plan without bursts on the recorded runs.

    Return the planned runs and their results.
    """
    plan = MatrixPlan(**dict(sizes=("5MB",), concurrencies=(2,), modes=("sustained",), count=16, repeats=2,
                       rate_per_minute=None) | more)  # fmt: skip
    launcher, results = FakeLauncher(), []
    launcher.sessions, launcher.settings = sessions, Settings.from_process()
    matrix_run = MatrixRun(launcher, plan)
    matrix_run.load_finished()
    matrix_run.run(no_progress, lambda _, result: results.append(result))
    return launcher.requests, results


def test_a_plan_without_bursts_takes_its_automatic_rate_from_an_earlier_burst_of_the_cell(earlier):
    (burst_row,) = load_rows(Settings.from_process(), ["b2"])
    tests, _ = sustained_alone(earlier)
    assert [test.rate_per_minute for test in tests] == [pytest.approx(0.8 * burst_row.x_sat_per_minute)] * 2


@pytest.mark.parametrize("other", [{"concurrencies": (4,)}, {"sizes": ("10MB",)}, {"profile": "showcase"}])
def test_a_burst_of_another_cell_or_profile_gives_no_rate(earlier, other):
    tests, results = sustained_alone(earlier, **other)
    assert tests == []
    assert {str(fault) for fault in results} == {
        "RATE (auto); no valid burst of this cell has an X_sat; use more COUNT, measure bursts too, or give a rate"
    }


def test_every_number_of_workers_is_requested_and_takes_its_rate_from_its_own_burst():
    launcher = FakeLauncher()
    matrix_run, _ = carry_out(launcher, MatrixPlan(("5MB",), (2,), ("burst", "sustained"), 16, 1, None, workers=(1, 2)))
    assert sorted((test.workers, test.mode.value) for test in launcher.requests) == [
        (1, "burst"), (1, "sustained"), (2, "burst"), (2, "sustained"),
    ]  # fmt: skip
    rates = {run.workers: row.rate_per_minute for run, row in matrix_run.rows.items() if run.mode == "sustained"}
    bursts = {run.workers: row.x_sat_per_minute for run, row in matrix_run.rows.items() if run.mode == "burst"}
    assert rates == {workers: pytest.approx(0.8 * x_sat) for workers, x_sat in bursts.items()}


def test_a_shape_reaches_the_sustained_runs_with_another_seed_in_each_repeat():
    launcher = FakeLauncher()
    plan = MatrixPlan(("5MB",), (2,), ("burst", "sustained"), 16, 2, 10.0, shape="poisson", seed=5)
    carry_out(launcher, plan)
    assert sorted((t.mode.value, t.shape or "", t.seed or 0) for t in launcher.requests) == [
        ("burst", "", 0), ("burst", "", 0), ("sustained", "poisson", 5), ("sustained", "poisson", 6),
    ]  # fmt: skip


def test_runs_of_another_number_of_workers_are_not_resumed(sessions):
    plan = MatrixPlan(("5MB",), (2,), ("burst",), 12, 1, 10.0, workers=(1,))
    run, *times = burst(2, 12, 5.0, 1e9, "b2")
    run.note, run.nodes = ordered_runs(plan)[0].note(plan), 2
    record_bursts(sessions, [(run, *times)])
    launcher = FakeLauncher()
    launcher.sessions = sessions
    matrix_run = MatrixRun(launcher, plan)
    assert matrix_run._newest_run(ordered_runs(plan)[0]) is None
    with sessions.begin() as session:
        session.get_one(RunRow, "b2").nodes = 1
    assert matrix_run._newest_run(ordered_runs(plan)[0]) == "b2"
