"""Conditions of the running workers, such as versions and slots: one record per worker.

A record maps each label of the metric `aforo_worker_info` to its text, and `slots` to the number of slots. An empty
list of records means that no worker answered.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core import promql
from core.app_file import AppFile
from core.errors import EnvironmentFault
from core.settings import Settings

INFO, SLOTS, QUEUES = "aforo_worker_info", "aforo_worker_slots", "aforo_worker_queue_info"
#: Names in a record that tell workers apart and are no conditions; `instance` is the worker's address in Prometheus.
IDENTITY = frozenset({"worker", "instance"})
#: Labels of a sample that Prometheus adds. `app` is the name of the app, which a run records by itself.
PROMETHEUS_LABELS = frozenset({"job", "app", "__name__"})

WorkerRecord = dict[str, Any]


def read_workers(settings: Settings) -> list[WorkerRecord]:
    """Return the conditions of the running workers, such as versions, as one record per worker.

    The list is empty if no worker is found. In the native stack, the record comes from the /metrics page of the only
    worker. If the page does not answer, and in the other stacks, the records come from Prometheus.
    """
    if settings.stack == "native":  # first the page: Prometheus shows an old record shortly after a restart
        families = promql.scrape(settings.worker.metrics_host, settings.worker.metrics_port)
        record = record_of_page(families or {})
        if record is not None:
            return [record]
    try:
        return records_in_prometheus(settings.prometheus.url, settings.queue.name)
    except EnvironmentFault:
        return []


def app_addresses(settings: Settings, app: AppFile) -> list[tuple[str, int]]:
    """Return the addresses, as (host, port), of the /metrics pages of an app's workers.

    The addresses come from aforo.toml. If it names none, return the one address in the settings. A worker that does not
    run is included.
    """
    if not app.worker.metrics:
        return [(settings.worker.metrics_host, settings.worker.metrics_port)]
    return [(host, int(port)) for host, _, port in (address.rpartition(":") for address in app.worker.metrics)]


def app_slots(settings: Settings, app: AppFile) -> list[int]:
    """Return the number of slots of each instrumented worker of an app, read from its /metrics page.

    A worker whose page does not answer is left out.
    """
    return [record["slots"] for record in app_records(settings, app)]


def app_records(settings: Settings, app: AppFile) -> list[WorkerRecord]:
    """Return the conditions of each instrumented worker of an app as a record, read from its /metrics page.

    A worker whose page does not answer is left out.
    """
    pages = [promql.scrape(host, port) or {} for host, port in app_addresses(settings, app)]
    return [record for page in pages if (record := record_of_page(page)) is not None]


def autoscale(records: Iterable[WorkerRecord]) -> str | None:
    """Return the value of Celery's option `--autoscale`, such as `8,2`, of the first worker that has it.

    `records` has the conditions of each worker. Return None if no worker is known to have the option.
    """
    return next((str(record["autoscale"]) for record in records if "autoscale" in record), None)


def record_of_page(families: Mapping[str, Sequence[promql.Sample]]) -> WorkerRecord | None:
    """Return the conditions of one worker as a record, made from its /metrics page.

    `families` maps the name of each metric on the page to its samples. Return None if the page shows no slots. Labels
    with an empty value are left out.
    """
    slots = next((int(sample.value) for sample in families.get(SLOTS, ())), 0)
    if not slots:
        return None
    labels = next((sample.labels for sample in families.get(INFO, ())), {})
    return {name: value for name, value in labels.items() if value} | {"slots": slots}


def records_in_prometheus(url: str, queue: str) -> list[WorkerRecord]:
    """Return the conditions of the workers of a queue, such as versions, as one record per worker.

    The conditions are read from Prometheus at `url`. Raise EnvironmentFault if Prometheus does not answer.
    """
    info = {_target(sample): sample.labels for sample in promql.query(url, INFO)}
    with_slots = promql.query(url, of_queue(f"{SLOTS} > 0", queue))
    labels = ((sample, sample.labels | info.get(_target(sample), {})) for sample in with_slots)
    return [
        {name: value for name, value in known.items() if name not in PROMETHEUS_LABELS} | {"slots": int(sample.value)}
        for sample, known in labels
    ]


def of_queue(expression: str, queue: str) -> str:
    """Return a PromQL expression for those series of `expression` whose worker reads `queue`.

    `expression` is a PromQL query for a metric of workers. A worker whose queues are unknown is kept.
    """
    reads = f"{QUEUES}{{queue={json.dumps(queue)}}}"
    return f"({expression} unless on (job, instance) ({QUEUES} unless on (job, instance) {reads}))"


def _target(sample: promql.Sample) -> tuple[str | None, str | None]:
    return sample.labels.get("job"), sample.labels.get("instance")
