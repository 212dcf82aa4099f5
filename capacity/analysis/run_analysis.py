"""All that can be said of one run: its row, its parts, its checks, its limit, and how far to trust it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from capacity.diagnosis.bottleneck import BottleneckVerdict, CellEvidence, find_bottleneck
from capacity.diagnosis.data_quality import RunFacts, TrustFlag, trust_flags
from capacity.estimators import throughput
from capacity.estimators.interval import SECONDS_PER_MINUTE, Floats
from capacity.estimators.littles_law import LittleCheck, check_littles_law
from capacity.estimators.response_time import Decomposition, decompose
from capacity.estimators.stability import OfferedRate, StabilityVerdict, judge_stability, offered_rate
from capacity.runs.recorded_run import RecordedRun
from capacity.runs.resource_samples import BUSY_MODES, Resources
from capacity.runs.result_row import ResultRow
from core.video import Stage

#: the queue is read every 5 s: in less time than this its mean says too little to judge by
LITTLE_MINIMUM_SECONDS = 100.0
#: our stages by the names the clues use
STAGE_CLUES: Mapping[str, tuple[Stage, ...]] = {
    "download": (Stage.FETCH,),
    "probe": (Stage.PROBE,),
    "transcode": (Stage.TRANSCODE,),
    "upload": (Stage.PUBLISH,),
    "db": (Stage.CLAIM, Stage.FINISH),
}


@dataclass(frozen=True)
class Cost:
    """What one video costs in a run, in means; NaN is unknown. This is what runs are compared by."""

    slots: int
    capacity_per_minute: float | None
    stage_seconds: Mapping[str, float]
    ffmpeg_cpu_seconds: float


_UNMEASURED = Cost(1, None, dict.fromkeys(STAGE_CLUES, float("nan")), float("nan"))


@dataclass(frozen=True)
class RunEvidence:
    """A run with everything derived from it; None is unknown."""

    row: ResultRow
    recorded: RecordedRun
    resources: Resources
    parts: Decomposition
    service: throughput.ServiceStatistics
    little: LittleCheck
    stability: StabilityVerdict | None
    offered: OfferedRate | None
    bottleneck: BottleneckVerdict
    flags: tuple[TrustFlag, ...]


def cost_of(row: ResultRow, recorded: RecordedRun) -> Cost:
    """Return what a video costs in this run."""
    stages = {name: _known_sum(_mean(recorded.stage_seconds[s]) for s in parts) for name, parts in STAGE_CLUES.items()}
    return Cost(row.slots, row.x_sat_per_minute, stages, _mean(recorded.ffmpeg_cpu_seconds))


def gather(
    row: ResultRow,
    recorded: RecordedRun,
    resources: Resources,
    peers: Sequence[Cost],
    canary_usual_seconds: float | None = None,
) -> RunEvidence:
    """Judge a run; `peers` are what it is compared with: bursts of the same videos with other numbers of slots."""
    little, offered = _little(recorded, resources), _offered(recorded)
    executions = recorded.executions
    return RunEvidence(
        row=row,
        recorded=recorded,
        resources=resources,
        parts=_parts(recorded),
        service=throughput.service_statistics(executions.started_at, executions.ended_at),
        little=little,
        stability=None if recorded.is_burst else _stability(recorded),
        offered=offered,
        bottleneck=find_bottleneck(cell_evidence(row, recorded, resources, peers)),
        flags=trust_flags(_facts(row, recorded, resources, little, offered, canary_usual_seconds)),
    )


def cell_evidence(row: ResultRow, recorded: RecordedRun, resources: Resources, peers: Sequence[Cost]) -> CellEvidence:
    """Return what was measured while work was waiting; what was not measured stays None.

    `peers` come nearest first. Next to itself one slot alone would look perfect: for it the comparisons are unknown.
    """
    ours, alone = cost_of(row, recorded), next((p for p in peers if p.slots == 1 < row.slots), _UNMEASURED)
    busy, environment = resources.during(*working_window(recorded)), recorded.run.environment
    cores, bound_ratio = busy.cores(), _bound_ratio(ours, busy.cores())
    cores_used = _cores_used(alone)
    return CellEvidence(
        cores=cores,
        efficiency=_efficiency(ours, alone),
        gain_up_to_here=_gain(_capacity(peers, ours.slots / 2), ours.capacity_per_minute),
        gain_from_here=_gain(ours.capacity_per_minute, _capacity(peers, ours.slots * 2)),
        bound_ratio_cpu=bound_ratio,
        cpu_utilisation=bound_ratio if busy.latest("quota") else _ratio(busy.cpu_rate(BUSY_MODES), cores),
        cpu_pressure_some=busy.rate("pressure.cpu.some"),
        cpu_work_stretch=_ratio(ours.ffmpeg_cpu_seconds, alone.ffmpeg_cpu_seconds),
        host_idle_ratio=_ratio(busy.cpu_rate(frozenset({"idle", "iowait"})), busy.latest("cores")),
        throttled_period_ratio=_ratio(busy.increase("throttled"), busy.increase("periods")),
        ffmpeg_stretch=_ratio(ours.stage_seconds["transcode"], alone.stage_seconds["transcode"]),
        ffmpeg_cores=_cores_used(ours) if cores_used is None else cores_used,
        ffmpeg_cores_ratio=_ratio(_cores_used(ours), cores_used),
        io_pressure_some=busy.rate("pressure.io.some"),
        io_pressure_full=busy.rate("pressure.io.full"),
        disk_utilisation=_disk_utilisation(busy),
        network_utilisation=_network_utilisation(busy),
        memory_pressure_full=busy.rate("pressure.memory.full"),
        swapped_in_bytes=busy.increase("swap"),
        oom_kills=None if busy.increase("oom") is None else int(busy.increase("oom") or 0),
        smt=bool(environment.get("host", {}).get("smt")),
        has_remote_storage=environment.get("storage") != "filesystem",
        stage_seconds={name: seconds for name, seconds in ours.stage_seconds.items() if np.isfinite(seconds)},
        stage_stretch=_stretches(ours, alone),
        service_seconds=row.service_mean_seconds,
    )


def working_window(recorded: RecordedRun) -> tuple[float, float]:
    """Return the time with every slot busy: from the first start to the last, or to the last end in a short run."""
    starts, ends = recorded.executions.started_at, recorded.executions.ended_at
    if not starts.size:
        return 0.0, 0.0
    generations = starts.size >= 2 * recorded.run.slots
    return float(starts.min()), float(starts.max() if generations else ends.max())


def run_window(recorded: RecordedRun) -> tuple[float, float]:
    """Return when the run's first video was uploaded and its last one ended, or was last seen."""
    moments = np.concatenate([recorded.uploaded_at, recorded.updated_at, recorded.executions.ended_at])
    known = moments[np.isfinite(moments)]
    return (float(known.min()), float(known.max())) if known.size else (recorded.run.created_at,) * 2


