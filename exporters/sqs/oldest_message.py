"""Metric of the time at which the oldest waiting message was sent, read from Aforo's database.

SQS itself does not report this time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.settings import Settings
from exporters.db.reader import Database
from exporters.exposition import Collected, single_sample_family
from exporters.faults import SourceNotReady
from exporters.time_limited_call import TimeLimitedCall

#: Runs that may still have messages in the queue.
RUNS = 20


@dataclass
class OldestMessage:
    """Source of one metric: when the oldest waiting message was sent.

    The method `poll` reads this time from Aforo's database. The method `fetch` returns the metric from memory.
    """

    database: Database
    settings: Settings
    name: str = "waiting"
    _sent_at: float | None = None
    _failure: BaseException | None = None
    _was_polled: bool = False

    def __post_init__(self) -> None:
        self._call = TimeLimitedCall(self._read, "waiting")

    @property
    def queue(self) -> str:
        """Return the name of the queue to which Aforo sends the tasks of its videos."""
        return self.settings.queue.name

    def poll(self, *, is_queue_empty: bool = False) -> None:
        """Read the send time of the oldest waiting message from the database, and keep it in memory.

        Pass `is_queue_empty=True` if SQS reports an empty queue. The metric then has no value. If the database fails,
        this method raises nothing. Instead, the method `fetch` raises the error of the database until the next poll.
        """
        try:
            sent_at = self._call.result(self.settings.exporters.timeout_seconds)
            # an interrupted run or a purge of the queue leaves waiting videos without messages
            self._sent_at = None if is_queue_empty else sent_at
            self._failure = None
        except Exception as error:  # raised by `fetch`; the SQS polls go on
            self._sent_at, self._failure = None, error
        self._was_polled = True

    def fetch(self, timeout_seconds: float = math.inf) -> Collected:
        """Return the metric of the oldest waiting message from memory.

        `timeout_seconds` is ignored, because this method does not wait. Raise SourceNotReady before the first poll. If
        the last poll failed, raise the error of that poll.
        """
        if not self._was_polled:
            raise SourceNotReady("the database has not been read yet")
        if self._failure is not None:
            raise self._failure
        name = "aforo_sqs_oldest_message_timestamp_seconds"
        return Collected([single_sample_family(name, self._sent_at, [self.queue])])

    def _read(self) -> float | None:
        with self.database.snapshot(self.settings.exporters.timeout_seconds) as reader:
            return reader.oldest_waiting([run.id for run in reader.newest_runs(RUNS)])
