"""The thread that processes items in the order of their due times."""

from __future__ import annotations

import signal
import threading

from aforo.sqs.due_thread import DueThread
from testing.polling import until


def test_items_are_served_in_the_order_in_which_they_are_due():
    served = []
    thread = DueThread("test", served.append)
    thread.schedule("late", 0.2)
    thread.schedule("early", 0.01)
    until(lambda: served == ["early", "late"], "both were served")


def test_an_item_is_served_again_after_the_pause_it_returns():
    pauses = iter([0.0, 0.0, None])
    served = []
    thread = DueThread("test", lambda item: (served.append(item), next(pauses))[1])
    thread.schedule("a", 0)
    until(lambda: thread._thread is None, "the thread ended")
    assert served == ["a"] * 3


def test_the_thread_ends_without_items_and_starts_again_with_the_next_one():
    served = []
    thread = DueThread("test", served.append)
    for item in ("a", "b"):
        thread.schedule(item, 0)
        until(lambda: thread._thread is None, "the thread ended")
    assert served == ["a", "b"]


def test_an_item_that_is_cancelled_while_it_is_served_is_not_served_again():
    started, cancelled, served = threading.Event(), threading.Event(), []

    def serve(item):
        served.append(item)
        started.set()
        cancelled.wait(5)
        return 0.0

    thread = DueThread("test", serve)
    thread.schedule("a", 0)
    assert started.wait(5)
    thread.cancel("a")
    cancelled.set()
    until(lambda: thread._thread is None, "the thread ended")
    assert served == ["a"]


def test_an_item_that_is_scheduled_while_it_is_served_is_served_again():
    served = []

    def serve(item):
        served.append(item)
        if len(served) == 1:
            thread.schedule(item, 0)

    thread = DueThread("test", serve)
    thread.schedule("a", 0)
    until(lambda: served == ["a", "a"], "it was served twice")


def test_the_thread_leaves_the_signal_of_the_soft_time_limit_to_the_main_thread():
    blocked = []
    thread = DueThread("test", lambda _item: blocked.append(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    thread.schedule("a", 0)
    until(lambda: blocked, "the item was served")
    assert signal.SIGUSR1 in blocked[0]