def _parts(recorded: RecordedRun) -> Decomposition:
    """Return the mean parts of the cycle; waiting is exact per video, so its mean needs no pairing with executions."""
    known = np.isfinite(recorded.started_at) & recorded.done
    wait = (recorded.started_at - recorded.uploaded_at)[known]
    executions, counted = recorded.executions, recorded.executions.counted
    start = executions.started_at[counted]
    uploaded = start - (float(wait.mean()) if wait.size else float("nan"))
    stages = {name: seconds[counted] for name, seconds in recorded.stage_seconds.items()}
    return decompose(uploaded, start, executions.ended_at[counted], stages)


def _little(recorded: RecordedRun, resources: Resources) -> LittleCheck:
    start, end = run_window(recorded)
    polled = resources.during(start, end).samples.get("messages", np.empty(0))
    counted = polled if end - start >= LITTLE_MINIMUM_SECONDS else polled[:0]
    return check_littles_law(counted, recorded.uploaded_at, recorded.updated_at)


def _stability(recorded: RecordedRun) -> StabilityVerdict:
    service = recorded.executions.ended_at - recorded.executions.started_at
    return judge_stability(recorded.uploaded_at, recorded.started_at, service, recorded.run.slots)


def _offered(recorded: RecordedRun) -> OfferedRate | None:
    rate = recorded.run.rate_per_minute
    return offered_rate(recorded.uploaded_at, recorded.intended_at, rate) if rate and not recorded.is_burst else None


