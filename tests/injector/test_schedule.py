import pytest

from injector.injection import paced
from injector.schedule import Schedule


class Clock:
    """A clock that advances only by `sleep`."""

    def __init__(self):
        self.now = 1_000_000.0

    def time(self):
        return self.now

    def monotonic(self):
        return self.now - 999_000.0

    def sleep(self, seconds):
        self.now += seconds


def test_all_videos_of_a_burst_are_due_immediately_and_it_has_no_window():
    schedule = Schedule(count=8)
    assert (schedule.due(sent=0, elapsed_seconds=0.0), schedule.window_seconds) == (8, None)


def test_a_rate_is_an_absolute_schedule():
    schedule = Schedule(count=50, rate_per_minute=10)
    assert [schedule.intended_seconds(k) for k in (0, 1, 49)] == [0.0, 6.0, 294.0]
    assert schedule.window_seconds == 300.0


def test_a_stall_is_caught_up_and_later_sends_keep_their_times():
    schedule = Schedule(count=60, rate_per_minute=60)
    assert schedule.due(sent=3, elapsed_seconds=10.0) == 8  # 0..10 s are 11 arrivals, 3 were sent


def test_no_video_is_due_early_or_after_the_last():
    schedule = Schedule(count=3, rate_per_minute=60)
    assert schedule.due(sent=1, elapsed_seconds=0.9) == 0
    assert schedule.due(sent=3, elapsed_seconds=99.0) == 0


def test_work_between_the_start_and_the_first_send_delays_no_later_send():
    clock = Clock()
    started_at = clock.now
    clock.sleep(0.2)  # the commit that sets the run to running
    late = lambda _, intended_at: clock.now - intended_at  # noqa: E731
    schedule, clocks = Schedule(count=3, rate_per_minute=60), {"clock": clock.monotonic, "wall_clock": clock.time}
    batches = paced(schedule, started_at, late, clock.sleep, **clocks)
    assert [late for batch in batches for late in batch] == pytest.approx([0.2, 0.0, 0.0], abs=1e-6)
