from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import UsageError
from core.load_shape import parse_shape
from injector.arrivals import arrivals_of_parts, poisson_arrivals, read_trace
from injector.schedule import Schedule


def arrivals(text, count):
    return np.array(arrivals_of_parts(parse_shape(text).parts, count))


def test_poisson_arrivals_repeat_with_their_seed_and_fill_the_window():
    first, again, other = (poisson_arrivals(6000, 60.0, seed) for seed in (1, 1, 2))
    gaps = np.diff(first)
    assert first == again != other
    assert first[0] >= 0 and first[-1] < 6000
    assert gaps.mean() == pytest.approx(1.0, rel=0.01)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.05)


def test_poisson_counts_vary_as_much_as_their_mean():
    counts = np.bincount((np.array(poisson_arrivals(60_000, 60.0, 1)) / 10).astype(int))
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=0.06)


def test_a_ramp_from_6_to_18_per_minute_sends_a_third_in_half_of_its_window():
    times = arrivals("ramp:6-18", 120)  # mean 12 per minute: 600 s; half the window has (6 + 12)/2 · 5 = 45 arrivals
    assert (times[0], int((times < 300 - 1e-6).sum())) == (0.0, 45)
    assert 60 / np.diff(times)[[0, -1]] == pytest.approx([6.0, 18.0], rel=0.02)


def test_a_falling_ramp_is_the_rising_one_backwards():
    falling, rising = arrivals("ramp:18-6", 120), arrivals("ramp:6-18", 120)
    assert 600 - falling[1:] == pytest.approx(rising[:0:-1], abs=1e-6)


def test_steps_have_equal_times():
    times = arrivals("steps:6,12,18", 36)  # 1 minute each, because the mean is 12 per minute and 36 videos take 3
    assert [int(((times >= t - 1e-6) & (times < t + 60 - 1e-6)).sum()) for t in (0, 60, 120)] == [6, 12, 18]


def test_a_spike_is_the_middle_tenth():
    times = arrivals("spike:6-60", 114)  # mean 11.4 per minute: 10 minutes, the spike is the sixth half minute pair
    assert int(((times >= 270 - 1e-6) & (times < 330 - 1e-6)).sum()) == 60
    assert len(times) == 114


@pytest.mark.parametrize(
    "text", ["", "sine:5-10", "ramp:5", "ramp:5-x", "steps:", "spike:0-10", "poisson:3", "ramp:5-nan"]
)
def test_another_shape_is_refused(text):
    with pytest.raises(UsageError, match=r"^SHAPE"):
        parse_shape(text)


def trace(folder, text):
    path = Path(folder) / "t.csv"
    path.write_text(text)
    return read_trace(path)


def test_a_trace_starts_at_its_first_time_in_seconds_or_dates(tmp_path):
    seconds = trace(tmp_path, "time,size\n100.5,5\n103,5\n\n101,7\n")
    dates = trace(tmp_path, "2026-11-27T10:00:00.5Z\n2026-11-27T11:00:01+01:00\n2026-11-27 10:00:03\n")
    assert seconds.arrivals == dates.arrivals == (0.0, 0.5, 2.5)
    assert seconds.name == dates.name
    assert seconds.rate_per_minute == 48.0  # two gaps in 2.5 s


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "2 to 1000000 times"),
        ("5\n", "2 to 1000000 times"),
        ("5\n5\n", "not all of them equal"),
        ("5\nsoon\n", "'soon' in its first column is no time"),
        ("5\nnan\n", "'nan' in its first column is no time"),
    ],
)
def test_a_file_that_is_no_trace_is_refused(tmp_path, text, why):
    with pytest.raises(UsageError, match=why):
        trace(tmp_path, text)


def test_a_schedule_of_arrivals_sends_each_at_its_time():
    schedule = Schedule(3, 60.0, (0.0, 0.5, 2.5))
    assert [schedule.due(0, t) for t in (0.0, 0.4, 0.5, 9.0)] == [1, 1, 2, 3]
    assert schedule.due(2, 1.0) == 0
    assert (schedule.intended_seconds(2), schedule.window_seconds) == (2.5, 3.0)
    assert replace(schedule, arrivals=None).due(0, 0.5) == 1
