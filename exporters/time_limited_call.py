"""A call that may take for ever, in a thread of its own: whoever asks waits so long for it and no longer."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class TimeLimitedCall(Generic[T]):
    """Does one thing at a time; those who ask while it is under way share its answer and the patience for it.

    The thread is a daemon, which an executor's is not: a database that hangs must not keep the program from ending.
    """

    def __init__(self, do: Callable[[], T], name: str) -> None:
        self._do, self._name, self._lock = do, name, Lock()
        self._pending: Future[T] | None = None
        self._begun = 0.0

    def ask(self, timeout_seconds: float) -> T:
        """Return the answer or raise what it raised; TimeoutError when it is `timeout_seconds` under way."""
        with self._lock:
            if self._pending is None or self._pending.done():
                self._pending, self._begun = self._start(), time.monotonic()
            pending, left_seconds = self._pending, self._begun + timeout_seconds - time.monotonic()
        return pending.result(max(0.0, left_seconds))

    def _start(self) -> Future[T]:
        answer: Future[T] = Future()
        Thread(target=self._settle, args=(answer,), name=self._name, daemon=True).start()
        return answer

    def _settle(self, answer: Future[T]) -> None:
        try:
            answer.set_result(self._do())
        except BaseException as error:
            answer.set_exception(error)
