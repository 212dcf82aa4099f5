"""Log a service that fails, with at most one line per consequence and minute.

The limit is for all processes of a worker together.
"""

from __future__ import annotations

import logging
import mmap
import struct
import time
from collections.abc import Callable
from enum import Enum

from celery.exceptions import Reject
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from core.errors import first_line

logger = logging.getLogger(__name__)
#: errors of a database that is away, overloaded or out of connections
DATABASE_AWAY = (OperationalError, InterfaceError, NoConnection)
PAUSE_SECONDS = 60.0
_STATE = struct.Struct("dQ")  # monotonic time of the last line, number of errors since


class Consequence(Enum):
    """What follows from a failing service. The value is the text of the log line: what fails, and what follows."""

    DELIVERIES_RETURN = ("the database fails", "each delivery returns to the queue")
    LEASES_END = ("the database fails", "the lease of a running video is not extended")
    WORKER_SEEMS_DEAD = ("the database fails", "without heartbeats, a worker that stops may interrupt our runs")
    VIDEOS_STAY_OPEN = ("the database fails", "dead-lettered videos stay open")
    DEAD_LETTERS_UNREAD = ("the check of the dead-letter queue fails", "dead-lettered videos stay open")


class OutageLog:
    """Log of failures of the database and of SQS, with at most one line per consequence and minute.

    The limit is for all processes of a worker together. Create the object before the pool forks. Two slots that fail at
    the same moment can both write a line.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._offsets = {each: number * _STATE.size for number, each in enumerate(Consequence)}
        self._state = mmap.mmap(-1, len(Consequence) * _STATE.size)
        for offset in self._offsets.values():
            _STATE.pack_into(self._state, offset, -PAUSE_SECONDS, 0)

    def note(self, consequence: Consequence, error: Exception) -> None:
        """Log an error, unless a line with the same consequence was already written in the last minute.

        The next line has the number of errors that were not logged.
        """
        offset = self._offsets[consequence]
        written_at, more = _STATE.unpack_from(self._state, offset)
        now = self._clock()
        if now - written_at < PAUSE_SECONDS:
            _STATE.pack_into(self._state, offset, written_at, more + 1)
            return
        _STATE.pack_into(self._state, offset, now, 0)
        failure, result = consequence.value
        others = f" ({more} more errors since the last line)" if more else ""
        logger.warning("%s%s; %s: %s", failure, others, result, first_line(error))


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
