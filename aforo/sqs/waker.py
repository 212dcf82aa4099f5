"""Wake kombu's event loop from another thread.

The loop otherwise continues only when a socket has data or a timer is due.
"""

from __future__ import annotations

import os
from typing import Any
from weakref import WeakKeyDictionary


class _Waker:
    """A pipe that the event loop reads. kombu has such a waker since 5.7, for calls of other threads only."""

    def __init__(self, hub: Any) -> None:
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        hub.add_reader(self._reading, self._drain)
        hub.on_close.add(self._close)

    def wake(self) -> None:
        """Make the event loop continue now. Any thread may call this method."""
        try:
            os.write(self._writing, b"x")
        except (BlockingIOError, OSError):  # the loop is awake, or has ended
            return

    def _drain(self) -> None:
        try:
            os.read(self._reading, 4096)
        except BlockingIOError:
            return

    def _close(self, hub: Any) -> None:
        """Close the pipe. kombu may close an event loop twice."""
        if _WAKERS.pop(hub, None) is self:
            os.close(self._reading)
            os.close(self._writing)
            self._writing = -1


_WAKERS: WeakKeyDictionary[Any, _Waker] = WeakKeyDictionary()


def waker_of(hub: Any) -> _Waker:
    """Return the object whose method `wake` makes the event loop `hub` continue.

    The first call for a `hub` creates the object.
    """
    if hub not in _WAKERS:
        _WAKERS[hub] = _Waker(hub)
    return _WAKERS[hub]
