"""Metrics of the collector."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge

from core.metrics import CATALOGUE


class Reason(StrEnum):
    """Reason why a worker's executions were not read or stored."""

    UNREACHABLE = "unreachable"
    INVALID = "invalid"
    BALANCED = "balanced"
    DATABASE = "database"


class CollectorMetrics:
    """What the collector has read, missed and failed to read."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.workers = _gauge("aforo_collector_workers", registry)
        self.executions = _counter("aforo_collector_executions_total", registry)
        self.missed = _counter("aforo_collector_executions_missed_total", registry)
        self.errors = _counter("aforo_collector_errors_total", registry)
        self.last_success = _gauge("aforo_collector_last_success_timestamp_seconds", registry)
        for reason in Reason:
            self.errors.labels(reason.value)


def _counter(name: str, registry: CollectorRegistry) -> Counter:
    metric = CATALOGUE[name]
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def _gauge(name: str, registry: CollectorRegistry) -> Gauge:
    metric = CATALOGUE[name]
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)
