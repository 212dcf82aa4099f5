"""Find the number of the slot that runs a task.

A new child process has the number of the child that it replaces.
"""

from __future__ import annotations

import itertools
import threading

from billiard.process import current_process


class ThreadNumbers:
    """Slot numbers of the threads of a thread pool, from 0.

    A new thread takes the lowest number that no live thread has.
    """

    def __init__(self) -> None:
        self._threads: dict[int, threading.Thread] = {}
        self._own, self._lock = threading.local(), threading.Lock()

    def own(self) -> int:
        """Return the slot number of the calling thread. Assign one on the first call."""
        if not hasattr(self._own, "number"):
            with self._lock:
                self._own.number = next(number for number in itertools.count() if self._is_free(number))
                self._threads[self._own.number] = threading.current_thread()
        return int(self._own.number)

    def _is_free(self, number: int) -> bool:
        thread = self._threads.get(number)
        return thread is None or not thread.is_alive()


_thread_numbers = ThreadNumbers()


def slot_number() -> int:
    """Return the number of the slot that runs this code, from 0. Call this in the thread of the task."""
    index = getattr(current_process(), "index", None)
    return _thread_numbers.own() if index is None else int(index)
