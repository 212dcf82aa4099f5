import numpy as np
import pytest

from capacity.estimators.interval import quantile_interval, quantile_ranks, t_half_width
from capacity.estimators.slots import Executions
from capacity.estimators.throughput import (
    FirstVideos,
    NoCapacity,
    filling_efficiency,
    saturated_throughput,
    scenario_burst,
    scenario_sustained,
    service_statistics,
    slot_cycles,
)
from capacity.report.messages import sentence
from tests.capacity import golden


def test_the_scenario_numbers_of_the_golden_burst():
    scenario = scenario_burst(golden.UPLOADED, golden.ENDED)
    assert scenario.throughput_per_minute == pytest.approx(3.846154, abs=1e-6)
    assert scenario.response_mean_seconds == pytest.approx(93.7, abs=1e-6)


def test_the_golden_slot_cycles_give_the_last_video_of_each_slot_the_mean_gap():
    cycles = slot_cycles(golden.executions(), golden.SLOTS)
    assert cycles.cycle_seconds == pytest.approx([28.5, 31.5, 30.5, 33.5, 29.5, 30.5, 32.5, 27.5, 30.5, 30.5])


def test_the_golden_capacity_with_its_trimmed_interval():
    capacity = saturated_throughput(golden.executions(), golden.SLOTS)
    assert capacity.per_minute == pytest.approx(3.913043, abs=1e-6)
    assert (capacity.interval.low, capacity.interval.high) == pytest.approx((3.646387, 4.221777), abs=1e-6)
    assert capacity.first_videos is FirstVideos.LEFT_OUT


def test_warm_slots_keep_their_first_videos():
    capacity = saturated_throughput(golden.executions(), golden.SLOTS, is_warm=True)
    assert capacity.per_minute == pytest.approx(3.934426, abs=1e-6)
    assert (capacity.interval.low, capacity.interval.high) == pytest.approx((3.729947, 4.162626), abs=1e-6)
    assert capacity.first_videos is FirstVideos.WARM


def test_under_four_generations_the_first_videos_stay_in():
    seven = Executions(golden.STARTED[:7], golden.ENDED[:7], np.ones(7, dtype=bool), golden.SLOT[:7])
    capacity = saturated_throughput(seven, golden.SLOTS)
    assert capacity.first_videos is FirstVideos.INCLUDED
    assert capacity.per_minute == pytest.approx(60 * 2 / np.mean([28.5, 31.5, 30.5, 33.5, 29.5]))


def test_the_golden_half_widths_of_all_and_of_the_first_eight_cycles():
    cycles = slot_cycles(golden.executions(), golden.SLOTS).cycle_seconds
    assert t_half_width(cycles[:8]) == pytest.approx(1.672042, abs=1e-6)
    assert t_half_width(cycles) == pytest.approx(1.261771, abs=1e-6)


def test_unknown_slots_give_the_same_capacity_as_known_ones():
    known = slot_cycles(golden.executions(), golden.SLOTS)
    unknown = slot_cycles(Executions(golden.STARTED, golden.ENDED, np.ones(10, dtype=bool)), golden.SLOTS)
    assert unknown.cycle_seconds.sum() == pytest.approx(known.cycle_seconds.sum(), rel=1e-12)


def test_recycled_processes_keep_their_gaps():
    recycled = Executions(golden.STARTED, golden.ENDED, np.ones(10, dtype=bool), np.arange(10))
    assert slot_cycles(recycled, golden.SLOTS).cycle_seconds.sum() == pytest.approx(305.0)


def all_done(started, ended, slot=None, worker=None):
    count = len(started)
    codes = [None if values is None else np.array(values, dtype=np.int64) for values in (slot, worker)]
    return Executions(np.array(started, float), np.array(ended, float), np.ones(count, bool), codes[0], None, codes[1])


def test_one_id_for_all_slots_is_chained_to_the_slot_that_was_free_longest():
    capacity = saturated_throughput(all_done([0, 0, 10, 10], [10, 10, 20, 20], slot=[7] * 4), 2)
    assert capacity.per_minute == pytest.approx(12.0)


