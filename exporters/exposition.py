"""Exposition of an exporter: the metric families of its sources, and its self-metrics.

The self-metrics give the result of each collection.
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

log = logging.getLogger(__name__)
Clock = Callable[[], float]


class Families(list[Metric]):
    """A list of families that prometheus_client's encoders accept as a registry."""

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        return iter(self)


def to_text(families: Iterable[Metric]) -> str:
    """Return families in Prometheus' text format. Gauges have the same lines in OpenMetrics."""
    return generate_latest(Families(families)).decode()


@dataclass(frozen=True)
class Collected:
    """Result of one collection: families, and the text of gauge families that are already rendered."""

    families: list[Metric] = field(default_factory=list)
    text: str = ""


class Source(Protocol):
    """A data source. `name` is the value of the label `collector`."""

    @property
    def name(self) -> str:
        """Return the source's name."""

    def fetch(self, timeout_seconds: float) -> Collected:
        """Return all families of the source. Raise an error if that takes longer than `timeout_seconds`."""


class Incomplete(Exception):
    """Error of a collection that returned only a part of the families. `__cause__` is the original error."""

    def __init__(self, collected: Collected, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.collected, self.__cause__ = collected, cause


@dataclass
class Health:
    """Results of the collections of one source. Times are in epoch seconds."""

    succeeded: bool = False
    duration_seconds: float | None = None
    last_success: float | None = None
    #: Every reason starts at 0: `increase()` misses a counter whose first sample is 1.
    errors: Counter[str] = field(default_factory=lambda: Counter({str(fault): 0 for fault in Fault}))

    def record_success(self, moment: float, duration_seconds: float) -> None:
        """Record a successful collection."""
        self.succeeded, self.last_success, self.duration_seconds = True, moment, duration_seconds

    def record_failure(self, error: BaseException, duration_seconds: float) -> None:
        """Count a failed collection by reason. Log only the first of consecutive failures."""
        if self.succeeded or not self.errors.total():
            log.warning("collection failed: %s: %s", type(error).__name__, error)
        self.succeeded, self.duration_seconds = False, duration_seconds
        self.errors[fault_of(error)] += 1


@dataclass
class Exposition:
    """All families of one exporter. A failed source does not affect the other sources."""

    exporter: str
    sources: list[Source]
    clock: Clock = time.time
    healths: dict[str, Health] = field(default_factory=dict)

    def render(self, encode: Callable[[Families], bytes], timeout_seconds: float = math.inf) -> bytes:
        """Fetch every source, then encode the families. No family is truncated."""
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
    """Yield the self-metrics of the exporter."""
    info = family("aforo_exporter_info")
    info.add_metric([VERSION, exporter], 1)
    yield info
    yield _per_collector("aforo_exporter_collector_success", healths, lambda health: float(health.succeeded))
    yield _per_collector("aforo_exporter_collector_duration_seconds", healths, lambda health: health.duration_seconds)
    yield _per_collector("aforo_exporter_last_success_timestamp_seconds", healths, lambda health: health.last_success)
    errors = family("aforo_exporter_errors_total")
    for collector, health in healths.items():
        for reason, count in sorted(health.errors.items()):
            errors.add_metric([collector, reason], count)
    yield errors


def gauge_family(name: str, value: float | None, labels: Iterable[str] = ()) -> Metric:
    """Return the family `name` with one sample, or without samples if the value is unknown."""
    gauge = family(name)
    if value is not None:
        gauge.add_metric(list(labels), value)
    return gauge


def _per_collector(name: str, healths: dict[str, Health], value: Callable[[Health], float | None]) -> Metric:
    gauge = family(name)
    for collector, health in healths.items():
        sample = value(health)
        if sample is not None:
            gauge.add_metric([collector], sample)
    return gauge
