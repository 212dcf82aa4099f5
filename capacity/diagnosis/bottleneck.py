"""Bottleneck of a cell: the cause that limits its throughput, the evidence, and the confidence.

Each candidate cause has criteria. The criteria compare the cell with a one-slot baseline and with bandwidth limits
measured before the run. A criterion that was not measured counts neither for nor against a candidate. A run without
comparable runs has fewer known criteria, so its verdict is less certain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from capacity.diagnosis.criteria import (
    Criterion,
    Measurement,
    Quantity,
    above,
    all_of,
    any_of,
    at_least,
    at_most,
    below,
    between,
    jointly,
    sufficient,
)

TRANSFER_STAGES = ("download", "upload")


class Cause(StrEnum):
    """Causes that may limit the throughput of a cell."""

    SLOTS = "slots"
    CPU = "cpu"
    CPU_QUOTA = "cpu_quota"
    MEMORY_BANDWIDTH = "memory_bandwidth"
    SINGLE_THREAD = "single_thread"
    DISK = "disk"
    NETWORK = "network"
    MEMORY = "memory"
    SERIALISATION = "serialisation"
    UNCLEAR = "unclear"


class Confidence(StrEnum):
    """Confidence of a verdict."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class CellEvidence:
    """Measurements of a cell while work was waiting. None is unknown, and a ratio of 1 is 100 %.

    A slowdown factor is a duration divided by the duration with one slot (c = 1). `cpu_utilisation` counts user, nice,
    system, interrupts and steal, as a share of the cores or the quota. It never counts iowait. `host_idle_ratio` is of
    the whole machine. Disk and network utilisation are shares of the bandwidth limits measured before the run.
    """

    cores: float | None = None
    efficiency: float | None = None
    gain_up_to_here: float | None = None
    gain_from_here: float | None = None
    bound_ratio_cpu: float | None = None
    cpu_utilisation: float | None = None
    cpu_pressure_some: float | None = None
    cpu_work_slowdown: float | None = None
    host_idle_ratio: float | None = None
    throttled_period_ratio: float | None = None
    ffmpeg_slowdown: float | None = None
    ffmpeg_cores: float | None = None
    ffmpeg_cores_ratio: float | None = None
    io_pressure_some: float | None = None
    io_pressure_full: float | None = None
    disk_utilisation: float | None = None
    network_utilisation: float | None = None
    memory_pressure_full: float | None = None
    swapped_in_bytes: float | None = None
    oom_kills: int | None = None
    smt: bool = False
    has_remote_storage: bool = True
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    stage_slowdown: Mapping[str, float] = field(default_factory=dict)
    service_seconds: float | None = None

    def share(self, *stages: str) -> float | None:
        """Return the share of the mean service time that these stages take."""
        seconds = [self.stage_seconds[stage] for stage in stages if stage in self.stage_seconds]
        return sum(seconds) / self.service_seconds if seconds and self.service_seconds else None

    def utilisations(self) -> dict[Cause, float]:
        """Return the known utilisations of the shared resources."""
        pairs = {
            Cause.CPU: self.cpu_utilisation,
            Cause.DISK: self.disk_utilisation,
            Cause.NETWORK: self.network_utilisation,
        }
        return {cause: value for cause, value in pairs.items() if value is not None}

    def utilisation(self, cause: Cause) -> Measurement:
        """Return the utilisation of a shared resource."""
        if cause is Cause.CPU:
            return Measurement(Quantity.CPU_UTILISATION, self.cpu_utilisation, cores=self.cores or None)
        if cause is Cause.DISK:
            return Measurement(Quantity.DISK_UTILISATION, self.disk_utilisation)
        return Measurement(Quantity.NETWORK_UTILISATION, self.network_utilisation)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate cause with its supporting, contradicting and unknown measurements."""

    cause: Cause
    confidence: Confidence
    evidence: tuple[Measurement, ...]
    against: tuple[Measurement, ...]
    unknown: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True)
class BottleneckVerdict:
    """The primary cause, or UNCLEAR, and all candidates, the best supported first."""

    cause: Cause
    confidence: Confidence
    evidence: tuple[Measurement, ...]
    candidates: tuple[Candidate, ...]


def find_bottleneck(cell: CellEvidence) -> BottleneckVerdict:
    """Return the verdict on the bottleneck of a cell.

    The primary cause is the candidate with the most supporting criteria. Without such a candidate it is a resource
    that is clearly the busiest, else UNCLEAR.
    """
    judged = (_judge(cause, criteria(cell)) for cause, criteria in _CRITERIA.items())
    candidates = tuple(sorted(judged, key=_weight(cell)))
    best = candidates[0]
    if best.confidence is not Confidence.LOW:
        return BottleneckVerdict(best.cause, best.confidence, best.evidence, candidates)
    return _busiest(cell, candidates)


def _judge(cause: Cause, criteria: list[Criterion]) -> Candidate:
    """Return the candidate with its confidence.

    HIGH needs three criteria that hold, or one that is sufficient alone. MEDIUM needs two.
    """
    supporting = [criterion for criterion in criteria if criterion.holds]
    confidence = Confidence.LOW
    if len(supporting) >= 3 or any(criterion.sufficient for criterion in supporting):
        confidence = Confidence.HIGH
    elif len(supporting) == 2:
        confidence = Confidence.MEDIUM
    evidence, against, unknown = (_measurements(criteria, holds) for holds in (True, False, None))
    return Candidate(cause, confidence, evidence, against, unknown)


def _measurements(criteria: list[Criterion], holds: bool | None) -> tuple[Measurement, ...]:
    """Return the measurements of the criteria whose `holds` has this value, without repetitions."""
    chosen = (criterion.measurements for criterion in criteria if criterion.holds is holds)
    return tuple(dict.fromkeys(measurement for measurements in chosen for measurement in measurements))


def _weight(cell: CellEvidence) -> Callable[[Candidate], tuple[int, int, float]]:
    """Return the sort key of a candidate: confidence, then precedence of the cause, then utilisation."""
    rank = {Confidence.HIGH: 0, Confidence.MEDIUM: 1, Confidence.LOW: 2}
    precedence = {cause: position for position, cause in enumerate(_CRITERIA)}
    busy = cell.utilisations()
    return lambda one: (rank[one.confidence], precedence[one.cause], -busy.get(one.cause, 0.0))


def _busiest(cell: CellEvidence, candidates: tuple[Candidate, ...]) -> BottleneckVerdict:
    """Return the busiest resource if two of three conditions hold.

    The first condition is a utilisation of at least 0.85. The second is a lead of at least 0.15 over the next resource.
    The third is a gain under 25 % from doubling the slots.
    """
    busy = sorted(cell.utilisations().items(), key=lambda item: -item[1])
    unclear = BottleneckVerdict(
        Cause.UNCLEAR, Confidence.LOW, tuple(cell.utilisation(cause) for cause, _ in busy), candidates
    )
    if not busy:
        return unclear
    cause, top = busy[0]
    lead = top - busy[1][1] if len(busy) > 1 else None
    gain = cell.gain_from_here if cell.gain_from_here is not None else cell.gain_up_to_here
    criteria = [
        at_least(cell.utilisation(cause), 0.85),
        at_least(Measurement(Quantity.UTILISATION_LEAD, lead), 0.15),
        below(Measurement(Quantity.GAIN, gain), 0.25),
    ]
    busiest = _judge(cause, criteria)
    if busiest.confidence is Confidence.LOW or top < 0.7:
        return unclear
    return BottleneckVerdict(cause, busiest.confidence, busiest.evidence, candidates)


def _quota(cell: CellEvidence) -> list[Criterion]:
    """Test for a CPU quota that throttles while the machine has idle time."""
    throttled = Measurement(Quantity.THROTTLED_PERIODS, cell.throttled_period_ratio)
    idle = above(Measurement(Quantity.HOST_IDLE, cell.host_idle_ratio), 0.10)
    return [sufficient(all_of(at_least(throttled, 0.25), idle)), *jointly(at_least(throttled, 0.05), idle)]


def _memory(cell: CellEvidence) -> list[Criterion]:
    return [
        at_least(Measurement(Quantity.MEMORY_PRESSURE, cell.memory_pressure_full), 0.02),
        above(Measurement(Quantity.SWAPPED_IN, cell.swapped_in_bytes), 0),
        sufficient(above(Measurement(Quantity.OOM_KILLS, cell.oom_kills), 0)),
    ]


def _disk(cell: CellEvidence) -> list[Criterion]:
    """Test for a disk on which the tasks wait.

    One criterion is sufficient alone: all tasks were stopped for a quarter of the time.
    """
    download = Measurement(Quantity.DOWNLOAD_SLOWDOWN, cell.stage_slowdown.get("download"))
    slower = any_of(_ffmpeg_is_slower(cell), at_least(download, 1.25))
    full = Measurement(Quantity.IO_PRESSURE_FULL, cell.io_pressure_full)
    some = Measurement(Quantity.IO_PRESSURE_SOME, cell.io_pressure_some)
    return [
        any_of(at_least(full, 0.10), at_least(some, 0.20)),
        sufficient(at_least(full, 0.25)),
        at_least(cell.utilisation(Cause.DISK), 0.80),
        all_of(slower, at_most(Measurement(Quantity.FFMPEG_CORES_KEPT, cell.ffmpeg_cores_ratio), 0.80)),
    ]


def _network(cell: CellEvidence) -> list[Criterion]:
    """Test for transfers that fill the network: more slots do not move more bytes per second.

    If slots download together and upload together, each direction is full only half of the time. Then the evidence is
    that transfers take longer with more slots.
    """
    if not cell.has_remote_storage:
        return []
    long = _long_transfers(cell)
    return [
        long,
        sufficient(at_least(cell.utilisation(Cause.NETWORK), 0.80)),
        all_of(long, below(Measurement(Quantity.GAIN_UP_TO_HERE, cell.gain_up_to_here), 0.10)),
        all_of(long, _slower_transfers(cell)),
    ]


def _memory_bandwidth(cell: CellEvidence) -> list[Criterion]:
    """Test for work that needs more CPU seconds than with one slot. Both criteria must hold."""
    return jointly(_ffmpeg_is_slower(cell), at_least(_cpu_work(cell), 1.15))


def _cpu(cell: CellEvidence) -> list[Criterion]:
    return [
        at_least(cell.utilisation(Cause.CPU), 0.85 if cell.smt else 0.90),
        at_least(Measurement(Quantity.CPU_PRESSURE, cell.cpu_pressure_some), 0.20),
        all_of(_ffmpeg_is_slower(cell), at_most(_cpu_work(cell), 1.10)),
        at_least(Measurement(Quantity.CPU_BOUND, cell.bound_ratio_cpu), 0.90),
    ]


def _single_thread(cell: CellEvidence) -> list[Criterion]:
    """Test for one busy thread per video while other cores are idle. All criteria must hold.

    The criteria exclude a full CPU. They also exclude a wait: one busy thread uses a whole core, and an ffmpeg process
    that waits for a disk uses less. Under a quota that throttles, ffmpeg uses few cores whatever its number of threads,
    so nothing can be concluded.
    """
    if (cell.throttled_period_ratio or 0.0) >= 0.05:
        return []
    return jointly(
        at_least(Measurement(Quantity.FFMPEG_SHARE, cell.share("transcode")), 0.60),
        between(Measurement(Quantity.FFMPEG_CORES, cell.ffmpeg_cores), 0.8, 1.3),
        below(cell.utilisation(Cause.CPU), 0.75),
    )


def _slots(cell: CellEvidence) -> list[Criterion]:
    """Test for a cell that has room for more slots.

    No resource is busy and no stage has slowed down. A resource that is 75 % busy caps the gain from doubling the
    slots at 1/0.75 - 1 = 33 %. A gain of 50 % rules it out as the limit.
    """
    pressures = (cell.cpu_pressure_some, cell.io_pressure_some, cell.memory_pressure_full)
    highest = max((p for p in pressures if p is not None), default=None)
    computing = cell.share("transcode")
    waiting = None if computing is None else 1 - computing
    idle = _idle(cell, 0.75)
    return [
        all_of(idle, at_least(Measurement(Quantity.GAIN_FROM_HERE, cell.gain_from_here), 0.50)),
        all_of(idle, at_least(Measurement(Quantity.EFFICIENCY, cell.efficiency), 0.90)),
        all_of(idle, below(Measurement(Quantity.FFMPEG_SLOWDOWN, cell.ffmpeg_slowdown), 1.10)),
        all_of(idle, below(Measurement(Quantity.HIGHEST_PRESSURE, highest), 0.05)),
        all_of(idle, at_least(Measurement(Quantity.WAIT_SHARE, waiting), 0.50)),
    ]


def _serialisation(cell: CellEvidence) -> list[Criterion]:
    """Test for slots that add no throughput while no measured resource is busy.

    If the test holds, the slots wait for something that is not measured.
    """
    if cell.has_remote_storage and all_of(_long_transfers(cell), _slower_transfers(cell)).holds:
        return []  # that wait is measured
    idle = _idle(cell, 0.70)
    database = all_of(
        at_least(Measurement(Quantity.DATABASE_SHARE, cell.share("db")), 0.10),
        at_least(Measurement(Quantity.DATABASE_SLOWDOWN, cell.stage_slowdown.get("db")), 1.25),
    )
    inefficient = below(Measurement(Quantity.EFFICIENCY, cell.efficiency), 0.75)
    return [*jointly(idle, inefficient), all_of(idle, database)]


def _ffmpeg_is_slower(cell: CellEvidence) -> Criterion:
    return at_least(Measurement(Quantity.FFMPEG_SLOWDOWN, cell.ffmpeg_slowdown), 1.25)


def _cpu_work(cell: CellEvidence) -> Measurement:
    return Measurement(Quantity.CPU_WORK_SLOWDOWN, cell.cpu_work_slowdown)


def _long_transfers(cell: CellEvidence) -> Criterion:
    return at_least(Measurement(Quantity.TRANSFER_SHARE, cell.share(*TRANSFER_STAGES)), 0.30)


def _slower_transfers(cell: CellEvidence) -> Criterion:
    factors = [cell.stage_slowdown[stage] for stage in TRANSFER_STAGES if stage in cell.stage_slowdown]
    return at_least(Measurement(Quantity.TRANSFER_SLOWDOWN, max(factors, default=None)), 1.25)


def _idle(cell: CellEvidence, limit: float) -> Criterion:
    """Return the criterion that every resource has a utilisation of at most `limit`.

    The criterion is unknown when the CPU utilisation is unknown.
    """
    busiest = max(cell.utilisations().values()) if cell.cpu_utilisation is not None else None
    return below(Measurement(Quantity.HIGHEST_UTILISATION, busiest), limit)


_CRITERIA: Mapping[Cause, Callable[[CellEvidence], list[Criterion]]] = {
    Cause.MEMORY: _memory,
    Cause.CPU_QUOTA: _quota,
    Cause.NETWORK: _network,
    Cause.DISK: _disk,
    Cause.MEMORY_BANDWIDTH: _memory_bandwidth,
    Cause.CPU: _cpu,
    Cause.SINGLE_THREAD: _single_thread,
    Cause.SLOTS: _slots,
    Cause.SERIALISATION: _serialisation,
}
