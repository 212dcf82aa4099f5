"""Worker fleet: the running workers and their slots.

The values come from Prometheus, or from the local worker's /metrics.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from core import promql
from core.errors import EnvironmentFault
from core.settings import Settings
from core.worker_conditions import WorkerRecord, record_of_page, records_in_prometheus

VERSIONS = ("version", "python", "celery", "kombu", "ffmpeg")
BANDWIDTH_LIMIT = "aforo_node_bandwidth_limit_bytes_per_second"


@dataclass(frozen=True)
class WorkerFleet:
    """Nodes of the workers, the sum of their slots, the record of each worker, and their measured bandwidth limits.

    The records are those of `core.worker_conditions`. The bandwidth limits are in bytes/s, keyed by resource.
    """

    nodes: int
    slots: int
    workers: tuple[WorkerRecord, ...] = ()
    bandwidth_limits: dict[str, float] = field(default_factory=dict)

    @property
    def slots_per_node(self) -> int:
        """Return the slots of one node, which the scenario calls concurrency. Of different nodes, it is the largest."""
        return max((int(worker["slots"]) for worker in self.workers), default=self.slots // self.nodes)

    @property
    def versions(self) -> dict[str, str]:
        """Return the versions of the workers' programs. Different versions are joined by ` + `."""
        values = {name: sorted({str(worker[name]) for worker in self.workers if name in worker}) for name in VERSIONS}
        return {name: " + ".join(each) for name, each in values.items() if each}


def read_fleet(settings: Settings) -> WorkerFleet:
    """Return the workers that are up. Raise EnvironmentFault if no worker is up."""
    local = _local_worker(settings)
    if local is not None:
        return local
    workers = records_in_prometheus(settings.prometheus.url)
    if not workers:
        raise EnvironmentFault("worker", "none is running", "start one with `make up`")
    limits = promql.query(settings.prometheus.url, promql.summed_over_machines(BANDWIDTH_LIMIT, "resource"))
    slots = sum(int(worker["slots"]) for worker in workers)
    return WorkerFleet(len(workers), slots, tuple(workers), _by_resource(limits))


def _local_worker(settings: Settings) -> WorkerFleet | None:
    """Return the fleet of the native stack, one worker, from that worker's /metrics.

    Unlike Prometheus, /metrics shows a restart immediately.
    """
    if settings.stack != "native":
        return None
    families = promql.scrape(settings.worker.metrics_host, settings.worker.metrics_port) or {}
    worker = record_of_page(families)
    if worker is None:
        return None
    return WorkerFleet(1, int(worker["slots"]), (worker,), _by_resource(families.get(BANDWIDTH_LIMIT, [])))


def _by_resource(samples: Iterable[promql.Sample]) -> dict[str, float]:
    return {sample.labels["resource"]: sample.value for sample in samples}
