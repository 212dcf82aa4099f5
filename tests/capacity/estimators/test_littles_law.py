import numpy as np
import pytest

from capacity.estimators.littles_law import (
    Agreement,
    QueueReadings,
    check_littles_law,
    implied_mean,
    judge_excess,
    largest_delay_excess,
    videos_present,
)
from tests.capacity import golden

PROMPT = 0.25
MOMENTS = np.arange(0, 156, 5.0)


def read(arrived, left, moments, share=1.0):
    return QueueReadings(moments, share * videos_present(arrived, left, moments))


def test_the_golden_system_check():
    waiting = videos_present(golden.UPLOADED, golden.STARTED, MOMENTS)
    in_flight = videos_present(golden.STARTED, golden.ENDED, MOMENTS)
    assert (waiting.mean(), in_flight.mean()) == (4.15625, 1.84375)
    readings = QueueReadings(MOMENTS, waiting + in_flight)
    check = check_littles_law(readings, golden.UPLOADED, golden.ENDED, 156.0, PROMPT)
    assert (check.counted_mean, check.implied_mean) == pytest.approx((6.0, 6.006410), abs=1e-6)
    assert check.mismatch == pytest.approx(0.00107, abs=1e-5)
    assert (check.excess, check.readings, check.agreement) == (0.0, 32, Agreement.OK)


