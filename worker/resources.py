"""Facts of the machine and its container, read when Prometheus asks: CPU with steal, PSI, throttling, disk, network."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
from prometheus_client import Metric
from prometheus_client.registry import Collector

from pipeline import metrics

_V2 = Path("/sys/fs/cgroup")
_V1 = Path("/sys/fs/cgroup/cpu")
#: what /proc/stat counts inside `user` and `nice` already
_COUNTED_ELSEWHERE = {"guest", "guest_nice"}


class NodeCollector(Collector):
    """Yields the NODE metrics; a source this machine lacks is absent, never 0."""

    def __init__(self, places: Mapping[str, Path], cgroup_v2: Path = _V2, cgroup_v1: Path = _V1) -> None:
        self._places, self._v2, self._v1 = places, cgroup_v2, cgroup_v1

    def collect(self) -> Iterator[Metric]:
        """Read every source once."""
        yield from _cpu()
        yield from _memory()
        yield _pressure()
        yield from _traffic()
        yield _free_space(self._places)
        yield from self._container()

    def _container(self) -> Iterator[Metric]:
        for root, unit in ((self._v2, 1e-6), (self._v1, 1e-9)):
            facts = _key_values(root / "cpu.stat")
            throttled = facts.get("throttled_usec", facts.get("throttled_time"))
            limit = _limit_cores(root)
            if limit is None or throttled is None:
                continue
            yield _single("aforo_node_cgroup_cpu_limit_cores", limit)
            yield _single("aforo_node_cgroup_periods_total", facts["nr_periods"])
            yield _single("aforo_node_cgroup_throttled_periods_total", facts["nr_throttled"])
            yield _single("aforo_node_cgroup_throttled_seconds_total", throttled * unit)
            return


def _cpu() -> Iterator[Metric]:
    times = metrics.family("aforo_node_cpu_seconds_total")
    for mode, seconds in psutil.cpu_times()._asdict().items():
        if mode not in _COUNTED_ELSEWHERE:
            times.add_metric([mode], seconds)
    yield times
    yield _single("aforo_node_cores", os.cpu_count() or 1)


def _memory() -> Iterator[Metric]:
    memory, family = psutil.virtual_memory(), metrics.family("aforo_node_memory_bytes")
    family.add_metric(["total"], memory.total)
    family.add_metric(["available"], memory.available)
    yield family
    yield _single("aforo_node_swap_in_bytes_total", psutil.swap_memory().sin)
    kills = _key_values(Path("/proc/vmstat")).get("oom_kill")
    if kills is not None:
        yield _single("aforo_node_oom_kills_total", kills)


def _pressure() -> Metric:
    family = metrics.family("aforo_node_pressure_seconds_total")
    for resource in ("cpu", "io", "memory"):
        for line in _lines(Path("/proc/pressure") / resource):
            share, *pairs = line.split()
            total = dict(pair.split("=") for pair in pairs)["total"]
            family.add_metric([resource, share], int(total) * 1e-6)
    return family


def _traffic() -> Iterator[Metric]:
    disk = psutil.disk_io_counters()
    if disk is not None:
        yield _pair("aforo_node_disk_bytes_total", ("read", disk.read_bytes), ("written", disk.write_bytes))
    network = psutil.net_io_counters()
    yield _pair("aforo_node_network_bytes_total", ("in", network.bytes_recv), ("out", network.bytes_sent))


def _free_space(places: Mapping[str, Path]) -> Metric:
    family = metrics.family("aforo_node_filesystem_free_bytes")
    for place, path in places.items():
        if path.exists():
            family.add_metric([place], psutil.disk_usage(str(path)).free)
    return family


def _limit_cores(root: Path) -> float | None:
    """Return the CPU quota of a cgroup in cores; None where there is none."""
    for line in _lines(root / "cpu.max"):
        quota, period = line.split()
        return None if quota == "max" else int(quota) / int(period)
    quotas = [int(line) for line in _lines(root / "cpu.cfs_quota_us")]
    periods = [int(line) for line in _lines(root / "cpu.cfs_period_us")]
    return quotas[0] / periods[0] if quotas and periods and quotas[0] > 0 else None


def _key_values(file: Path) -> dict[str, int]:
    pairs = (line.split() for line in _lines(file))
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _single(name: str, value: float) -> Metric:
    return _pair(name, (None, value))


def _pair(name: str, *samples: tuple[str | None, float]) -> Metric:
    family = metrics.family(name)
    for label, value in samples:
        family.add_metric([] if label is None else [label], value)
    return family