def _facts(
    row: ResultRow,
    recorded: RecordedRun,
    resources: Resources,
    little: LittleCheck,
    offered: OfferedRate | None,
    canary_usual_seconds: float | None,
) -> RunFacts:
    cycles = throughput.slot_cycles(recorded.executions, row.slots)
    environment, window = recorded.run.environment, run_window(recorded)
    ran = resources.during(*window)
    steal_mean, steal_worst = ran.steal_ratios()
    return RunFacts(
        slots=row.slots,
        cycle_seconds=cycles.cycle_seconds,
        service_mean_seconds=row.service_mean_seconds,
        steal_mean_ratio=steal_mean,
        steal_worst_window_ratio=steal_worst,
        canary_before_seconds=environment.get("canary_before_seconds"),
        canary_after_seconds=environment.get("canary_after_seconds"),
        canary_usual_seconds=canary_usual_seconds,
        clock_offset_seconds=ran.clock_offset(),
        other_cpu_ratio=resources.other_cpu_ratio(*window),
        ffmpeg_cpu_seconds=_costs(recorded),
        skewed_stamps=throughput.skewed_stamps(cycles),
        duplicate_deliveries=row.duplicates,
        unfinished_videos=recorded.census.waiting + recorded.census.in_flight,
        generator_limited=offered.generator_limited if offered else None,
        littles_law=little.agreement,
    )


def _costs(recorded: RecordedRun) -> Floats:
    """Return the CPU seconds of each execution that counts and whose cost is known."""
    costs = recorded.ffmpeg_cpu_seconds[recorded.executions.counted]
    return costs[np.isfinite(costs)]


def _efficiency(ours: Cost, alone: Cost) -> float | None:
    if not ours.capacity_per_minute or not alone.capacity_per_minute:
        return None
    return ours.capacity_per_minute / (ours.slots * alone.capacity_per_minute)


def _capacity(peers: Sequence[Cost], slots: float) -> float | None:
    return next((peer.capacity_per_minute for peer in peers if peer.slots == slots), None)


def _gain(before: float | None, after: float | None) -> float | None:
    return after / before - 1 if before and after else None


def _disk_utilisation(busy: Resources) -> float | None:
    """Return the share of time the device needs for what is read and for what is written, at its ceilings."""
    read = _ratio(busy.rate("disk.read"), busy.latest("ceiling.disk_read"))
    return _sum(read, _ratio(busy.rate("disk.written"), busy.latest("ceiling.disk_write")))


def _network_utilisation(busy: Resources) -> float | None:
    """Return how far the fuller direction of the storage is used by our videos; the two do not share a channel."""
    used = [_ratio(busy.rate(f"videos.{way}"), busy.latest(f"ceiling.network_{way}")) for way in ("in", "out")]
    return max((ratio for ratio in used if ratio is not None), default=None)


def _bound_ratio(ours: Cost, cores: float | None) -> float | None:
    if not ours.capacity_per_minute or not cores or not ours.ffmpeg_cpu_seconds > 0:
        return None
    return ours.capacity_per_minute * ours.ffmpeg_cpu_seconds / (SECONDS_PER_MINUTE * cores)


def _stretches(ours: Cost, alone: Cost) -> dict[str, float]:
    ratios = {name: _ratio(seconds, alone.stage_seconds[name]) for name, seconds in ours.stage_seconds.items()}
    return {name: ratio for name, ratio in ratios.items() if ratio is not None}


def _cores_used(cost: Cost) -> float | None:
    return _ratio(cost.ffmpeg_cpu_seconds, cost.stage_seconds["transcode"])


def _ratio(value: float | None, reference: float | None) -> float | None:
    if value is None or not reference or not np.isfinite(value) or not np.isfinite(reference):
        return None
    return value / reference


def _sum(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _known_sum(values: Iterable[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return sum(known) if known else float("nan")
