"""One log line per minute while the database fails, from all processes of a worker."""

from __future__ import annotations

import logging
import mmap
import struct
import time
from collections.abc import Callable

from celery.exceptions import Reject
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

logger = logging.getLogger(__name__)
#: errors of a database that is away, overloaded or out of connections
DATABASE_AWAY = (OperationalError, InterfaceError, NoConnection)
PAUSE_SECONDS = 60.0
_STATE = struct.Struct("dQ")  # monotonic time of the last line, number of errors since


class OutageLog:
    """Log the errors of a database that is away. Create it before the pool forks.

    The slots are processes, so the time of the last line is in shared memory. Two slots that fail at the same moment
    may both write a line.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._state = mmap.mmap(-1, _STATE.size)
        _STATE.pack_into(self._state, 0, -PAUSE_SECONDS, 0)

    def note(self, consequence: str, error: Exception) -> None:
        """Log an error and its consequence, or only count it if the last line is less than a minute old."""
        written_at, more = _STATE.unpack_from(self._state)
        now = self._clock()
        if now - written_at < PAUSE_SECONDS:
            _STATE.pack_into(self._state, 0, written_at, more + 1)
            return
        _STATE.pack_into(self._state, 0, now, 0)
        others = f" ({more} more errors since the last line)" if more else ""
        first_line = str(error).strip().split("\n", 1)[0]
        logger.warning("the database fails%s; %s: %s", others, consequence, first_line)


class RejectedTasks(logging.Filter):
    """Filter for Celery's log lines of rejected tasks, each of which has a traceback.

    A task that the database rejected is in the outage log. The other ones need no traceback: the task raised Reject
    itself.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for a rejection by the database. Remove the traceback of every other rejection."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, Reject):
            return True
        record.exc_info = record.exc_text = None
        return not isinstance(error.__cause__, DATABASE_AWAY)
