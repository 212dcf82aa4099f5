"""Replace the process of a slot if a signal (SIGSTOP) has stopped the process for 30 s.

Celery does not notice a stopped process, and a task sent to this process never starts. A process that merely works for
long is not replaced.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import psutil
from celery import Celery
from celery.signals import worker_ready

from aforo.sqs.observer import Observer

logger = logging.getLogger(__name__)
#: longer than a person stops a process to look at it
STOPPED_SECONDS = 30.0
CHECK_SECONDS = 2.0


class StoppedSlots:
    """Slot processes of a worker that are stopped (SIGSTOP), and since when.

    A process counts as stopped from the first check that finds it stopped.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[psutil.Process, float] = {}
        self._checked_at = clock()

    def __len__(self) -> int:
        return len(self._since)

    def check(self, stopped: Iterable[psutil.Process]) -> list[psutil.Process]:
        """Return the processes that have been stopped for at least STOPPED_SECONDS.

        `stopped` are the slot processes that are stopped now. Call this every CHECK_SECONDS. After a long gap between
        two calls, each process counts as stopped since the later call.
        """
        now = self._clock()
        # after a long gap, the main process was probably stopped too, for example by Ctrl-Z
        known = self._since if now - self._checked_at <= 3 * CHECK_SECONDS else {}
        self._since = {process: known.get(process, now) for process in stopped}
        self._checked_at = now
        return [process for process, since in self._since.items() if now - since >= STOPPED_SECONDS]


def watch_for_stopped_slots(app: Celery, observer: Observer) -> None:
    """Connect a Celery signal, so that workers replace slot processes that stay stopped (SIGSTOP).

    This applies to each worker of `app` that starts after this call. `observer.stopped_slots` is called when the number
    of stopped processes changes, and when a process is replaced.
    """

    def start(sender: Any = None, **_signal: Any) -> None:
        if sender.app is app:
            threading.Thread(target=_watch, args=(sender, observer), name="stopped-slots", daemon=True).start()

    worker_ready.connect(start, weak=False)


def _watch(consumer: Any, observer: Observer) -> None:
    slots = StoppedSlots()
    while True:
        before = len(slots)
        long_stopped = slots.check(list(_stopped(consumer)))
        for process in long_stopped:
            _replace(process)
        if len(slots) != before or long_stopped:
            observer.stopped_slots(len(slots), len(long_stopped))
        time.sleep(CHECK_SECONDS)


def _stopped(consumer: Any) -> Iterable[psutil.Process]:
    """Yield the slot processes that are stopped now. A pool of threads has none."""
    for pid in consumer.pool.info.get("processes", ()) if consumer.pool else ():
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_STOPPED:
                yield process
        except psutil.Error:  # it has just ended, and Celery replaces it
            continue


def _replace(process: psutil.Process) -> None:
    """Kill a stopped process. Celery starts another one, and the message of its task returns to the queue."""
    logger.error(
        "the process %d of a slot was stopped (SIGSTOP) for %.0f s; it is killed, and another one takes its place",
        process.pid,
        STOPPED_SECONDS,
    )
    try:
        process.kill()
    except psutil.Error as error:  # it has ended meanwhile; or it may not be killed, and the next check tries again
        logger.info("the process %d is not killed: %s", process.pid, error)
