from collections import Counter
from dataclasses import replace

import pytest

from capacity.experiments.matrix_plan import (
    OVERHEAD_SECONDS,
    Basis,
    MatrixPlan,
    PlannedRun,
    measured_services,
    ordered_runs,
    predict,
    total,
)

PLAN = MatrixPlan(("5MB", "10MB"), (1, 2, 4), ("burst", "sustained"), count=16, repeats=2, rate_per_minute=10.0)
BURST, SUSTAINED = PlannedRun("5MB", 2, "burst", 1), PlannedRun("5MB", 2, "sustained", 1)


def test_every_cell_is_run_once_in_each_repeat():
    cells = Counter((t.size, t.concurrency, t.mode, t.repeat) for t in ordered_runs(PLAN))
    assert len(cells) == 2 * 3 * 2 * 2
    assert set(cells.values()) == {1}


def test_repeats_are_interleaved_and_the_order_is_reproducible():
    tests = ordered_runs(PLAN)
    assert [t.repeat for t in tests] == [1] * 12 + [2] * 12
    assert tests == ordered_runs(PLAN)
    assert [t.note(PLAN) for t in tests[:12]] != sorted(t.note(PLAN) for t in tests[:12])


def test_an_automatic_rate_has_its_burst_before_it():
    plan = MatrixPlan(("5MB",), (1, 2), ("burst", "sustained"), 16, 1, None)
    assert [t.mode for t in ordered_runs(plan)] == ["burst", "burst", "sustained", "sustained"]


def test_cells_with_other_settings_belong_to_another_matrix():
    for change in (
        {"count": 17},
        {"rate_per_minute": None},
        {"adaptive": True},
        {"arrivals": 60},
        {"profile": "showcase"},
    ):
        assert replace(PLAN, **change).name != PLAN.name


def test_adding_cells_or_repeats_does_not_change_the_notes_of_the_existing_ones():
    more = replace(PLAN, sizes=("5MB", "10MB", "50MB"), concurrencies=(1, 2, 4, 8), repeats=3)
    assert {t.note(PLAN) for t in ordered_runs(PLAN)} < {t.note(more) for t in ordered_runs(more)}


def test_a_measured_cell_predicts_its_burst():
    prediction = predict(PLAN, BURST, {(5_000_000, 2): 6.0}, cores=2)
    assert (prediction.seconds, prediction.basis) == (16 * 3 + 6 + OVERHEAD_SECONDS, Basis.MEASURED)


def test_a_sustained_run_lasts_as_long_as_its_schedule_or_its_slots_need():
    assert predict(PLAN, SUSTAINED, {(5_000_000, 2): 6.0}, 2).seconds == 16 * 6 + 6 + OVERHEAD_SECONDS
    assert predict(PLAN, SUSTAINED, {(5_000_000, 2): 60.0}, 2).seconds == 16 * 30 + 60 + OVERHEAD_SECONDS
    automatic = MatrixPlan(PLAN.sizes, PLAN.concurrencies, PLAN.modes, 16, 1, None)
    assert predict(automatic, SUSTAINED, {(5_000_000, 2): 6.0}, 2).seconds == 16 * 3 / 0.8 + 6 + OVERHEAD_SECONDS


def test_an_unmeasured_cell_is_scaled_by_bytes_and_slots_from_the_nearest():
    prediction = predict(PLAN, PlannedRun("10MB", 4, "burst", 1), {(5_000_000, 2): 6.0, (5_000_000, 1): 5.0}, cores=2)
    assert prediction.basis is Basis.SCALED
    assert prediction.seconds == 16 * 24 / 4 + 24 + OVERHEAD_SECONDS


def test_without_measurements_the_prediction_is_a_guess_from_size_and_cores():
    prediction = predict(PLAN, PlannedRun("10MB", 4, "burst", 1), {}, cores=2)
    assert (prediction.seconds, prediction.basis) == (16 * 40 / 4 + 40 + OVERHEAD_SECONDS, Basis.GUESSED)


def test_a_sum_is_as_certain_as_its_least_certain_part():
    parts = [predict(PLAN, BURST, {(5_000_000, 2): 6.0}, 2), predict(PLAN, BURST, {}, 2)]
    assert total(parts).basis is Basis.GUESSED
    assert total(parts).seconds == pytest.approx(sum(p.seconds for p in parts))
    assert (total([]).seconds, total([]).basis) == (0, Basis.MEASURED)


def test_service_times_are_looked_up_by_size_and_slots():
    assert measured_services([("5MB", 2, 6.0), ("5MB", 2, 7.0), ("10MB", 1, None)]) == {(5_000_000, 2): 7.0}


def test_a_file_smaller_than_any_generated_video_has_a_service_time_too():
    assert measured_services([("50KB", 2, 6.0), ("30GB", 2, 7.0)]) == {(50_000, 2): 6.0, (30 * 10**9, 2): 7.0}


def test_runs_with_and_without_a_warm_up_are_different_matrix_runs():
    assert replace(PLAN, warmup=True).name != PLAN.name


def test_each_number_of_workers_is_a_cell_and_one_worker_resumes_the_runs_of_before():
    several = replace(PLAN, workers=(1, 2, 3))
    notes = [run.note(several) for run in ordered_runs(several)]
    assert len(set(notes)) == 3 * len(ordered_runs(PLAN))
    assert {run.note(PLAN) for run in ordered_runs(PLAN)} < set(notes)
    three = PlannedRun("5MB", 2, "burst", 1, 3)
    assert three.note(several).endswith(" 5MB c2 w3 burst #1")
    assert three.label(several).en == "5MB c=2 workers=3 burst #1"


def test_three_workers_are_predicted_with_their_slots():
    three = PlannedRun("5MB", 2, "burst", 1, 3)
    assert predict(PLAN, three, {(5_000_000, 6): 6.0}, 2).seconds == 16 * 1 + 6 + OVERHEAD_SECONDS


def test_another_shape_or_seed_is_another_matrix_and_each_repeat_has_another_seed():
    poisson = replace(PLAN, shape="poisson")
    assert len({PLAN.name, poisson.name, replace(poisson, seed=2).name}) == 3
    seeds = [
        poisson.seed_of(PlannedRun("5MB", 2, mode, repeat)) for mode in ("burst", "sustained") for repeat in (1, 2)
    ]
    assert seeds == [None, None, 1, 2]
    assert PLAN.seed_of(PlannedRun("5MB:3+10MB:1", 2, "burst", 2)) == 2


def test_a_mix_is_predicted_by_its_mean_size():
    mix = PlannedRun("5MB:3+10MB:1", 2, "burst", 1)
    assert predict(PLAN, mix, {(6_250_000, 2): 6.0}, 2).basis is Basis.MEASURED
