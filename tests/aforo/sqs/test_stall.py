"""A stall is a minute without the result of a receive call, while slots are free."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery.worker import state

from aforo.sqs.stall import CHECK_SECONDS, StallWatch, has_free_slots


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def watched():
    """Return a watch, and a function that checks it every few seconds and returns when it stalled."""
    clock = Clock()
    watch = StallWatch(clock)

    def check(seconds, has_free_slots=lambda _now: True, polled=lambda _now: False):
        until = clock.now + seconds
        while clock.now < until:
            clock.now += CHECK_SECONDS
            if polled(clock.now):
                watch.polled()
            if watch.is_stalled(has_free_slots(clock.now)):
                return clock.now
        return None

    return clock, check


def test_a_minute_without_a_result_is_a_stall(watched):
    _, check = watched
    assert check(300) == 60


def test_results_of_any_kind_are_no_stall(watched):
    _, check = watched
    assert check(600, polled=lambda now: now % 50 == 0) is None


def test_busy_slots_are_no_stall_and_the_minute_begins_when_one_is_free(watched):
    _, check = watched
    assert check(600, has_free_slots=lambda now: now > 200) == 260


def test_the_time_in_which_the_process_was_stopped_does_not_count(watched):
    clock, check = watched
    assert check(50) is None
    clock.now += 3600
    assert check(50) is None


def consumer(can_consume=True, slots=2, consumers=("tag",)):
    channel = SimpleNamespace(_consumers=set(consumers), qos=SimpleNamespace(can_consume=lambda: can_consume))
    return SimpleNamespace(task_consumer=SimpleNamespace(channel=channel), pool=SimpleNamespace(num_processes=slots))


class Request:
    """A task that Celery knows."""


def test_slots_are_free_while_the_window_has_room_or_a_message_waits_for_a_free_slot(monkeypatch):
    running, waiting = Request(), Request()
    monkeypatch.setattr(state, "active_requests", {running})
    monkeypatch.setattr(state, "reserved_requests", {running})
    assert has_free_slots(consumer())
    assert not has_free_slots(consumer(can_consume=False))
    assert not has_free_slots(consumer(slots=1))
    assert not has_free_slots(consumer(consumers=()))
    monkeypatch.setattr(state, "reserved_requests", {running, waiting})
    assert has_free_slots(consumer(can_consume=False))


def test_a_worker_that_connects_again_has_no_free_slots():
    assert not has_free_slots(SimpleNamespace(task_consumer=None))
