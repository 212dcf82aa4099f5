"""Metrics of the collector about its own work."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry

from aforo.telemetry.catalogue import counter, gauge
from core.metrics import CATALOGUE


class Reason(StrEnum):
    """Reasons why the collector could not read or store something, as values of a metric label."""

    UNREACHABLE = "unreachable"
    INVALID = "invalid"
    BALANCED = "balanced"
    DATABASE = "database"
    PROMETHEUS = "prometheus"  # the list of workers is not refreshed
    APP_TABLE = "app_table"  # the states of an app's videos are not read


class CollectorMetrics:
    """Metrics of the collector: workers read, executions stored, missed and altered, errors, and last success.

    A missed execution was dropped by the worker before the collector read it. An altered one had a value that no
    database can store.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.workers = gauge("aforo_collector_workers", registry, CATALOGUE)
        self.executions = counter("aforo_collector_executions_total", registry, CATALOGUE)
        self.missed = counter("aforo_collector_executions_missed_total", registry, CATALOGUE)
        self.altered = counter("aforo_collector_executions_altered_total", registry, CATALOGUE)
        self.errors = counter("aforo_collector_errors_total", registry, CATALOGUE)
        self.last_success = gauge("aforo_collector_last_success_timestamp_seconds", registry, CATALOGUE)
        for reason in Reason:
            self.errors.labels(reason.value)
