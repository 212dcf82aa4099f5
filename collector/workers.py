"""List of the worker addresses that the collector reads.

The addresses are the targets of Prometheus' job `worker`, and those in the setting AFORO_COLLECTOR_WORKERS.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from collector.metrics import CollectorMetrics, Reason
from core import promql
from core.errors import EnvironmentFault

logger = logging.getLogger(__name__)
#: Workers come and go within seconds in a cluster; a list of targets costs Prometheus nothing.
REFRESH_SECONDS = 5.0
#: Jobs of Prometheus whose targets are workers.
JOBS = ("worker",)


class Workers:
    """List of the worker addresses that the collector reads, refreshed every few seconds.

    While Prometheus does not answer, the list keeps the last known addresses.
    """

    def __init__(
        self,
        prometheus_url: str,
        fixed: Sequence[str],
        metrics: CollectorMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._fixed, self._metrics, self._clock = prometheus_url, tuple(fixed), metrics, clock
        self._discovered: tuple[str, ...] = ()
        self._refreshed_at: float | None = None
        self._is_answered = True

    def addresses(self) -> tuple[str, ...]:
        """Return HOST:PORT of every worker, each once. Ask Prometheus for its targets at most every 5 s."""
        now = self._clock()
        if self._refreshed_at is None or now - self._refreshed_at >= REFRESH_SECONDS:
            self._refreshed_at = now
            self._refresh()
        return tuple(dict.fromkeys((*self._discovered, *self._fixed)))

    def _refresh(self) -> None:
        try:
            self._discovered = tuple(promql.targets(self._url, JOBS))
            self._is_answered = True
        except EnvironmentFault as error:
            self._metrics.errors.labels(Reason.PROMETHEUS.value).inc()
            if self._is_answered:
                logger.warning("%s; the last known addresses of workers are read", error)
            self._is_answered = False
