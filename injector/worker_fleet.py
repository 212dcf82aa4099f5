"""Find the running workers and their slots, from Prometheus or from the local worker's /metrics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from core import promql
from core.app_file import AppFile
from core.errors import EnvironmentFault
from core.settings import Settings
from core.worker_conditions import WorkerRecord, app_addresses, of_queue, record_of_page, records_in_prometheus

VERSIONS = ("version", "python", "celery", "kombu", "ffmpeg")
BANDWIDTH_LIMIT = "aforo_node_bandwidth_limit_bytes_per_second"


@dataclass(frozen=True)
class WorkerFleet:
    """The running workers: their number, their slots and the conditions of each.

    `nodes` is the number of workers, and `slots` the number of slots of all workers. `workers` has the conditions of
    each worker. `bandwidth_limits` maps a resource, such as `disk_write`, to bytes/s.
    """

    nodes: int
    slots: int
    workers: tuple[WorkerRecord, ...] = ()
    bandwidth_limits: dict[str, float] = field(default_factory=dict)
    #: the workers reported their slots; otherwise the slots are those that were requested
    is_measured: bool = True

    @property
    def slots_per_node(self) -> int:
        """Return the number of slots of each worker. The scenario calls this number concurrency.

        If the workers have different numbers of slots, return the largest number.
        """
        return max((int(worker["slots"]) for worker in self.workers), default=self.slots // self.nodes)

    @property
    def versions(self) -> dict[str, str]:
        """Return the versions of the workers' programs, by program name, such as `celery`.

        If the workers have different versions of a program, its value has all of them: `5.5.3 + 5.6.3`.
        """
        values = {name: sorted({str(worker[name]) for worker in self.workers if name in worker}) for name in VERSIONS}
        return {name: " + ".join(each) for name, each in values.items() if each}


def read_fleet(settings: Settings) -> WorkerFleet:
    """Return the running reference workers and their slots, read from /metrics or from Prometheus.

    Raise EnvironmentFault if no worker is running, or if Prometheus is needed and does not answer.
    """
    local = _local_worker(settings)
    if local is not None:
        return local
    queue = settings.queue.name
    workers = records_in_prometheus(settings.prometheus.url, queue)
    if not workers:
        raise EnvironmentFault("worker", "none of this queue is running", "start one with `make up`", value=queue)
    limits = promql.query(
        settings.prometheus.url, promql.summed_over_machines(of_queue(BANDWIDTH_LIMIT, queue), "resource")
    )
    slots = sum(int(worker["slots"]) for worker in workers)
    return WorkerFleet(len(workers), slots, tuple(workers), _by_resource(limits))


def read_app_fleet(settings: Settings, app: AppFile, concurrency: int, workers: int) -> WorkerFleet:
    """Return the running workers of the app under test, with their slots and conditions.

    The caller expects `workers` workers with `concurrency` slots each. Raise EnvironmentFault if no worker's /metrics
    page answers, or if these pages show other numbers. If aforo.toml has `worker.instrument = false`, return the
    expected numbers.
    """
    declared = WorkerFleet(workers, workers * concurrency, is_measured=False)
    if not app.worker.instrument:
        return declared
    fleets = [fleet for address in app_addresses(settings, app) if (fleet := _scraped(*address)) is not None]
    if not fleets:
        why = "no instrumented worker answers"
        remedy = "start it with `make up APP=…`, or set worker.instrument = false"
        raise EnvironmentFault("worker", why, remedy, value=app.name)
    slots = sum(fleet.slots for fleet in fleets)
    if (len(fleets), slots) != (declared.nodes, declared.slots):
        why = f"{len(fleets)} workers with {slots} slots in all answer"
        remedy = f"give CONCURRENCY and WORKERS as they are, or start {workers} with {concurrency} slots each"
        raise EnvironmentFault("worker", why, remedy, value=app.name)
    records = tuple(record for fleet in fleets for record in fleet.workers)
    return WorkerFleet(len(fleets), slots, records, fleets[0].bandwidth_limits)


def _local_worker(settings: Settings) -> WorkerFleet | None:
    """Return the fleet of the native stack, one worker, from that worker's /metrics.

    Unlike Prometheus, /metrics shows a restart immediately.
    """
    if settings.stack != "native":
        return None
    return _scraped(settings.worker.metrics_host, settings.worker.metrics_port)


def _scraped(host: str, port: int) -> WorkerFleet | None:
    """Return the worker whose /metrics are at this address, or None if there is none."""
    families = promql.scrape(host, port) or {}
    worker = record_of_page(families)
    if worker is None:
        return None
    return WorkerFleet(1, int(worker["slots"]), (worker,), _by_resource(families.get(BANDWIDTH_LIMIT, [])))


def _by_resource(samples: Iterable[promql.Sample]) -> dict[str, float]:
    return {sample.labels["resource"]: sample.value for sample in samples}
