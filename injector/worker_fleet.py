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
    """The running workers: how many they are, how many slots they have, and the conditions of each.

    The field `nodes` is the number of workers. The field `slots` is the number of all their slots. The field `workers`
    has the conditions of each worker, such as versions and CPU (see `core.worker_conditions`). The field
    `bandwidth_limits` maps a resource, such as `disk_write`, to its bandwidth limit in bytes/s.
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
    """Return the running reference workers and their slots. Raise EnvironmentFault if none is running.

    On the native stack, the worker's own /metrics is read. On other stacks, or if /metrics does not answer, Prometheus
    is asked for the workers of the queue in `settings`.
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
    """Return the number, the slots and the conditions of the running workers of the app under test.

    The caller expects `workers` workers with `concurrency` slots each.

    - If aforo.toml has `worker.instrument = false`, nothing is read from the workers. The result has the numbers that
      the caller expects, and its field `is_measured` is False.
    - Otherwise, the slots are read from the /metrics of each worker. A worker whose /metrics does not answer is not
      counted. Raise EnvironmentFault if no worker is counted. Also raise EnvironmentFault if the number of workers, or
      the sum of their slots, is not what the caller expects.
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
