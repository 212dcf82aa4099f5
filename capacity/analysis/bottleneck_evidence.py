"""Collect the measurements that show the bottleneck of a run.

The resources, such as the CPU, are measured while every slot was busy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from capacity.analysis.baseline_costs import UNMEASURED, VideoCost, video_cost
from capacity.analysis.measured_run import MeasuredRun
from capacity.analysis.run_windows import working_window
from capacity.diagnosis.bottleneck import CellEvidence
from capacity.estimators.interval import SECONDS_PER_MINUTE
from capacity.estimators.throughput import SlotCycles
from capacity.runs.conditions import has_smt
from capacity.runs.resource_samples import BUSY_MODES, Resources


def cell_evidence(measured: MeasuredRun, resources: Resources, comparable: Sequence[VideoCost]) -> CellEvidence:
    """Return the measurements that show the bottleneck of a run, such as how busy the CPU was.

    Resources are measured while every slot was busy. An unknown measurement is None. `comparable` is the result of the
    function `comparable_costs`. Slowdown factors are relative to the first comparable run with one slot.
    """
    recorded, row, ours = measured.recorded, measured.row, video_cost(measured)
    baseline = next((cost for cost in comparable if cost.slots == 1 < row.slots), UNMEASURED)
    busy, environment = resources.during(*working_window(recorded)), recorded.run.environment
    cores, bound_ratio = busy.cores(), _bound_ratio(ours, busy.cores())
    baseline_cores = _cores_used(baseline)
    return CellEvidence(
        cores=cores,
        efficiency=_efficiency(ours, baseline),
        gain_up_to_here=_gain(_capacity(comparable, ours.slots / 2), ours.capacity_per_minute),
        gain_from_here=_gain(ours.capacity_per_minute, _capacity(comparable, ours.slots * 2)),
        bound_ratio_cpu=bound_ratio,
        cpu_utilisation=bound_ratio if busy.latest("quota") else _ratio(busy.cpu_rate(BUSY_MODES), cores),
        cpu_pressure_some=busy.rate("pressure.cpu.some"),
        cpu_work_slowdown=_ratio(ours.ffmpeg_cpu_seconds, baseline.ffmpeg_cpu_seconds),
        host_idle_ratio=_ratio(busy.cpu_rate(frozenset({"idle", "iowait"})), busy.latest("cores")),
        throttled_period_ratio=_ratio(busy.increase("throttled"), busy.increase("periods")),
        ffmpeg_slowdown=_ratio(ours.stage_seconds["transcode"], baseline.stage_seconds["transcode"]),
        ffmpeg_cores=_cores_used(ours) if baseline_cores is None else baseline_cores,
        ffmpeg_cores_ratio=_ratio(_cores_used(ours), baseline_cores),
        io_pressure_some=busy.rate("pressure.io.some"),
        io_pressure_full=busy.rate("pressure.io.full"),
        disk_utilisation=_disk_utilisation(busy),
        network_utilisation=_network_utilisation(busy),
        memory_pressure_full=busy.rate("pressure.memory.full"),
        swapped_in_bytes=busy.increase("swap"),
        own_oom_kills=recorded.oom_kills,
        idle_gap_ratio=_idle_gap(measured.cycles),
        smt=has_smt(environment),
        has_remote_storage=environment.get("storage") != "filesystem",
        stage_seconds={name: seconds for name, seconds in ours.stage_seconds.items() if np.isfinite(seconds)},
        stage_slowdown=_slowdowns(ours, baseline),
        service_seconds=row.service_mean_seconds,
    )


def _efficiency(ours: VideoCost, baseline: VideoCost) -> float | None:
    if not ours.capacity_per_minute or not baseline.capacity_per_minute:
        return None
    return ours.capacity_per_minute / (ours.slots * baseline.capacity_per_minute)


def _capacity(comparable: Sequence[VideoCost], slots: float) -> float | None:
    return next((cost.capacity_per_minute for cost in comparable if cost.slots == slots), None)


def _idle_gap(cycles: SlotCycles) -> float | None:
    """Return the share of the slot cycles in which the slot was idle while a message waited."""
    known = np.isfinite(cycles.gap_seconds)
    if not known.any():
        return None
    return _ratio(float(cycles.gap_seconds[known].mean()), float(cycles.cycle_seconds[known].mean()))


def _gain(before: float | None, after: float | None) -> float | None:
    return after / before - 1 if before and after else None


def _disk_utilisation(busy: Resources) -> float | None:
    """Return the share of the time for which the disk is busy, if it works at its measured limits.

    The busy time is the time to read the bytes plus the time to write the bytes.
    """
    read = _ratio(busy.rate("disk.read"), busy.latest("ceiling.disk_read"))
    written = _ratio(busy.rate("disk.written"), busy.latest("ceiling.disk_write"))
    finite = [ratio for ratio in (read, written) if ratio is not None]
    return sum(finite) if finite else None


def _network_utilisation(busy: Resources) -> float | None:
    """Return the utilisation of the busier direction, upload or download, of the storage.

    The two directions do not share a channel. The bytes are those of the videos, or all bytes of the machine's network
    for an app that counts none.
    """
    traffic = "videos" if busy.rate("videos.in") else "network"
    used = [_ratio(busy.rate(f"{traffic}.{way}"), busy.latest(f"ceiling.network_{way}")) for way in ("in", "out")]
    return max((ratio for ratio in used if ratio is not None), default=None)


def _bound_ratio(ours: VideoCost, cores: float | None) -> float | None:
    if not ours.capacity_per_minute or not cores or not ours.ffmpeg_cpu_seconds > 0:
        return None
    return ours.capacity_per_minute * ours.ffmpeg_cpu_seconds / (SECONDS_PER_MINUTE * cores)


def _slowdowns(ours: VideoCost, baseline: VideoCost) -> dict[str, float]:
    ratios = {name: _ratio(seconds, baseline.stage_seconds[name]) for name, seconds in ours.stage_seconds.items()}
    return {name: ratio for name, ratio in ratios.items() if ratio is not None}


def _cores_used(cost: VideoCost) -> float | None:
    return _ratio(cost.ffmpeg_cpu_seconds, cost.stage_seconds["transcode"])


def _ratio(value: float | None, reference: float | None) -> float | None:
    if value is None or not reference or not np.isfinite(value) or not np.isfinite(reference):
        return None
    return value / reference
