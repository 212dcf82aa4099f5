"""Detect that a number or a state has not changed for too long, so that a wait for it can end."""

from __future__ import annotations

import time
from collections.abc import Callable


class StuckWatch:
    """Watch a value that shows the progress of some work, such as the number of finished videos.

    `limit_seconds` is how long the value may stay the same. The time starts when this object is created.
    """

    def __init__(self, limit_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_seconds, self._clock = limit_seconds, clock
        self._last: object = None
        self._unchanged_since = clock()

    def update(self, value: object) -> bool:
        """Note the current value, and return True if it has changed. Call this method at short intervals.

        The first value counts as changed, unless it is None.
        """
        if value == self._last:
            return False
        self._last, self._unchanged_since = value, self._clock()
        return True

    @property
    def is_stuck(self) -> bool:
        """Return True if the value has stayed the same for `limit_seconds`."""
        return self._clock() - self._unchanged_since >= self._limit_seconds
