"""Find out from Aforo's database whether any run is active.

A run of an app counts too. A run whose injector has died is not active.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from exporters.db.reader import Database
from exporters.exposition import Clock
from exporters.time_limited_call import TimeLimitedCall

logger = logging.getLogger(__name__)


@dataclass
class ActiveRuns:
    """Reader of Aforo's database that finds out whether any run is active.

    `timeout_seconds` is the longest time that the method `exist` waits for the database. The function `clock` returns
    the current time in epoch seconds.
    """

    database: Database
    timeout_seconds: float
    clock: Clock

    def __post_init__(self) -> None:
        self._call = TimeLimitedCall(self._read, "active runs")

    def exist(self) -> bool:
        """Return True if any run is active now. Return False also if the database fails or is too slow."""
        try:
            return self._call.result(self.timeout_seconds)
        except Exception as error:  # the source of the oldest message reports the database's state
            logger.debug("active runs: %s: %s", type(error).__name__, error)
            return False

    def _read(self) -> bool:
        with self.database.snapshot(self.timeout_seconds) as reader:
            return reader.has_active_run(self.clock())