def test_a_pool_of_four_threads_with_one_process_id_has_the_capacity_of_four_slots():
    rank = np.arange(24)
    started = 9.9 * (rank // 4) + 0.1 * (rank % 4)
    capacity = saturated_throughput(all_done(started, started + 9.8, slot=[4711] * 24), 4)
    assert capacity.per_minute == pytest.approx(60 * 4 / 9.9, rel=1e-9), "the faulty figure was four times as large"


def test_thread_ids_that_change_are_chained_too():
    rank = np.arange(24)
    started = 10.0 * (rank // 4)
    capacity = saturated_throughput(all_done(started, started + 10, slot=140_000_000_000_000 + rank), 4)
    assert capacity.per_minute == pytest.approx(24.0)


def test_executions_that_overlap_in_one_slot_are_refused():
    overlapping = all_done([0, 0, 4, 10, 10, 20], [10, 10, 14, 20, 20, 30], slot=[0, 1, 0, 1, 0, 1])
    reason = saturated_throughput(overlapping, 2).reason
    assert (reason.code, reason.values["executions"]) == (NoCapacity.OVERLAPPING_EXECUTIONS, 2)
    assert reason.code.is_impossible


def test_more_executions_at_a_time_than_slots_are_refused():
    crowd = all_done([0] * 3 + [10] * 3 + [20] * 3, [10] * 3 + [20] * 3 + [30] * 3)
    assert saturated_throughput(crowd, 2).reason.code is NoCapacity.OVERLAPPING_EXECUTIONS


def test_a_capacity_above_that_of_the_service_time_alone_is_refused():
    started = np.array([0.0, 0, 9.5, 9.5, 19, 19, 28.5, 28.5])
    reason = saturated_throughput(all_done(started, started + 10, slot=[0, 1] * 4), 2).reason
    assert reason.code is NoCapacity.FASTER_THAN_SERVICE
    assert reason.values["most_per_minute"] == pytest.approx(12.0)


def two_of_four_slots(gap=0.01):
    started = np.repeat((4 + gap) * np.arange(16), 2)
    return all_done(started, started + 4, slot=[0, 1] * 16)


def test_declared_slots_that_never_worked_are_refused_with_the_rate_of_the_others():
    reason = saturated_throughput(two_of_four_slots(), 4).reason
    assert reason.code is NoCapacity.IDLE_SLOTS
    assert (reason.values["working"], reason.values["slots"]) == (2, 4)
    assert reason.values["working_per_minute"] == pytest.approx(29.9, abs=0.05)


def test_a_slot_that_stops_while_messages_wait_is_refused():
    started = [0.0, 0.0, 0.0, 0.0, *np.repeat(4.0 * np.arange(1, 10), 3)]
    slot = [0, 1, 2, 3, *[0, 1, 2] * 9]
    reason = saturated_throughput(all_done(started, np.array(started) + 4, slot=slot), 4).reason
    assert (reason.code, reason.values["working"]) == (NoCapacity.IDLE_SLOTS, 3)
    assert reason.values["working_per_minute"] == pytest.approx(45, rel=0.05), "not 60"


def test_a_worker_that_restarts_has_as_many_working_slots_as_before():
    started = np.repeat(10.0 * np.arange(8), 2)
    worker, slot = [0] * 8 + [1] * 8, [0, 1] * 4 + [10, 11] * 4
    assert saturated_throughput(all_done(started, started + 10, slot, worker), 2).per_minute == pytest.approx(12.0)


def test_slots_with_long_gaps_between_short_videos_have_not_stopped():
    started = np.array([0.0, 0.3, 1.2, 1.5, 2.4, 2.7, 3.6, 3.9])
    assert saturated_throughput(all_done(started, started + 0.2, slot=[0, 1] * 4), 2).reason is None


def test_slots_are_counted_on_each_worker():
    started = np.repeat(10.0 * np.arange(8), 2)
    worker, slot = [0, 1] * 8, [0, 10] * 8
    assert saturated_throughput(all_done(started, started + 10, slot, worker), 2, 1).per_minute == pytest.approx(12.0)
    reason = saturated_throughput(all_done(started, started + 10, slot, worker), 4, 2).reason
    assert (reason.code, reason.values["working"]) == (NoCapacity.IDLE_SLOTS, 2)


def test_a_slot_that_starts_on_demand_is_not_idle_in_a_short_run():
    short = all_done([0, 0, 10, 10, 20, 20], [10, 10, 20, 20, 30, 30], slot=[0, 1] * 3)
    assert saturated_throughput(short, 3).reason is None


def test_no_capacity_without_a_second_generation():
    one = Executions(np.zeros(4), np.full(4, 30.0), np.ones(4, dtype=bool), np.arange(4))
    capacity = saturated_throughput(one, 4)
    assert capacity.per_minute is None
    assert capacity.reason.code is NoCapacity.NO_SECOND_GENERATION
    assert capacity.reason.values == {"executions": 4, "slots": 4}
    assert sentence(capacity.reason, "en").startswith("4 executions on 4 slots: no second generation")


def test_under_three_generations_every_execution_counts():
    five = Executions(golden.STARTED[:5], golden.ENDED[:5], np.ones(5, dtype=bool), golden.SLOT[:5])
    cycles = slot_cycles(five, 2).cycle_seconds
    assert saturated_throughput(five, 2).per_minute == pytest.approx(60 * 2 / cycles.mean())
    assert cycles.size == 5


def test_failed_executions_are_load_but_not_output():
    counted = np.ones(10, dtype=bool)
    counted[[1, 4]] = False
    capacity = saturated_throughput(Executions(golden.STARTED, golden.ENDED, counted, golden.SLOT), golden.SLOTS)
    assert capacity.per_minute == pytest.approx(3.913043 * 5 / 6, abs=1e-6)
    assert capacity.interval.high / capacity.interval.low > 1.5, "the luck of one failure in six must show"


def test_executions_that_all_fail_have_no_capacity():
    failed = Executions(golden.STARTED, golden.ENDED, np.zeros(10, dtype=bool), golden.SLOT)
    reason = saturated_throughput(failed, 2).reason
    assert reason.code is NoCapacity.NO_COMPLETED_VIDEO
    assert sentence(reason, "en") == "no execution completed a video"


def test_clocks_that_run_backwards_have_no_capacity():
    backwards = Executions(np.zeros(4), np.full(4, -1.0), np.ones(4, dtype=bool), np.zeros(4, dtype=np.int64))
    assert saturated_throughput(backwards, 1).reason.code is NoCapacity.CLOCK_SKEW


def test_an_idle_slot_with_an_empty_queue_is_not_a_gap():
    late = Executions(
        started_at=np.array([0.0, 101.0]),
        ended_at=np.array([30.0, 131.0]),
        counted=np.ones(2, dtype=bool),
        slot=np.zeros(2, dtype=np.int64),
        uploaded_at=np.array([0.0, 100.0]),
    )
    assert slot_cycles(late, 1).cycle_seconds == pytest.approx([31.0, 31.0])


def test_crashed_executions_without_an_end_are_left_out():
    ended = golden.ENDED.copy()
    ended[9] = np.nan
    broken = Executions(golden.STARTED, ended, np.ones(10, dtype=bool), golden.SLOT)
    assert slot_cycles(broken, 2).cycle_seconds.size == 9


def test_unfinished_videos_make_s_a_lower_bound():
    uploaded, updated = np.zeros(3), np.array([10.0, 20.0, np.nan])
    scenario = scenario_burst(uploaded, updated)
    assert scenario.response_mean_seconds == pytest.approx((10 + 20 + 20) / 3)
    assert scenario.throughput_per_minute == pytest.approx(6.0)


def test_failed_videos_are_not_throughput():
    scenario = scenario_burst(np.zeros(3), np.array([10.0, 20.0, 90.0]), np.array([True, True, False]))
    assert scenario.throughput_per_minute == pytest.approx(6.0)
    assert scenario.response_mean_seconds == pytest.approx(15.0)


def test_a_burst_without_completions_has_no_numbers():
    scenario = scenario_burst(np.zeros(3), np.full(3, np.nan))
    assert np.isnan(scenario.throughput_per_minute)


def test_sustained_counts_completions_in_the_window_and_response_times_by_upload():
    uploaded = np.array([-5.0, 0.0, 30.0, 60.0, 90.0])
    updated = uploaded + np.array([10.0, 10.0, 20.0, 30.0, 200.0])
    scenario = scenario_sustained(uploaded, updated, 0.0, 120.0)
    assert scenario.throughput_per_minute == pytest.approx(2.0)
    assert scenario.response_mean_seconds == pytest.approx((10 + 20 + 30 + 200) / 4)


@pytest.mark.parametrize(
    ("count", "slots", "expected"),
    [
        (8, 2, {"x": 4.0, "capacity": 4.0, "s": 75.0}),
        (10, 4, {"x": 20 / 3, "capacity": 8.0, "s": 54.0}),
        (12, 4, {"x": 8.0, "capacity": 8.0, "s": 60.0}),
    ],
)
def test_constant_service_is_exact(count, slots, expected):
    started = 30.0 * (np.arange(count) // slots)
    ended = started + 30
    executions = Executions(started, ended, np.ones(count, dtype=bool), np.arange(count) % slots)
    scenario = scenario_burst(np.zeros(count), ended)
    assert scenario.throughput_per_minute == pytest.approx(expected["x"], rel=1e-9)
    assert scenario.response_mean_seconds == pytest.approx(expected["s"], rel=1e-9)
    assert saturated_throughput(executions, slots).per_minute == pytest.approx(expected["capacity"], rel=1e-9)


def test_filling_efficiency_shows_the_lost_last_generation():
    assert filling_efficiency(20 / 3, 8.0) == pytest.approx(0.8333333)
    assert np.isnan(filling_efficiency(1.0, None))


def test_service_statistics_of_the_golden_run():
    service = service_statistics(golden.STARTED, golden.ENDED)
    assert service.count == 10
    assert service.mean_seconds == pytest.approx(30.0)
    assert service.p50_seconds == pytest.approx(30.0)
    assert service.p95_interval.high == float("inf")


def test_nothing_finished_has_no_service_statistics():
    assert np.isnan(service_statistics(np.array([1.0]), np.array([np.nan])).mean_seconds)


@pytest.mark.parametrize(("count", "ranks"), [(20, (17, None)), (50, (44, None)), (100, (90, 100)), (200, (184, 197))])
def test_ranks_that_bracket_the_95th_percentile(count, ranks):
    assert quantile_ranks(count, 0.95) == ranks


def test_a_two_sided_interval_of_p95_needs_72_values():
    assert quantile_ranks(71, 0.95)[1] is None
    assert quantile_ranks(72, 0.95)[1] == 72


def test_quantile_interval_ignores_unknown_values():
    interval = quantile_interval(np.append(np.arange(1.0, 101.0), np.nan), 0.95)
    assert (interval.low, interval.high) == (90.0, 100.0)
