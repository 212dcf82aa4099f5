"""The database as a source: refreshed by each scrape within a time limit, counted anew in the background."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client.core import Metric

from core.metrics import family
from core.settings import Exporters
from exporters.db.families import database_families
from exporters.db.reader import Database
from exporters.db.recount import IncrementalCount, difference
from exporters.db.run_text import RunText
from exporters.exposition import Clock, Collected, Incomplete, gauge_family
from exporters.faults import SourceNotReady
from exporters.time_limited_call import TimeLimitedCall

log = logging.getLogger(__name__)
#: A full count may take this long, and full counts may take this share of the time.
BUILD_TIMEOUT_SECONDS = 900.0
BUILD_SHARE = 0.01
RETRY_SECONDS = 2.0
#: Samples this old are still told when the database does not answer, with their age: a hiccup is not an end.
REPEAT_SECONDS = 15.0


@dataclass
class DatabaseSource:
    """Keeps a count of the database; `fetch` brings it up to date and says what it says."""

    database: Database
    settings: Exporters
    clock: Clock = time.time
    name: str = "db"
    rebuilds: int = 0
    corrected: int = 0
    #: set, it lets the background thread count anew before it is time
    rebuild_requested: threading.Event = field(default_factory=threading.Event)
    _run_text: RunText = field(default_factory=RunText)
    _count: IncrementalCount | None = None
    _candidate: IncrementalCount | None = None
    _failure: BaseException | None = None
    _told: tuple[float, Collected] | None = None

    def __post_init__(self) -> None:
        self._reading = TimeLimitedCall(self.refresh, "database")

    def fetch(self, timeout_seconds: float = math.inf) -> Collected:
        """Return the families; raise TimeoutError when the database takes too long, or what it raised.

        What was known up to `REPEAT_SECONDS` ago comes with that, as Incomplete.
        """
        try:
            return self._reading.ask(min(timeout_seconds, self.settings.timeout_seconds))
        except Exception as error:
            told = self._told
            if told is None or self.clock() - told[0] > REPEAT_SECONDS:
                raise
            raise Incomplete(told[1], error) from error

    def refresh(self) -> Collected:
        """Read what changed and return the families."""
        if self._count is None and self._candidate is None:
            raise self._failure or SourceNotReady("the first full count has not ended")
        now = self.clock()
        with self.database.snapshot(self.settings.timeout_seconds) as reader:
            for count in (self._count, self._candidate):
                if count is not None:
                    count.refresh(reader, now)
        count = self._take_candidate()
        if count.aggregates.needs_full_count:
            self.rebuild_requested.set()
        families = [*database_families(count.aggregates), *self._own_families(count)]
        collected = Collected(families, self._run_text.render(count.aggregates, now))
        self._told = (now, collected)
        return collected

    def build(self) -> None:
        """IncrementalCount everything; the next refresh takes the result over. Raises what the database raises."""
        count = IncrementalCount(self.settings.runs, self.settings.overlap_seconds, self.clock())
        with self.database.snapshot(BUILD_TIMEOUT_SECONDS) as reader:
            count.build(reader)
        self._candidate = count

    def keep_building(self, stop: threading.Event, monotonic: Callable[[], float] = time.monotonic) -> None:
        """IncrementalCount everything now and from time to time, with at most `BUILD_SHARE` of the time, until `stop`."""
        while not stop.is_set():
            began = monotonic()
            try:
                self.build()
                self._failure = None
            except Exception as error:  # the database may come back: told by `fetch`, tried again
                log.warning("counting %s failed: %s", self.database.place, error)
                self._failure = error
            self._wait(stop, monotonic() - began)

    def _wait(self, stop: threading.Event, took_seconds: float) -> None:
        if self._failure is not None:
            stop.wait(RETRY_SECONDS)
            return
        rest_seconds = took_seconds / BUILD_SHARE
        stop.wait(rest_seconds)
        self.rebuild_requested.wait(max(0.0, self.settings.rebuild_seconds - rest_seconds))
        self.rebuild_requested.clear()

    def _take_candidate(self) -> IncrementalCount:
        """Return the count to show: a new full one takes the place of the old, which it is compared with."""
        known, counted = self._count, self._candidate
        if counted is None:
            assert known is not None  # noqa: S101 (refresh has seen to it)
            return known
        if known is not None:
            self.corrected += difference(known.aggregates, counted.aggregates)
            counted.rows_read.update(known.rows_read)
        self.rebuilds += 1
        self._count, self._candidate = counted, None
        return counted

    def _own_families(self, count: IncrementalCount) -> list[Metric]:
        rows = family("aforo_exporter_rows_read_total")
        for table in ("videos", "executions"):
            rows.add_metric([table], count.rows_read[table])
        return [
            rows,
            gauge_family("aforo_exporter_rebuilds_total", self.rebuilds),
            gauge_family("aforo_exporter_corrected_videos_total", self.corrected),
        ]
