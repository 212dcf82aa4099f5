import numpy as np
import pytest

from capacity.estimators.littles_law import Agreement, check_littles_law, implied_mean, judge_mismatch
from capacity.estimators.stability import waiting_videos
from tests.capacity import golden

POLLS = np.arange(0, 156, 5.0)


def polled(arrived, left):
    return waiting_videos(arrived, left, POLLS)


def test_the_golden_system_check():
    waiting = polled(golden.UPLOADED, golden.STARTED)
    in_flight = polled(golden.STARTED, golden.ENDED)
    assert (waiting.mean(), in_flight.mean()) == (4.15625, 1.84375)
    check = check_littles_law(waiting + in_flight, golden.UPLOADED, golden.ENDED)
    assert (check.counted_mean, check.implied_mean) == pytest.approx((6.0, 6.006410), abs=1e-6)
    assert check.mismatch == pytest.approx(0.00107, abs=1e-5)
    assert check.agreement is Agreement.OK


@pytest.mark.parametrize(("count", "slots", "present"), [(8, 2, 5.0), (10, 4, 6.0), (12, 4, 8.0), (5, 1, 3.0)])
def test_deterministic_bursts_obey_littles_law_exactly(count, slots, present):
    ended = 30.0 * (1 + np.arange(count) // slots)
    assert implied_mean(np.zeros(count), ended, 0.0, ended.max()) == pytest.approx(present, rel=1e-9)


def test_lost_records_make_the_check_invalid():
    present = polled(golden.UPLOADED, golden.ENDED)
    check = check_littles_law(present, golden.UPLOADED[:9], golden.ENDED[:9])
    assert check.agreement is Agreement.INVALID


@pytest.mark.parametrize(
    ("mismatch", "agreement"),
    [(0.05, "ok"), (-0.05, "ok"), (0.051, "warn"), (-0.10, "warn"), (0.101, "invalid"), (float("nan"), "unknown")],
)
def test_five_percent_is_ok_ten_is_the_limit(mismatch, agreement):
    assert judge_mismatch(mismatch) == agreement


def test_without_polls_the_agreement_is_unknown():
    assert check_littles_law(np.empty(0), golden.UPLOADED, golden.ENDED).agreement is Agreement.UNKNOWN