@pytest.mark.parametrize(("count", "slots", "present"), [(8, 2, 5.0), (10, 4, 6.0), (12, 4, 8.0), (5, 1, 3.0)])
def test_deterministic_bursts_obey_littles_law_exactly(count, slots, present):
    ended = 30.0 * (1 + np.arange(count) // slots)
    assert implied_mean(np.zeros(count), ended, 0.0, ended.max()) == pytest.approx(present, rel=1e-9)


def test_a_perfect_burst_whose_first_reading_is_late_agrees():
    """24 videos of 20 s on 4 slots: readings from 15 s on make the whole run look 11 % emptier than it was."""
    ended = 20.0 * (1 + np.arange(24) // 4)
    moments = np.arange(15.0, 120.0, 5.0)
    check = check_littles_law(read(np.zeros(24), ended, moments), np.zeros(24), ended, 120.0, PROMPT)
    assert implied_mean(np.zeros(24), ended, 0.0, 120.0) / check.counted_mean - 1 == pytest.approx(0.11364, abs=1e-5)
    assert (check.excess, check.agreement) == (0.0, Agreement.OK)


def test_perfect_paced_arrivals_at_the_spacing_of_the_readings_agree():
    """Videos of 3 s every 5 s, read every 5 s just after each arrival: 1 counted, 0.6 on average."""
    arrived = 5.0 * np.arange(24)
    check = check_littles_law(read(arrived, arrived + 3, arrived + 0.5), arrived, arrived + 3, 118.0, PROMPT)
    assert check.mismatch == pytest.approx(-0.4, abs=0.02)
    assert (check.excess, check.agreement) == (0.0, Agreement.OK)


@pytest.mark.parametrize("share", [1.15, 0.85])
def test_a_queue_that_counts_15_percent_more_or_fewer_messages_makes_the_run_invalid(share):
    ended = 20.0 * (1 + np.arange(24) // 4)
    readings = read(np.zeros(24), ended, np.arange(0.5, 120.0), share)
    check = check_littles_law(readings, np.zeros(24), ended, 120.0, PROMPT)
    assert (check.excess, check.agreement) == (pytest.approx(1 / share - 1), Agreement.INVALID)


@pytest.mark.parametrize("lost", [0, 7])
def test_a_lost_record_of_the_first_or_the_last_video_is_seen(lost):
    """The run does not begin or end with the records that are left."""
    arrived = 20.0 * np.arange(8)
    readings = read(arrived, arrived + 20, np.arange(0.5, 160.0))
    kept = np.arange(8) != lost
    check = check_littles_law(readings, arrived[kept], arrived[kept] + 20, 160.0, PROMPT)
    assert (check.excess, check.agreement) == (pytest.approx(-0.125), Agreement.INVALID)


def test_lost_records_make_the_check_invalid():
    readings = read(golden.UPLOADED, golden.ENDED, MOMENTS)
    check = check_littles_law(readings, golden.UPLOADED[:8], golden.ENDED[:8], 156.0, PROMPT)
    assert check.agreement is Agreement.INVALID


def test_a_video_that_has_not_ended_is_present_until_the_last_reading():
    ended = np.where(np.arange(10) < 9, golden.ENDED, np.nan)
    moments = np.arange(0, 150, 5.0)
    readings = read(golden.UPLOADED, np.where(np.isfinite(ended), ended, np.inf), moments)
    check = check_littles_law(readings, golden.UPLOADED, ended, 156.0, PROMPT)
    assert (check.excess, check.agreement) == (0.0, Agreement.OK)


@pytest.mark.parametrize(("count", "limit"), [(24, 0.2727), (240, 0.0252)])
def test_a_late_queue_widens_the_limit_most_in_short_runs(count, limit):
    ended = 20.0 * (1 + np.arange(count) // 4)
    moments = np.arange(0.5, ended.max())
    assert largest_delay_excess(np.zeros(count), ended, moments, 15.0) == pytest.approx(limit, abs=1e-4)
    late = read(np.zeros(count), ended + 15, moments)
    check = check_littles_law(late, np.zeros(count), ended, ended.max(), 15.0)
    assert (check.limit, check.agreement) == (pytest.approx(max(limit, 0.1), abs=1e-4), Agreement.OK)


@pytest.mark.parametrize(
    ("excess", "delay", "agreement"),
    [
        (0.05, 0.0, "ok"),
        (-0.05, 0.0, "ok"),
        (0.051, 0.0, "warn"),
        (-0.10, 0.0, "warn"),
        (0.101, 0.0, "invalid"),
        (0.08, 0.09, "ok"),
        (0.15, 0.2, "ok"),
        (0.21, 0.2, "invalid"),
        (float("nan"), 0.0, "unknown"),
    ],
)
def test_five_percent_is_ok_and_ten_or_the_delay_is_the_limit(excess, delay, agreement):
    assert judge_excess(excess, delay) == agreement


def test_under_ten_readings_or_without_any_the_agreement_is_unknown():
    for count in (0, 9):
        readings = read(golden.UPLOADED, golden.ENDED, MOMENTS[:count])
        check = check_littles_law(readings, golden.UPLOADED, golden.ENDED, 156.0, PROMPT)
        assert (check.agreement, check.readings) == (Agreement.UNKNOWN, count)


def test_upload_times_a_whole_period_too_early_are_suspected_with_their_size():
    """now() of a transaction that stayed open during the sleep: 10 videos a minute, each stamped 6 s early."""
    arrived = 6.0 * np.arange(40)
    moments = np.arange(0.0, 240.0)
    readings = read(arrived, arrived + 9.0, moments)
    check = check_littles_law(readings, arrived - 6.0, arrived + 9.0, 243.0, PROMPT)
    assert check.agreement == Agreement.INVALID
    assert 5.0 < check.early_seconds <= 6.0, "to the second between two readings"


@pytest.mark.parametrize("slots", [1, 4])
def test_a_queue_that_counts_fewer_messages_is_no_sign_of_early_uploads(slots):
    ended = 20.0 * (1 + np.arange(24) // slots)
    readings = read(np.zeros(24), ended, np.arange(0.5, ended.max()), 0.7)
    check = check_littles_law(readings, np.zeros(24), ended, ended.max(), PROMPT)
    assert (check.agreement, check.early_seconds) == (Agreement.INVALID, None)


def test_records_that_agree_need_no_explanation():
    arrived = 6.0 * np.arange(40)
    check = check_littles_law(
        read(arrived, arrived + 9.0, np.arange(0.0, 240.0)), arrived, arrived + 9.0, 243.0, PROMPT
    )
    assert (check.agreement, check.early_seconds) == (Agreement.OK, None)
