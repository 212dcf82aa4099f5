"""SQS queues as a source: read in the background, faster while there is work; scrapes answer from memory."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import Metric

from core import aws
from core.metrics import family
from core.settings import Exporters, Settings
from core.sqs_queue import QueueFacts
from exporters.db.reader import open_database
from exporters.db.statements import VideosTable
from exporters.exposition import Clock, Collected, Incomplete, Source, gauge_family, to_text
from exporters.faults import Fault, SourceNotReady, fault_of
from exporters.sqs.oldest_message import OldestMessage
from exporters.sqs.queue_watcher import CallCounter, Reading, QueueWatcher

MONTH_SECONDS = 30 * 24 * 3600
#: Polls the present rate of calls is taken from.
RATE_POLLS = 20
#: What is older than this many idle intervals is no longer said.
STALE_INTERVALS = 4
READ_TIMEOUT_SECONDS = 5
#: of more queues, an error counter begins with its first error: /metrics stays small
MOST_EXPECTED_QUEUES = 20


@dataclass
class QueueSource:
    """Keeps the last reading of every watched queue."""

    watcher: QueueWatcher
    counter: CallCounter
    settings: Exporters
    clock: Clock = time.time
    name: str = "sqs"
    _reading: Reading | None = None
    #: what the reading says and when each queue last answered, to_text once and not by each scrape; gauges read the
    #: same in both text formats
    _text: str = ""
    _ages: str = ""
    _failure: BaseException | None = None
    _polled_at: float | None = None
    _answered: dict[str, float] = field(default_factory=dict)
    _errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    _history: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=RATE_POLLS))

    @property
    def is_busy(self) -> bool:
        """Say whether the last reading found a message."""
        return self._reading is not None and self._reading.is_busy

    def is_empty(self, queue: str) -> bool:
        """Say whether SQS said at the last reading that `queue` holds no message."""
        facts = self._reading.facts.get(queue) if self._reading else None
        return facts is not None and facts.total == 0

    def poll(self) -> None:
        """Read every queue; keeps what failed for `fetch` to tell."""
        self._history.append((self.clock(), self.counter.calls.total()))
        try:
            reading = self.watcher.read()
        except Exception as error:  # told by `fetch`, tried again: the polling goes on whatever one poll met
            self._failure, self._reading = error, Reading({}, {}, {})
        else:
            self._failure, self._reading = next(iter(reading.failures.values()), None), reading
            self._note(reading)
        self._text = to_text(_queue_families(self._reading))
        self._ages = to_text([_per_queue("last_success_timestamp_seconds", self._answered)])
        self._polled_at = self.clock()

    def fetch(self, timeout_seconds: float = math.inf) -> Collected:
        """Return the families from memory; raise Incomplete with what is known when a queue did not answer."""
        if self._reading is None or self._polled_at is None:
            raise SourceNotReady("SQS has not answered yet")
        collected = Collected(self._own_families(), self._text + self._ages)
        if self.clock() - self._polled_at > STALE_INTERVALS * self.settings.idle_seconds + READ_TIMEOUT_SECONDS:
            raise Incomplete(Collected(self._own_families(), self._ages), TimeoutError("the last reading is too old"))
        if self._failure is not None:
            raise Incomplete(collected, self._failure)
        return collected

    def _note(self, reading: Reading) -> None:
        now = self.clock()
        self._answered |= dict.fromkeys(reading.facts, now)
        if len(reading.facts) + len(reading.failures) <= MOST_EXPECTED_QUEUES:
            self._expect({*reading.facts, *reading.failures})
        for name, error in reading.failures.items():
            self._errors[name, fault_of(error)] += 1

    def _expect(self, names: Iterable[str]) -> None:
        """Let the error counters of these queues exist, at 0: `increase` does not see one that is born at 1."""
        for name in names:
            for reason in Fault:
                self._errors.setdefault((name, reason), 0)

    def _own_families(self) -> list[Metric]:
        errors, calls = family("aforo_sqs_poll_errors_total"), family("aforo_sqs_api_calls_total")
        for (queue, reason), count in sorted(self._errors.items()):
            errors.add_metric([queue, reason], count)
        for operation, count in sorted(self.counter.calls.items()):
            calls.add_metric([operation], count)
        cost = gauge_family("aforo_sqs_api_cost_usd_per_month", self._usd_per_month())
        return [errors, calls, cost]

    def _usd_per_month(self) -> float | None:
        """Return the price of a month of calls at the rate of the last polls; None before the second one."""
        if len(self._history) < 2:
            return None
        (first, before), (last, after) = self._history[0], self._history[-1]
        if last <= first:
            return None  # the clock was set back
        return (after - before) / (last - first) * MONTH_SECONDS * self.settings.usd_per_million_calls / 1e6


@dataclass
class SqsSources:
    """Both sources of the SQS exporter and the schedule they share."""

    queues: QueueSource
    waiting: OldestMessage
    settings: Exporters

    @property
    def sources(self) -> list[Source]:
        """Return the sources, in the order of the exposition."""
        return [self.queues, self.waiting]

    def keep_polling(self, stop: threading.Event) -> None:
        """Poll now and then again, sooner while a message or a run is there, until `stop`."""
        while not stop.is_set():
            self.poll()
            stop.wait(self.interval_seconds)

    def poll(self) -> None:
        """Ask SQS, then the database, which is not believed on a queue that SQS says is empty."""
        self.queues.poll()
        self.waiting.poll(is_queue_empty=self.queues.is_empty(self.waiting.queue))

    @property
    def interval_seconds(self) -> float:
        """Return the time to the next poll."""
        busy = self.queues.is_busy or self.waiting.has_active_run
        return self.settings.busy_seconds if busy else self.settings.idle_seconds


def open_sources(settings: Settings) -> SqsSources:
    """Return the sources for the queues the settings name."""
    client = aws.client(settings, "sqs", read_timeout_seconds=READ_TIMEOUT_SECONDS)
    counter = CallCounter()
    counter.attach(client)
    watcher = QueueWatcher(client, settings.exporters.queues or (settings.queue.name,))
    database = open_database(settings.database.reading_url, VideosTable.of(settings.exporters))
    queues = QueueSource(watcher, counter, settings.exporters)
    return SqsSources(queues, OldestMessage(database, settings), settings.exporters)


def _queue_families(reading: Reading) -> list[Metric]:
    columns: dict[str, Callable[[QueueFacts], int | None]] = {
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
    made = family(f"aforo_sqs_{name}")
    for queue, value in values.items():
        if value is not None:
            made.add_metric([queue], value)
    return made
