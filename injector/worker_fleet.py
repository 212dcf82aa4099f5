"""Worker fleet: the running workers and their slots.

The values come from Prometheus, or from the local worker's /metrics.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from core import promql
from core.errors import EnvironmentFault
from core.settings import Settings

BANDWIDTH_LIMIT = "aforo_node_bandwidth_limit_bytes_per_second"


@dataclass(frozen=True)
class WorkerFleet:
    """Nodes of the workers, the sum of their slots, their versions, and their measured bandwidth limits.

    The bandwidth limits are in bytes/s, keyed by resource.
    """

    nodes: int
    slots: int
    versions: dict[str, str] = field(default_factory=dict)
    bandwidth_limits: dict[str, float] = field(default_factory=dict)

    @property
    def slots_per_node(self) -> int:
        """Return the slots of one node, which the scenario calls concurrency."""
        return self.slots // self.nodes


def read_fleet(settings: Settings) -> WorkerFleet:
    """Return the workers that are up. Raise EnvironmentFault if no worker is up."""
    local = _local_slots(settings)
    if local is not None:
        return local
    values = _prometheus_slots(settings)
    if not values:
        raise EnvironmentFault("worker", "none is running", "start one with `make up`")
    limits = promql.query(settings.prometheus.url, promql.summed_over_machines(BANDWIDTH_LIMIT, "resource"))
    return WorkerFleet(len(values), sum(values), bandwidth_limits=_by_resource(limits))


def _local_slots(settings: Settings) -> WorkerFleet | None:
    """Return the fleet of the native stack, one worker, from that worker's /metrics.

    Unlike Prometheus, /metrics shows a restart immediately.
    """
    if settings.stack != "native":
        return None
    families = promql.scrape(settings.worker.metrics_host, settings.worker.metrics_port)
    slots = int(families["aforo_worker_slots"][0].value) if families else 0
    if not families or not slots:
        return None
    return WorkerFleet(
        1, slots, families["aforo_worker_info"][0].labels, _by_resource(families.get(BANDWIDTH_LIMIT, []))
    )


def _by_resource(samples: Iterable[promql.Sample]) -> dict[str, float]:
    return {sample.labels["resource"]: sample.value for sample in samples}


def _prometheus_slots(settings: Settings) -> list[int]:
    return [int(sample.value) for sample in promql.query(settings.prometheus.url, "aforo_worker_slots > 0")]
