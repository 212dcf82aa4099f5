"""Metrics of the worker's machine and its container, read at each scrape.

The metrics cover CPU time (also time that the hypervisor took away), memory, pressure (PSI), throttling, disk and
network.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil
from prometheus_client import Metric
from prometheus_client.registry import Collector

from aforo.cgroup import Cgroup, lines_of
from aforo.kernel import boot_id, vmstat
from aforo.telemetry.catalogue import family as new_family

#: Modes that /proc/stat includes in `user` and `nice`.
_COUNTED_ELSEWHERE = {"guest", "guest_nice"}


class NodeCollector(Collector):
    """Prometheus collector of the metrics of the worker's machine and container.

    A metric that this machine cannot provide is absent, never 0.
    """

    def __init__(
        self,
        places: Mapping[str, Path],
        slot_pids: Callable[[], Sequence[int]],
        bandwidth_limits: Mapping[str, float] | None = None,
        cgroup: Cgroup | None = None,
    ) -> None:
        self._places, self._slot_pids = places, slot_pids
        self._bandwidth_limits = bandwidth_limits or {}
        self._cgroup = cgroup or Cgroup()
        self._worker_cpu_seconds = 0.0
        self._host = _host()

    def collect(self) -> Iterator[Metric]:
        """Read every source of machine metrics once, and yield the metrics. Prometheus' client calls this."""
        yield _pair("aforo_node_info", (self._host, 1))
        yield from _cpu()
        yield from _memory()
        yield _pressure(self._cgroup)
        yield from _traffic(self._places.get("work"))
        yield _free_space(self._places)
        yield _single("aforo_node_clock_timestamp_seconds", time.time())
        yield _pair("aforo_node_bandwidth_limit_bytes_per_second", *self._bandwidth_limits.items())
        yield self._worker_cpu()
        yield from self._container()

    def _worker_cpu(self) -> Metric:
        """Sum the CPU seconds of this process, its slots and their ended children.

        The sum does not decrease while a slot ends.
        """
        used = sum(os.times()[:4]) + sum(_cpu_seconds(pid) for pid in self._slot_pids() if pid != os.getpid())
        self._worker_cpu_seconds = max(self._worker_cpu_seconds, used)
        return _single("aforo_worker_cpu_seconds_total", self._worker_cpu_seconds)

    def _container(self) -> Iterator[Metric]:
        """Yield the metrics of the tightest CPU quota of this process."""
        quota = self._cgroup.cpu_quota()
        if quota is None:
            return
        yield _single("aforo_node_cgroup_cpu_limit_cores", quota.cores)
        yield _single("aforo_node_cgroup_periods_total", quota.periods)
        yield _single("aforo_node_cgroup_throttled_periods_total", quota.throttled_periods)
        yield _single("aforo_node_cgroup_throttled_seconds_total", quota.throttled_seconds)


def slot_pids(consumer: Any) -> Callable[[], Sequence[int]]:
    """Return a function that lists the process ids of a worker's slots (prefork children).

    For a pool of threads, the list is empty. `consumer` is Celery's consumer of the worker.
    """
    return lambda: consumer.pool.info.get("processes", ()) if consumer.pool else ()


def _host() -> str:
    """Return the boot id as the name of the machine, because all its containers share the boot id.

    Return the host name where the kernel has no boot id.
    """
    return boot_id() or platform.node()


def _cpu() -> Iterator[Metric]:
    times = new_family("aforo_node_cpu_seconds_total")
    for mode, seconds in psutil.cpu_times()._asdict().items():
        if mode not in _COUNTED_ELSEWHERE:
            times.add_metric([mode], seconds)
    yield times
    yield _single("aforo_node_cores", os.cpu_count() or 1)


def _memory() -> Iterator[Metric]:
    memory, family = psutil.virtual_memory(), new_family("aforo_node_memory_bytes")
    family.add_metric(["total"], memory.total)
    family.add_metric(["available"], memory.available)
    yield family
    counts = vmstat()  # read once: it is the slowest source
    swapped = counts["pswpin"] * os.sysconf("SC_PAGE_SIZE") if counts else psutil.swap_memory().sin
    yield _single("aforo_node_swap_in_bytes_total", swapped)
    if "oom_kill" in counts:
        yield _single("aforo_node_oom_kills_total", counts["oom_kill"])


def _pressure(cgroup: Cgroup) -> Metric:
    """Read the stall times (PSI) of this process's cgroup.

    If the cgroup has none (cgroup v1), read the stall times of the machine.
    """
    family = new_family("aforo_node_pressure_seconds_total")
    for resource in ("cpu", "io", "memory"):
        for line in cgroup.pressure(resource) or lines_of(Path("/proc/pressure") / resource):
            share, *pairs = line.split()
            total = dict(pair.split("=") for pair in pairs)["total"]
            family.add_metric([resource, share], int(total) * 1e-6)
    return family


def _traffic(work_path: Path | None) -> Iterator[Metric]:
    disks = psutil.disk_io_counters(perdisk=True) or {}
    disk = disks.get(_device(work_path) if work_path else "") or psutil.disk_io_counters()
    if disk is not None:
        yield _pair("aforo_node_disk_bytes_total", ("read", disk.read_bytes), ("written", disk.write_bytes))
    network = psutil.net_io_counters()
    yield _pair("aforo_node_network_bytes_total", ("in", network.bytes_recv), ("out", network.bytes_sent))


def _free_space(places: Mapping[str, Path]) -> Metric:
    family = new_family("aforo_node_filesystem_free_bytes")
    for place, path in places.items():
        if path.exists():
            family.add_metric([place], psutil.disk_usage(str(path)).free)
    return family


def _device(folder: Path) -> str:
    """Return the block device that holds `folder`, or '' for an overlay or a network filesystem."""
    return _device_name(folder.stat().st_dev) if folder.exists() else ""


@lru_cache(maxsize=16)
def _device_name(number: int) -> str:
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    return device.resolve().name if device.exists() else ""


def _cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and of its ended children, or 0 if the process has ended."""
    try:
        return float(sum(psutil.Process(pid).cpu_times()[:4]))
    except psutil.Error:
        return 0.0


def _single(name: str, value: float) -> Metric:
    return _pair(name, (None, value))


def _pair(name: str, *samples: tuple[str | None, float]) -> Metric:
    family = new_family(name)
    for label, value in samples:
        family.add_metric([] if label is None else [label], value)
    return family
