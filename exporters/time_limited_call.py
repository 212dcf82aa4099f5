"""Make a blocking call in a daemon thread, so that callers wait at most a given time."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class TimeLimitedCall(Generic[T]):
    """Wrapper of a blocking function: callers wait at most a given time for the result.

    One call of the function runs at a time, in a daemon thread. Callers that arrive during a call share its result.
    """

    def __init__(self, function: Callable[[], T], name: str) -> None:
        self._function, self._name, self._lock = function, name, Lock()
        self._pending: Future[T] | None = None
        self._started_at = 0.0

    def result(self, timeout_seconds: float) -> T:
        """Return the result of the function, or raise its error.

        If a call is running, wait for its result and start no new call. Raise TimeoutError if the call has not ended
        `timeout_seconds` after its start.
        """
        with self._lock:
            if self._pending is None or self._pending.done():
                self._pending, self._started_at = self._start(), time.monotonic()
            pending, left_seconds = self._pending, self._started_at + timeout_seconds - time.monotonic()
        return pending.result(max(0.0, left_seconds))

    def _start(self) -> Future[T]:
        future: Future[T] = Future()
        Thread(target=self._run, args=(future,), name=self._name, daemon=True).start()
        return future

    def _run(self, future: Future[T]) -> None:
        try:
            future.set_result(self._function())
        except BaseException as error:
            future.set_exception(error)
