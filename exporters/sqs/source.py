"""Metrics from SQS. A background thread polls the queues, more often while they hold messages."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import Metric

from core import aws
from core.metrics import family
from core.settings import Exporters, Settings
from core.sqs_queue import QueueAttributes
from exporters.db.reader import open_database
from exporters.db.statements import VideosTable
from exporters.exposition import Clock, Collected, Incomplete, Source, single_sample_family, to_text
from exporters.faults import Fault, SourceNotReady, fault_of
from exporters.sqs.active_runs import ActiveRuns
from exporters.sqs.oldest_message import OldestMessage
from exporters.sqs.queue_watcher import CallCounter, QueueWatcher, Reading

MONTH_SECONDS = 30 * 24 * 3600
#: Number of polls over which the rate of API calls is computed.
RATE_POLLS = 20
#: A reading older than this many idle intervals is not exposed.
STALE_INTERVALS = 4
READ_TIMEOUT_SECONDS = 5
#: Interval at which the database is checked for the start of a run. It costs no call to SQS.
RUN_CHECK_SECONDS = 1.0
#: Shortest and longest wait between polls during a run, as shares of the configured one.
JITTER = (0.5, 1.5)
#: With more queues, error counters start at their first error instead of 0, to keep /metrics small.
MOST_EXPECTED_QUEUES = 20


@dataclass(frozen=True)
class _Poll:
    """What one poll found, at epoch time `at`. A scrape sees all of it or none, because it is one object."""

    reading: Reading
    failure: BaseException | None
    at: float
    #: Rendered once per poll instead of once per scrape. Gauges have the same lines in both text formats.
    queue_text: str
    last_success_text: str


@dataclass
class QueueSource:
    """Source of the metrics of the watched queues.

    The method `poll` reads SQS. The method `fetch` returns the metrics from memory.
    """

    watcher: QueueWatcher
    counter: CallCounter
    settings: Exporters
    clock: Clock = time.time
    name: str = "sqs"
    _last: _Poll | None = None
    _answered: dict[str, float] = field(default_factory=dict)
    _errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    _history: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=RATE_POLLS))

    @property
    def is_busy(self) -> bool:
        """Return True if any queue held a message in the last reading. Return False before the first one."""
        return self._last is not None and self._last.reading.is_busy

    def is_empty(self, queue: str) -> bool:
        """Return True if the last reading says that `queue` held no message.

        Return False if the last reading has no answer for `queue`.
        """
        facts = self._last.reading.facts.get(queue) if self._last else None
        return facts is not None and facts.total == 0

    def poll(self) -> None:
        """Read every watched queue once, and keep the result for the method `fetch`.

        This method raises no error. If a queue does not answer, each call of `fetch` raises Incomplete until the next
        poll.
        """
        self._history.append((self.clock(), self.counter.calls.total()))
        failure: BaseException | None
        try:
            reading = self.watcher.read()
        except Exception as error:  # raised by `fetch`; the polling goes on
            failure, reading = error, Reading({}, {}, {})
        else:
            failure = next(iter(reading.failures.values()), None)
            self._record(reading)
        moments = _per_queue("last_success_timestamp_seconds", self._answered)
        self._last = _Poll(reading, failure, self.clock(), to_text(_queue_families(reading)), to_text([moments]))

    def fetch(self, timeout_seconds: float = math.inf) -> Collected:
        """Return the metrics of the queues, as the last poll read them. No call to SQS is made.

        `timeout_seconds` is ignored. Raise SourceNotReady before the first poll. Raise Incomplete if a queue did not
        answer at the last poll, or if that poll is too old (`STALE_INTERVALS`).
        """
        last = self._last
        if last is None:
            raise SourceNotReady("SQS has not answered yet")
        if self.clock() - last.at > STALE_INTERVALS * self.settings.idle_seconds + READ_TIMEOUT_SECONDS:
            old = Collected(self._own_families(), last.last_success_text)
            raise Incomplete(old, TimeoutError("the last reading is too old"))
        collected = Collected(self._own_families(), last.queue_text + last.last_success_text)
        if last.failure is not None:
            raise Incomplete(collected, last.failure)
        return collected

    def _record(self, reading: Reading) -> None:
        now = self.clock()
        self._answered |= dict.fromkeys(reading.facts, now)
        if len(reading.facts) + len(reading.failures) <= MOST_EXPECTED_QUEUES:
            self._initialise_errors({*reading.facts, *reading.failures})
        for name, error in reading.failures.items():
            self._errors[name, fault_of(error)] += 1

    def _initialise_errors(self, names: Iterable[str]) -> None:
        """Initialise the error counters of these queues to 0.

        `increase()` misses a counter whose first sample is 1.
        """
        for name in names:
            for reason in Fault:
                self._errors.setdefault((name, reason), 0)

    def _own_families(self) -> list[Metric]:
        errors, calls = family("aforo_sqs_poll_errors_total"), family("aforo_sqs_api_calls_total")
        for (queue, reason), count in sorted(self._errors.items()):
            errors.add_metric([queue, reason], count)
        for operation, count in sorted(self.counter.calls.items()):
            calls.add_metric([operation], count)
        cost = single_sample_family("aforo_sqs_api_cost_usd_per_month", self._usd_per_month())
        return [errors, calls, cost]

    def _usd_per_month(self) -> float | None:
        """Return the cost per month in US dollars at the call rate of the last polls.

        Return None before the second poll.
        """
        if len(self._history) < 2:
            return None
        (first, before), (last, after) = self._history[0], self._history[-1]
        if last <= first:
            return None  # the clock was set back
        return (after - before) / (last - first) * MONTH_SECONDS * self.settings.usd_per_million_calls / 1e6


@dataclass
class SqsSources:
    """Both sources of the SQS exporter: the queues, and the oldest message.

    The method `keep_polling` polls both. The function `monotonic` returns a clock's time in seconds.
    """

    queues: QueueSource
    oldest_message: OldestMessage
    active_runs: ActiveRuns
    settings: Exporters
    monotonic: Clock = time.monotonic

    @property
    def all(self) -> list[Source]:
        """Return the source of the queues, then that of the oldest message: their order on the /metrics page."""
        return [self.queues, self.oldest_message]

    def keep_polling(self, stop: threading.Event) -> None:
        """Poll SQS and the database again and again until `stop` is set.

        During a run, the mean wait between two polls is the setting `run_seconds`. Otherwise the wait is the setting
        `busy_seconds` while a queue holds messages, and the setting `idle_seconds` while all queues are empty. The
        start of a run ends that wait.
        """
        while not stop.is_set():
            self.poll()
            self._wait(stop)

    def poll(self) -> None:
        """Read the queues from SQS, then the send time of the oldest waiting message from the database.

        If SQS reports an empty queue, the metric of the oldest message has no value.
        """
        self.queues.poll()
        self.oldest_message.poll(is_queue_empty=self.queues.is_empty(self.oldest_message.queue))

    def _wait(self, stop: threading.Event) -> None:
        """Wait until the next poll is due. The start of a run ends the wait.

        During a run each wait is drawn again. A fixed interval aliases with paced arrivals: polls every 5 s always see
        the same moment of an arrival every 5 s.
        """
        if self.active_runs.exist():
            stop.wait(self.settings.run_seconds * random.uniform(*JITTER))  # noqa: S311 - not a secret
            return
        due = self.monotonic() + (self.settings.busy_seconds if self.queues.is_busy else self.settings.idle_seconds)
        while (left := due - self.monotonic()) > 0 and not stop.wait(min(left, RUN_CHECK_SECONDS)):
            if self.active_runs.exist():
                return


def open_sources(settings: Settings) -> SqsSources:
    """Return the sources of the SQS exporter, connected to SQS and to the database of the settings."""
    client = aws.client(settings, "sqs", read_timeout_seconds=READ_TIMEOUT_SECONDS)
    counter = CallCounter()
    counter.attach(client)
    watcher = QueueWatcher(client, settings.exporters.queues or (settings.queue.name,))
    database = open_database(settings.database.reading_url, VideosTable.of(settings.exporters))
    queues = QueueSource(watcher, counter, settings.exporters)
    active_runs = ActiveRuns(database, settings.exporters.timeout_seconds, time.time)
    return SqsSources(queues, OldestMessage(database, settings), active_runs, settings.exporters)


def _queue_families(reading: Reading) -> list[Metric]:
    columns: dict[str, Callable[[QueueAttributes], int | None]] = {
        "messages_visible": lambda facts: facts.visible,
        "messages_in_flight": lambda facts: facts.in_flight,
        "messages_delayed": lambda facts: facts.delayed,
        "visibility_timeout_seconds": lambda facts: facts.visibility_timeout_seconds,
        "receive_limit": lambda facts: facts.max_receive_count,
    }
    families = [
        _per_queue(name, {queue: value(facts) for queue, facts in reading.facts.items()})
        for name, value in columns.items()
    ]
    return [*families, _per_queue("dead_letter_messages", reading.dead_letters)]


def _per_queue(name: str, values: Mapping[str, float | None]) -> Metric:
    gauge = family(f"aforo_sqs_{name}")
    for queue, value in values.items():
        if value is not None:
            gauge.add_metric([queue], value)
    return gauge
