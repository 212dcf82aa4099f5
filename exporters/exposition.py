"""What both exporters share: sources that may fail, and the self-metrics that say so."""

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
    """Families in the shape prometheus_client's encoders read."""

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        return iter(self)


def to_text(families: Iterable[Metric]) -> str:
    """Return families in the text format, to be kept; a gauge reads the same in OpenMetrics."""
    return generate_latest(Families(families)).decode()


@dataclass(frozen=True)
class Collected:
    """What a source knows: families, and gauges that are rendered already, in whole families."""

    families: list[Metric] = field(default_factory=list)
    text: str = ""


class Source(Protocol):
    """One thing that is measured; `name` is the value of the label `collector`."""

    @property
    def name(self) -> str:
        """Return the source's name."""

    def fetch(self, timeout_seconds: float) -> Collected:
        """Return the source's families, complete; raise when they are not known within `timeout_seconds`."""


class Incomplete(Exception):
    """A source knows a part of its families only; `__cause__` is why."""

    def __init__(self, collected: Collected, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.collected, self.__cause__ = collected, cause


@dataclass
class Health:
    """How the collections of one source went; moments are UTC epoch seconds."""

    succeeded: bool = False
    duration_seconds: float | None = None
    last_success: float | None = None
    #: every reason from the start, at 0: `increase` does not see a counter that is born at 1
    errors: Counter[str] = field(default_factory=lambda: Counter({str(fault): 0 for fault in Fault}))

    def worked(self, moment: float, duration_seconds: float) -> None:
        """Note a collection that worked."""
        self.succeeded, self.last_success, self.duration_seconds = True, moment, duration_seconds

    def failed(self, error: BaseException, duration_seconds: float) -> None:
        """Note a collection that failed, by reason; the first of a row of failures is also logged."""
        if self.succeeded or not self.errors.total():
            log.warning("collection failed: %s: %s", type(error).__name__, error)
        self.succeeded, self.duration_seconds = False, duration_seconds
        self.errors[fault_of(error)] += 1


@dataclass
class Exposition:
    """All families of one exporter: its sources', then its own; a failed source takes nothing else with it."""

    exporter: str
    sources: list[Source]
    clock: Clock = time.time
    healths: dict[str, Health] = field(default_factory=dict)

    def render(self, encode: Callable[[Families], bytes], timeout_seconds: float = math.inf) -> bytes:
        """Fetch every source, then encode all there is, so that no family is cut in the middle."""
        collected = [self._fetch(source, timeout_seconds) for source in self.sources]
        families = Families(metric for found in collected for metric in found.families)
        families.extend(self_families(self.exporter, self.healths))
        return "".join(found.text for found in collected).encode() + encode(families)

    def _fetch(self, source: Source, timeout_seconds: float) -> Collected:
        health = self.healths.setdefault(source.name, Health())
        started = time.perf_counter()
        try:
            collected = source.fetch(timeout_seconds)
        except Incomplete as error:
            health.failed(error.__cause__ or error, time.perf_counter() - started)
            return error.collected
        except Exception as error:  # whatever went wrong with one source, the others and the self-metrics answer
            health.failed(error, time.perf_counter() - started)
            return Collected()
        health.worked(self.clock(), time.perf_counter() - started)
        return collected


def self_families(exporter: str, healths: dict[str, Health]) -> Iterator[Metric]:
    """Yield the exporter's own families."""
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
    """Return the family `name` with one sample, or with none where the value is unknown."""
    made = family(name)
    if value is not None:
        made.add_metric(list(labels), value)
    return made


def _per_collector(name: str, healths: dict[str, Health], value: Callable[[Health], float | None]) -> Metric:
    made = family(name)
    for collector, health in healths.items():
        known = value(health)
        if known is not None:
            made.add_metric([collector], known)
    return made
