from __future__ import annotations

import math

from core.stuck_watch import StuckWatch


def watch_at(now, limit_seconds=60.0):
    return StuckWatch(limit_seconds, clock=lambda: now[0])


def test_a_value_that_stays_the_same_for_the_limit_is_stuck():
    now = [0.0]
    watch = watch_at(now)
    assert watch.update(5)
    now[0] = 59.0
    assert not watch.update(5)
    assert not watch.is_stuck
    now[0] = 60.0
    assert watch.is_stuck


def test_a_change_starts_the_time_again():
    now = [0.0]
    watch = watch_at(now)
    watch.update({"uploaded": 2})
    now[0] = 59.0
    assert watch.update({"uploaded": 1, "done": 1})
    now[0] = 118.0
    assert not watch.is_stuck
    now[0] = 119.0
    assert watch.is_stuck


def test_without_any_value_the_time_starts_with_the_watch():
    now = [100.0]
    watch = watch_at(now)
    now[0] = 160.0
    assert watch.is_stuck


def test_without_a_limit_nothing_is_stuck():
    now = [0.0]
    watch = watch_at(now, math.inf)
    now[0] = 1e9
    assert not watch.is_stuck
