"""Restart a worker that has free slots but no longer receives messages, although no error is reported."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
from celery import Celery
from celery.signals import worker_ready
from celery.worker import state

logger = logging.getLogger(__name__)
#: longer than any receive call with its back-off
STALL_SECONDS = 60.0
CHECK_SECONDS = 5.0
#: how long an idle worker may take to end before its process is replaced
STOP_SECONDS = 30.0
#: variable by which a worker tells the program that replaces it how often it has restarted itself
_RESTARTS = "_AFORO_STALL_RESTARTS"
_restarting = threading.Event()


class StallWatch:
    """Detect a stall: for a minute, no receive call has returned or failed although slots were free.

    An outage of SQS is no stall, because receive calls fail during the outage.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._results = self._seen_results = 0
        self._checked_at = self._since = clock()

    def polled(self) -> None:
        """Record that a receive call has returned or failed. The minute without a result then starts again."""
        self._results += 1

    def is_stalled(self, has_free_slots: bool) -> bool:
        """Return True if, for a minute, slots were free and no receive call returned or failed.

        Call this every CHECK_SECONDS. `has_free_slots` says whether a slot is free now. After a long gap between two
        calls, the minute starts again.
        """
        now = self._clock()
        was_stopped = now - self._checked_at > 3 * CHECK_SECONDS
        if self._results != self._seen_results or not has_free_slots or was_stopped:
            self._since = now
        self._seen_results, self._checked_at = self._results, now
        return now - self._since >= STALL_SECONDS


def restarts() -> int:
    """Return how often this worker has restarted itself because of a stall."""
    return int(os.environ.get(_RESTARTS, "0"))


def watch_for_stalls(app: Celery, stall: StallWatch) -> None:
    """Connect a handler that starts a watching thread when a worker of `app` is ready.

    The thread restarts the worker when `stall` reports a stall. A worker that is ready before this call is not watched.
    """

    def start(sender: Any = None, **_signal: Any) -> None:
        if sender.app is app:
            threading.Thread(target=_watch, args=(sender, stall), name="stall-watch", daemon=True).start()

    worker_ready.connect(start, weak=False)


def is_restarting() -> bool:
    """Return True if this worker shuts down in order to start again, because it had stalled."""
    return _restarting.is_set()


def has_free_slots(consumer: Any) -> bool:
    """Return True if the worker has an idle slot, and holds or can receive a message for this slot.

    `consumer` is Celery's consumer of the worker. Return False for a worker that is reconnecting or whose queues were
    cancelled.
    """
    channel = getattr(consumer.task_consumer, "channel", None)
    active = len(state.active_requests)
    if channel is None or not channel._consumers or active >= consumer.pool.num_processes:
        return False
    return bool(channel.qos.can_consume() or len(state.reserved_requests) > active)


def _watch(consumer: Any, stall: StallWatch) -> None:
    while not stall.is_stalled(has_free_slots(consumer)):
        time.sleep(CHECK_SECONDS)
    logger.critical(
        "no receive call has returned or failed for %d s although slots are free; the worker restarts", STALL_SECONDS
    )
    _restart()


def _restart() -> None:
    """Shut down and start the same program again. Running tasks end first.

    A worker whose event loop hangs cannot shut down, so its idle processes are killed.
    """
    _restarting.set()
    atexit.register(_start_again)
    os.kill(os.getpid(), signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while state.active_requests or time.monotonic() < deadline:
        time.sleep(CHECK_SECONDS)
    for child in psutil.Process().children(recursive=True):
        child.kill()
    _start_again()


def _start_again() -> None:
    os.environ[_RESTARTS] = str(restarts() + 1)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (our own command line)
