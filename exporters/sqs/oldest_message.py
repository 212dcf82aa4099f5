"""How long the oldest message waits: SQS does not say, our own database does, for the queue of this project."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.run import FINAL_STATUSES
from core.settings import Settings
from exporters.db.reader import Database
from exporters.exposition import Collected, gauge_family
from exporters.faults import SourceNotReady
from exporters.time_limited_call import TimeLimitedCall

#: Runs that may still have messages in the queue.
RUNS = 20


@dataclass
class OldestMessage:
    """Asks the database on the schedule of the SQS poll; scrapes answer from memory."""

    database: Database
    settings: Settings
    name: str = "waiting"
    has_active_run: bool = False
    _oldest: float | None = None
    _failure: BaseException | None = None
    _asked: bool = False

    def __post_init__(self) -> None:
        self._reading = TimeLimitedCall(self._read, "waiting")

    @property
    def queue(self) -> str:
        """Return the queue whose messages our database knows."""
        return self.settings.queue.name

    def poll(self, *, is_queue_empty: bool = False) -> None:
        """Read the newest runs and the oldest video that waits; keeps the failure for `fetch` to raise.

        Videos of a run that was cut short, or whose queue was purged, wait for ever: an empty queue overrules them.
        """
        try:
            oldest, self.has_active_run = self._reading.ask(self.settings.exporters.timeout_seconds)
            self._oldest = None if is_queue_empty else oldest
            self._failure = None
        except Exception as error:  # told by `fetch`; SQS is read whatever happens here
            self._oldest, self.has_active_run, self._failure = None, False, error
        self._asked = True

    def fetch(self, timeout_seconds: float = math.inf) -> Collected:
        """Return the family of the oldest message; raise what the database raised."""
        if not self._asked:
            raise SourceNotReady("the database has not been asked yet")
        if self._failure is not None:
            raise self._failure
        name = "aforo_sqs_oldest_message_timestamp_seconds"
        return Collected([gauge_family(name, self._oldest, [self.queue])])

    def _read(self) -> tuple[float | None, bool]:
        with self.database.snapshot(self.settings.exporters.timeout_seconds) as reader:
            runs = reader.newest_runs(RUNS)
            active = any(run.status not in FINAL_STATUSES for run in runs)
            return reader.oldest_waiting([run.id for run in runs]), active
