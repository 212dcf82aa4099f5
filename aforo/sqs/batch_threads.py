"""Background threads that process items in batches, separately for each key such as a queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
#: the largest batch that SQS accepts
LARGEST_BATCH = 10
#: a thread that waited this long for an item ends
IDLE_SECONDS = 10.0


@dataclass(eq=False)
class _Lane(Generic[Item]):
    """The waiting items of one key, oldest first, and the threads that serve them."""

    waiting: list[Item] = field(default_factory=list)
    threads: int = 0
    idle: int = 0

    def is_empty(self) -> bool:
        """Return True if the key of this lane has no waiting item and no item being processed."""
        return not self.waiting and self.idle == self.threads


class BatchThreads(Generic[Item]):
    """Background threads that pass items to the function `serve`, up to 10 items of one key per call.

    `serve` gets the key and a list of items, and must not raise. For each key, at most `threads` calls run at the same
    time. Further items wait for the next call. One key never delays another key.
    """

    def __init__(self, name: str, serve: Callable[[str, list[Item]], None], threads: int) -> None:
        self._name, self._serve, self._threads = name, serve, threads
        self._lanes: dict[str, _Lane[Item]] = {}
        self._changed = threading.Condition()

    def add(self, key: str, item: Item) -> None:
        """Process `item` in the background. An item that has to wait joins a batch with other items of `key`."""
        with self._changed:
            lane = self._lanes.setdefault(key, _Lane())
            lane.waiting.append(item)
            if not lane.idle and lane.threads < self._threads:
                lane.threads += 1
                threading.Thread(target=self._run, args=(key, lane), name=self._name, daemon=True).start()
            self._changed.notify_all()

    def count(self, key: str | None = None) -> int:
        """Return the number of items of `key` that wait to be processed, or of all keys without `key`."""
        with self._changed:
            return sum(len(lane.waiting) for each, lane in self._lanes.items() if key in {None, each})

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait until every item is processed. Return False if that takes longer than `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: all(lane.is_empty() for lane in self._lanes.values()), seconds)

    def _run(self, key: str, lane: _Lane[Item]) -> None:
        while batch := self._take(lane):
            self._serve(key, batch)

    def _take(self, lane: _Lane[Item]) -> list[Item]:
        """Wait for items and return a batch. Return an empty list if the thread should end."""
        deadline = time.monotonic() + IDLE_SECONDS
        with self._changed:
            lane.idle += 1
            self._changed.notify_all()
            while not lane.waiting and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            lane.idle -= 1
            batch, lane.waiting = lane.waiting[:LARGEST_BATCH], lane.waiting[LARGEST_BATCH:]
            if not batch:
                lane.threads -= 1
                self._changed.notify_all()
            return batch
