"""Log a failing database, at most one line per minute for all processes of a worker together."""

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
    """Log of database failures, with at most one line per minute for all processes of a worker together.

    Create the object before the pool forks. Two slots that fail at the same moment can both write a line.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._state = mmap.mmap(-1, _STATE.size)
        _STATE.pack_into(self._state, 0, -PAUSE_SECONDS, 0)

    def note(self, consequence: str, error: Exception) -> None:
        """Log a database error, unless a line was already written in the last minute.

        `consequence` says what follows from the error, such as `each delivery returns to the queue`. The next line has
        the number of errors that were not logged.
        """
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
    """Logging filter for Celery's log lines about rejected tasks, which have long tracebacks.

    If the database failed, the line is dropped. Otherwise, only the traceback is removed.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False to drop the line if its task was rejected because the database failed.

        Return True for every other line. If the line is about a task that was rejected for another reason, remove its
        traceback.
        """
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, Reject):
            return True
        record.exc_info = record.exc_text = None
        return not isinstance(error.__cause__, DATABASE_AWAY)
