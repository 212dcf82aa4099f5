"""Background thread that processes each item at its scheduled time."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class DueThread(Generic[Item]):
    """Call `serve` with each scheduled item at its due time, in one daemon thread.

    `serve` returns the seconds until the item is due again, or None if the item is finished. `serve` must not raise.
    """

    def __init__(self, name: str, serve: Callable[[Item], float | None]) -> None:
        self._name, self._serve = name, serve
        self._due: dict[Item, float] = {}  # monotonic
        self._in_service: Item | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def schedule(self, item: Item, seconds: float) -> None:
        """Process `item` after `seconds`. This replaces an earlier schedule of the same item."""
        with self._changed:
            self._due[item] = time.monotonic() + seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def cancel(self, item: Item) -> None:
        """Remove `item` from the schedule. If the item is being processed now, it is not scheduled again."""
        with self._changed:
            self._due.pop(item, None)
            if self._in_service is item:
                self._in_service = None
            self._changed.notify()

    def _run(self) -> None:
        # billiard's soft time limit is a SIGUSR1 to the process. The main thread blocks it while it starts a program;
        # a thread that does not block it would receive it then.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        while (item := self._take_next()) is not None:
            pause_seconds = self._serve(item)
            with self._changed:
                if pause_seconds is not None and self._in_service is item:
                    self._due.setdefault(item, time.monotonic() + pause_seconds)
                self._in_service = None

    def _take_next(self) -> Item | None:
        """Wait for the item that is due first. If no item is left, clear the thread and return None."""
        with self._changed:
            while self._due:
                item = min(self._due, key=self._due.__getitem__)
                wait_seconds = self._due[item] - time.monotonic()
                if wait_seconds <= 0:
                    del self._due[item]
                    self._in_service = item
                    return item
                self._changed.wait(wait_seconds)
            self._thread = None
            return None
