"""Conditions of the workers of a run: one record per worker, read at the start and at the end of the run.

A record has the labels of `aforo_worker_info` as text, and the worker's `slots` as a number. An empty list means that
no worker answered, so the conditions are unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core import promql
from core.errors import EnvironmentFault
from core.settings import Settings

INFO, SLOTS = "aforo_worker_info", "aforo_worker_slots"
#: Names in a record that tell workers apart and are no conditions; `instance` is the worker's address in Prometheus.
IDENTITY = frozenset({"worker", "instance"})
#: Labels of a sample that Prometheus adds. `app` is the name of the app, which a run records by itself.
PROMETHEUS_LABELS = frozenset({"job", "app", "__name__"})

WorkerRecord = dict[str, Any]


def read_workers(settings: Settings) -> list[WorkerRecord]:
    """Return the records of the running workers, or none if neither the local worker nor Prometheus answers.

    The only worker of the native stack is read from its own /metrics, which show a restart at once.
    """
    if settings.stack == "native":
        families = promql.scrape(settings.worker.metrics_host, settings.worker.metrics_port)
        record = record_of_page(families or {})
        if record is not None:
            return [record]
    try:
        return records_in_prometheus(settings.prometheus.url)
    except EnvironmentFault:
        return []


def record_of_page(families: Mapping[str, Sequence[promql.Sample]]) -> WorkerRecord | None:
    """Return the record of the worker with this /metrics, or None if no worker with slots answers there.

    Empty labels are left out, as Prometheus does.
    """
    slots = next((int(sample.value) for sample in families.get(SLOTS, ())), 0)
    if not slots:
        return None
    labels = next((sample.labels for sample in families.get(INFO, ())), {})
    return {name: value for name, value in labels.items() if value} | {"slots": slots}


def records_in_prometheus(url: str) -> list[WorkerRecord]:
    """Return the records of the workers that Prometheus scrapes. Raise EnvironmentFault if it does not answer."""
    info = {_target(sample): sample.labels for sample in promql.query(url, INFO)}
    with_slots = promql.query(url, f"{SLOTS} > 0")
    labels = ((sample, sample.labels | info.get(_target(sample), {})) for sample in with_slots)
    return [
        {name: value for name, value in known.items() if name not in PROMETHEUS_LABELS} | {"slots": int(sample.value)}
        for sample, known in labels
    ]


def _target(sample: promql.Sample) -> tuple[str | None, str | None]:
    return sample.labels.get("job"), sample.labels.get("instance")
