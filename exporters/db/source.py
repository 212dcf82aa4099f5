"""Metrics from the database: each scrape reads the changed rows, a background thread counts all rows."""

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
from exporters.db.incremental_count import IncrementalCount, difference
from exporters.db.reader import Database
from exporters.db.run_text import RunText
from exporters.exposition import Clock, Collected, Incomplete, single_sample_family
from exporters.faults import SourceNotReady
from exporters.time_limited_call import TimeLimitedCall

logger = logging.getLogger(__name__)
#: Time limit of a full count, and largest share of time spent on full counts.
BUILD_TIMEOUT_SECONDS = 900.0
BUILD_SHARE = 0.01
RETRY_SECONDS = 2.0
#: Serve the last result for up to this long while the database does not answer, with its timestamp.
REPEAT_SECONDS = 15.0


@dataclass
class DatabaseSource:
    """Source of the metrics that come from the database.

    This object keeps counts and sums of runs and videos in memory. The method `fetch` updates them and returns them as
    metric families.
    """

    database: Database
    settings: Exporters
    #: Queue that carries the tasks of the videos, so that boards and rules can keep installations apart.
    queue: str = ""
    clock: Clock = time.time
    name: str = "db"
    rebuilds: int = 0
    corrected: int = 0
    #: Set to start the next full count early.
    rebuild_requested: threading.Event = field(default_factory=threading.Event)
    _run_text: RunText = field(init=False)
    _count: IncrementalCount | None = None
    _candidate: IncrementalCount | None = None
    _failure: BaseException | None = None
    #: failure of a full count that no scrape has shown yet
    _unshown: BaseException | None = None
    _last_result: tuple[float, Collected] | None = None

    def __post_init__(self) -> None:
        self._call = TimeLimitedCall(self.refresh, "database")
        self._run_text = RunText(self.queue)

    def fetch(self, timeout_seconds: float = math.inf) -> Collected:
        """Read the changed rows within the time limit, and return the metric families of the database.

        The time limit is the smaller of `timeout_seconds` and the exporter's setting of that name. If the reading
        fails, raise the original error, such as TimeoutError. While the last result is at most `REPEAT_SECONDS` old,
        raise Incomplete with that result instead.
        """
        try:
            return self._call.result(min(timeout_seconds, self.settings.timeout_seconds))
        except Incomplete:
            raise
        except Exception as error:
            last = self._last_result
            if last is None or self.clock() - last[0] > REPEAT_SECONDS:
                raise
            raise Incomplete(last[1], error) from error

    def refresh(self) -> Collected:
        """Read the changed rows, and return the metric families of the database.

        Raise Incomplete with the metric families if a full count has failed since the last call. Before the first
        successful full count, raise the error of the last failed one, or SourceNotReady if none has failed.
        """
        if self._count is None and self._candidate is None:
            raise self._failure or SourceNotReady("the first full count has not finished")
        now = self.clock()
        with self.database.snapshot(self.settings.timeout_seconds) as reader:
            for count in (self._count, self._candidate):
                if count is not None:
                    count.refresh(reader, now)
        count = self._take_candidate()
        if count.aggregates.needs_full_count:
            self.rebuild_requested.set()
        families = [*database_families(count.aggregates, self.queue), *self._own_families(count)]
        collected = Collected(families, self._run_text.render(count.aggregates, now))
        self._last_result = (now, collected)
        failure, self._unshown = self._unshown, None
        if failure is not None:
            raise Incomplete(collected, failure)
        return collected

    def build(self) -> None:
        """Make a full count: count all runs and videos, and the executions of the tracked runs.

        The next refresh uses the new counts instead of the old ones. Raise the database's error if the full count
        fails.
        """
        count = IncrementalCount(self.settings.runs, self.settings.overlap_seconds, self.clock())
        with self.database.snapshot(BUILD_TIMEOUT_SECONDS) as reader:
            count.build(reader)
        self._candidate = count

    def keep_building(self, stop: threading.Event, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Repeat the full count of the database until `stop` is set.

        The wait after a count is the setting `rebuild_seconds`, or shorter if `rebuild_requested` is set. The wait is
        at least 100 times as long as the count took. A count that fails is logged and repeated after `RETRY_SECONDS`.
        `monotonic` returns a clock's time in seconds.
        """
        while not stop.is_set():
            started = monotonic()
            try:
                self.build()
                self._failure = None
            except Exception as error:  # the next scrape shows it once; the count is repeated
                logger.warning("full count of %s failed: %s", self.database.place, error)
                self._failure = self._unshown = error
            self._wait(stop, monotonic() - started)

    def _wait(self, stop: threading.Event, took_seconds: float) -> None:
        if self._failure is not None:
            stop.wait(RETRY_SECONDS)
            return
        rest_seconds = took_seconds / BUILD_SHARE
        stop.wait(rest_seconds)
        self.rebuild_requested.wait(max(0.0, self.settings.rebuild_seconds - rest_seconds))
        self.rebuild_requested.clear()

    def _take_candidate(self) -> IncrementalCount:
        """Return the current count.

        A new full count first replaces the current one. The difference between the two is recorded.
        """
        current, candidate = self._count, self._candidate
        if candidate is None:
            assert current is not None  # noqa: S101 (`refresh` checks it)
            return current
        if current is not None:
            self.corrected += difference(current.aggregates, candidate.aggregates)
            candidate.rows_read.update(current.rows_read)
        self.rebuilds += 1
        self._count, self._candidate = candidate, None
        return candidate

    def _own_families(self, count: IncrementalCount) -> list[Metric]:
        rows = family("aforo_exporter_rows_read_total")
        for table in ("videos", "executions"):
            rows.add_metric([table], count.rows_read[table])
        return [
            rows,
            single_sample_family("aforo_exporter_rebuilds_total", self.rebuilds),
            single_sample_family("aforo_exporter_corrected_videos_total", self.corrected),
        ]
