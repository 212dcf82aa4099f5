"""Build the /metrics page of an exporter: the metrics of its sources, and metrics about the exporter.

A source, such as the database, returns its metrics from the method `fetch`. The metrics about the exporter say for each
source whether `fetch` succeeded and how long it took.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import generate_latest
from prometheus_client.core import Metric

from core import VERSION
from core.metrics import family
from exporters.faults import Fault, fault_of

logger = logging.getLogger(__name__)
Clock = Callable[[], float]


class Families(list[Metric]):
    """List of metric families that the encoders of prometheus_client accept in place of a registry."""

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families of this list. prometheus_client calls this method."""
        return iter(self)


def to_text(families: Iterable[Metric]) -> str:
    """Return metric families as text in Prometheus' text format.

    The text of gauges is also valid in the OpenMetrics format.
    """
    return generate_latest(Families(families)).decode()


@dataclass(frozen=True)
class Collected:
    """Metrics of one source, as one call of its method `fetch` returns them.

    `families` has the metrics as objects of prometheus_client. `text` has further gauges of the source, already
    rendered as lines of the /metrics page.
    """

    families: list[Metric] = field(default_factory=list)
    text: str = ""


class Source(Protocol):
    """Interface of a source of metrics, such as the database or SQS."""

    @property
    def name(self) -> str:
        """Return the name of the source, which is the value of the label `collector`."""

    def fetch(self, timeout_seconds: float) -> Collected:
        """Return all metric families of the source. Raise an error if this takes over `timeout_seconds`."""


class Incomplete(Exception):
    """Error of a source's method `fetch` that can return only some metrics, or only old metrics.

    `collected` has these metrics. The /metrics page shows them. `__cause__` is the original error.
    """

    def __init__(self, collected: Collected, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.collected, self.__cause__ = collected, cause


@dataclass
class Health:
    """How the calls of one source's method `fetch` went: success, duration and number of errors.

    A source reads metrics, for example from the database. `succeeded` says whether the newest call succeeded, and
    `duration_seconds` how long it took. `last_success` is the epoch time at which the last successful call ended, or
    None before that. `errors` counts the failed calls by reason.
    """

    succeeded: bool = False
    duration_seconds: float | None = None
    last_success: float | None = None
    #: Every reason starts at 0: `increase()` misses a counter whose first sample is 1.
    errors: Counter[str] = field(default_factory=lambda: Counter({str(fault): 0 for fault in Fault}))

    def record_success(self, moment: float, duration_seconds: float) -> None:
        """Record that a call of `fetch` succeeded, and ended at `moment` (epoch seconds)."""
        self.succeeded, self.last_success, self.duration_seconds = True, moment, duration_seconds

    def record_failure(self, error: BaseException, duration_seconds: float) -> None:
        """Record that a call of `fetch` failed with `error`.

        The field `errors` counts the failure under the reason that the function `fault_of` finds. Only the first of
        consecutive failures is logged.
        """
        if self.succeeded or not self.errors.total():
            logger.warning("collection failed: %s: %s", type(error).__name__, error)
        self.succeeded, self.duration_seconds = False, duration_seconds
        self.errors[fault_of(error)] += 1


@dataclass
class Exposition:
    """The /metrics page of one exporter. A source that fails does not affect the other sources."""

    exporter: str
    sources: list[Source]
    clock: Clock = time.time
    healths: dict[str, Health] = field(default_factory=dict)

    def render(self, encode: Callable[[Families], bytes], timeout_seconds: float = math.inf) -> bytes:
        """Fetch the metrics of every source and return the encoded /metrics page.

        `encode` is the encoder of the requested format. A source that takes longer than `timeout_seconds` counts as
        failed.
        """
        results = [self._fetch(source, timeout_seconds) for source in self.sources]
        families = Families(metric for result in results for metric in result.families)
        families.extend(self_families(self.exporter, self.healths))
        return "".join(result.text for result in results).encode() + encode(families)

    def _fetch(self, source: Source, timeout_seconds: float) -> Collected:
        health = self.healths.setdefault(source.name, Health())
        started = time.perf_counter()
        try:
            collected = source.fetch(timeout_seconds)
        except Incomplete as error:
            health.record_failure(error.__cause__ or error, time.perf_counter() - started)
            return error.collected
        except Exception as error:  # the other sources and the self-metrics must still answer
            health.record_failure(error, time.perf_counter() - started)
            return Collected()
        health.record_success(self.clock(), time.perf_counter() - started)
        return collected


def self_families(exporter: str, healths: dict[str, Health]) -> Iterator[Metric]:
    """Yield the metrics about the exporter: version, and success, duration and errors of each source.

    `exporter` is the name of the exporter, such as `db`. `healths` maps the name of each source to its Health.
    """
    info = family("aforo_exporter_info")
    info.add_metric([VERSION, exporter], 1)
    yield info
    yield _per_collector("aforo_exporter_collector_success", healths, lambda health: float(health.succeeded))
    yield _per_collector("aforo_exporter_collector_duration_seconds", healths, lambda health: health.duration_seconds)
    yield _per_collector("aforo_exporter_last_success_timestamp_seconds", healths, lambda health: health.last_success)
    yield single_sample_family("aforo_exporter_cpu_seconds_total", time.process_time())
    errors = family("aforo_exporter_errors_total")
    for collector, health in healths.items():
        for reason, count in sorted(health.errors.items()):
            errors.add_metric([collector, reason], count)
    yield errors


def single_sample_family(name: str, value: float | None, labels: Iterable[str] = ()) -> Metric:
    """Return the metric family `name` with one sample, or without a sample if the value is None (unknown).

    `labels` has the label values of the sample, in the order of the metric's label names.
    """
    single = family(name)
    if value is not None:
        single.add_metric(list(labels), value)
    return single


def _per_collector(name: str, healths: dict[str, Health], value: Callable[[Health], float | None]) -> Metric:
    gauge = family(name)
    for collector, health in healths.items():
        sample = value(health)
        if sample is not None:
            gauge.add_metric([collector], sample)
    return gauge
