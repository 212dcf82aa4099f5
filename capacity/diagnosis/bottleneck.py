"""Find the most likely cause that limits the throughput of a cell, with its evidence and confidence.

Each candidate cause has criteria, which compare measurements of a run with limits. A criterion whose measurements are
missing counts neither for nor against its cause.
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
#: From these shares on, a measurement counts as evidence. The dashboard Bottleneck draws them (a test compares them).
CPU_BUSY = 0.90
#: share from which a resource alone counts as busy if the next one is far behind, or if two threads share a core
MOSTLY_BUSY = 0.85
PRESSURE_SOME = 0.20
BANDWIDTH_BUSY = 0.80


class Cause(StrEnum):
    """Causes that may limit the throughput of a cell, such as a full CPU. UNCLEAR means none was found."""

    SLOTS = "slots"
    CPU = "cpu"
    CPU_QUOTA = "cpu_quota"
    MEMORY_BANDWIDTH = "memory_bandwidth"
    SINGLE_THREAD = "single_thread"
    DISK = "disk"
    NETWORK = "network"
    MEMORY = "memory"
    DATABASE = "database"
    QUEUE_POLLING = "queue_polling"
    SERIALISATION = "serialisation"
    UNCLEAR = "unclear"


class Confidence(StrEnum):
    """Confidence in a bottleneck verdict: high, medium or low.

    The function `find_bottleneck` says how the confidence follows from the criteria of a cause.
    """

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class CellEvidence:
    """Measurements of one run while every slot was busy, from which its bottleneck is found.

    An unknown measurement is None. Ratios and utilisations are 1 at 100 %. A `…_slowdown` is a time divided by the same
    time in a run with one slot. X_sat(n) is X_sat with n slots.

    - `efficiency`: X_sat per slot, divided by the X_sat of one slot alone.
    - `gain_up_to_here`: X_sat(n) / X_sat(n/2) - 1, where n is the number of slots of this run.
    - `gain_from_here`: X_sat(2n) / X_sat(n) - 1.
    - `cpu_utilisation`: busy share of the cores, or of the CPU quota, without waiting for I/O.
    - `host_idle_ratio`: idle share of all cores of the machine.
    - `disk_utilisation`, `network_utilisation`: rate of transfer, divided by the bandwidth limit.
    - `idle_gap_ratio`: share of the slots' time in which they were idle while a message waited.
    - `own_oom_kills`: executions whose ffmpeg was killed because memory ran out.
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
    own_oom_kills: int | None = None
    idle_gap_ratio: float | None = None
    smt: bool = False
    has_remote_storage: bool = True
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    stage_slowdown: Mapping[str, float] = field(default_factory=dict)
    service_seconds: float | None = None

    def share(self, *stages: str) -> float | None:
        """Return the share of the mean service time that these stages take: 1 is 100 %, None is unknown.

        The names are those in `stage_seconds`. Three of them stand for other stages of the worker: `download` for
        fetch, `upload` for publish, and `db` for claim plus finish.
        """
        seconds = [self.stage_seconds[stage] for stage in stages if stage in self.stage_seconds]
        return sum(seconds) / self.service_seconds if seconds and self.service_seconds else None

    def loss_explained_by(self, *stages: str) -> float | None:
        """Return the share of the throughput loss that comes from these stages being slower than with one slot.

        The result is the sum over the stages of

            (1 - idle_gap_ratio) * share(stage) * (1 - 1 / stage_slowdown[stage]) / (1 - efficiency)

        where 1 - efficiency is the loss. A result of 1 is the whole loss. Stages without a measurement are left out.
        None means that there is no loss, or that every measurement is missing.
        """
        if self.efficiency is None or self.efficiency >= 1:
            return None
        working = 1 - (self.idle_gap_ratio or 0.0)
        slower = ((self.share(stage), self.stage_slowdown.get(stage)) for stage in stages)
        parts = [share * (1 - 1 / factor) for share, factor in slower if share is not None and factor]
        return working * sum(parts) / (1 - self.efficiency) if parts else None

    @property
    def last_gain(self) -> float | None:
        """Return the gain in X_sat from doubling the slots: 0.5 is 50 %, None is unknown.

        The result is the field `gain_from_here`, from n to 2n slots, where n is the number of slots of this run. If
        this gain is unknown, the result is the field `gain_up_to_here`, from n/2 to n slots.
        """
        return self.gain_up_to_here if self.gain_from_here is None else self.gain_from_here

    def utilisations(self) -> dict[Cause, float]:
        """Return the utilisation (1 is 100 %) of CPU, disk and network, for those that were measured."""
        pairs = {
            Cause.CPU: self.cpu_utilisation,
            Cause.DISK: self.disk_utilisation,
            Cause.NETWORK: self.network_utilisation,
        }
        return {cause: value for cause, value in pairs.items() if value is not None}

    def utilisation(self, cause: Cause) -> Measurement:
        """Return the utilisation of the CPU, the disk or the network, ready for comparison with a limit.

        `cause` is Cause.CPU, Cause.DISK or Cause.NETWORK. The field `value` of the result is 1 at 100 %, or None if
        unknown.
        """
        if cause is Cause.CPU:
            return Measurement(Quantity.CPU_UTILISATION, self.cpu_utilisation, cores=self.cores or None)
        if cause is Cause.DISK:
            return Measurement(Quantity.DISK_UTILISATION, self.disk_utilisation)
        return Measurement(Quantity.NETWORK_UTILISATION, self.network_utilisation)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cause that could limit a cell, with its confidence and the measurements for and against it.

    A criterion is a test such as *CPU busy at least 85 %*. Its measurements are in `evidence` if the criterion holds,
    in `against` if it fails, and in `unknown` if a measurement is missing.
    """

    cause: Cause
    confidence: Confidence
    evidence: tuple[Measurement, ...]
    against: tuple[Measurement, ...]
    unknown: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True)
class BottleneckVerdict:
    """The cause that limits a cell, or UNCLEAR, with its confidence and evidence.

    `candidates` has all causes, the best supported first.
    """

    cause: Cause
    confidence: Confidence
    evidence: tuple[Measurement, ...]
    candidates: tuple[Candidate, ...]


def find_bottleneck(cell: CellEvidence) -> BottleneckVerdict:
    """Find the cause that limits the throughput of a cell, with its confidence.

    The cause with the highest confidence is returned:

    - high: three criteria of the cause hold, or one that is sufficient alone.
    - medium: two criteria hold.
    - low: any other case.

    If all causes are low, the result is the busiest of CPU, disk and network, or UNCLEAR. Evidence for a cause of
    another kind can lower the confidence from high to medium.
    """
    criteria = {cause: _vetoes(cause, cell) or criteria_of(cell) for cause, criteria_of in _CRITERIA.items()}
    judged = (_judge(cause, tests) for cause, tests in criteria.items())
    candidates = tuple(sorted(judged, key=_weight(cell)))
    best = candidates[0]
    if best.confidence is Confidence.LOW:
        return _busiest(cell, candidates)
    # a HIGH rival lowers HIGH to MEDIUM; a MEDIUM rival only if no sufficient criterion of the winner holds
    rivals = _rivals(best, candidates)
    is_certain = best.confidence not in rivals and (_is_decided(criteria[best.cause]) or not rivals)
    return BottleneckVerdict(
        best.cause, best.confidence if is_certain else Confidence.MEDIUM, best.evidence, candidates
    )


def _vetoes(cause: Cause, cell: CellEvidence) -> list[Criterion]:
    """Return the failed criterion of a cause that twice the slots disprove by a gain of 50 %.

    That cause would cap the gain. The list is empty for other causes.
    """
    small_gain = below(Measurement(Quantity.GAIN_FROM_HERE, cell.gain_from_here), 0.50)
    return [small_gain] if cause not in _MORE_SLOTS_HELP and small_gain.holds is False else []


def _is_decided(criteria: list[Criterion]) -> bool:
    return any(criterion.sufficient and criterion.holds for criterion in criteria)


def _rivals(best: Candidate, candidates: tuple[Candidate, ...]) -> set[Confidence]:
    """Return the confidence, medium or high, of the supported causes that are not of the same kind."""
    others = [candidate for candidate in candidates if _KINDS[candidate.cause] != _KINDS[best.cause]]
    return {candidate.confidence for candidate in others} - {Confidence.LOW}


def _judge(cause: Cause, criteria: list[Criterion]) -> Candidate:
    """Return the candidate with its confidence.

    HIGH needs three criteria that hold, or one that is sufficient alone. MEDIUM needs two.
    """
    supporting = [criterion for criterion in criteria if criterion.holds]
    confidence = Confidence.LOW
    if len(supporting) >= 3 or _is_decided(criteria):
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
    """Return the busiest resource if two of three criteria hold.

    The first criterion is a utilisation of at least 0.85. The second is a lead of at least 0.15 over the next resource.
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
    criteria = [
        at_least(cell.utilisation(cause), MOSTLY_BUSY),
        at_least(Measurement(Quantity.UTILISATION_LEAD, lead), 0.15),
        below(Measurement(Quantity.GAIN, cell.last_gain), 0.25),
    ]
    busiest = _judge(cause, criteria)
    if busiest.confidence is Confidence.LOW or top < 0.7 or _vetoes(cause, cell):
        return unclear
    return BottleneckVerdict(cause, busiest.confidence, busiest.evidence, candidates)


def _quota(cell: CellEvidence) -> list[Criterion]:
    """Test for a quota that throttles, whatever the rest of the machine does.

    Throttling in half of the periods is sufficient. Less than that counts if the quota is used up, or if the machine
    has idle time.
    """
    throttled = Measurement(Quantity.THROTTLED_PERIODS, cell.throttled_period_ratio)
    idle = above(Measurement(Quantity.HOST_IDLE, cell.host_idle_ratio), 0.10)
    binding = any_of(at_least(cell.utilisation(Cause.CPU), MOSTLY_BUSY), idle)
    return [
        sufficient(at_least(throttled, 0.50)),
        sufficient(all_of(at_least(throttled, 0.25), binding)),
        *jointly(at_least(throttled, 0.05), binding),
    ]


def _memory(cell: CellEvidence) -> list[Criterion]:
    """Test for too little memory.

    If all work was stopped for memory for a tenth of the time, that alone is sufficient. Pages read from swap count
    together with memory pressure, because Linux swaps out cold pages without a shortage.
    """
    pressure = Measurement(Quantity.MEMORY_PRESSURE, cell.memory_pressure_full)
    return [
        at_least(pressure, 0.02),
        sufficient(_stops_for_memory(cell)),
        all_of(at_least(pressure, 0.02), above(Measurement(Quantity.SWAPPED_IN, cell.swapped_in_bytes), 0)),
        sufficient(above(Measurement(Quantity.OWN_OOM_KILLS, cell.own_oom_kills), 0)),
    ]


def _stops_for_memory(cell: CellEvidence) -> Criterion:
    """Return the criterion that the work stops for memory, and no more for other I/O than for memory.

    A wait for swap counts as memory pressure and as I/O pressure.
    """
    least = max(0.10, 0.5 * (cell.io_pressure_full or 0.0))
    return at_least(Measurement(Quantity.MEMORY_PRESSURE, cell.memory_pressure_full), least)


def _disk(cell: CellEvidence) -> list[Criterion]:
    """Test for a disk on which the tasks wait.

    All tasks stopped for half of the time is sufficient: a disk twice as fast gives 33 % more. A quarter of the time is
    sufficient together with a busy disk or a slower ffmpeg, because one slot alone stops all work whenever it waits.
    Waits for swap and for a mounted remote storage count as I/O pressure too. They are not waits for the local disk.
    Without a run at one slot, long copies beside an idle local disk leave open which of the two it is.
    """
    memory = Measurement(Quantity.MEMORY_PRESSURE, cell.memory_pressure_full)
    if (swapping := _stops_for_memory(cell)).holds:
        return [below(memory, swapping.measurements[0].limit or 0.0)]
    is_alone = not cell.stage_slowdown and not cell.has_remote_storage
    is_undecided = is_alone and all_of(_long_transfers(cell), _disk_is_idle(cell)).holds
    if is_undecided or _slow_mounted_storage(cell).holds:
        return [at_least(cell.utilisation(Cause.DISK), 0.50)]
    download = Measurement(Quantity.DOWNLOAD_SLOWDOWN, cell.stage_slowdown.get("download"))
    slower = any_of(_ffmpeg_is_slower(cell), at_least(download, 1.25))
    full = Measurement(Quantity.IO_PRESSURE_FULL, cell.io_pressure_full)
    some = Measurement(Quantity.IO_PRESSURE_SOME, cell.io_pressure_some)
    waits = all_of(slower, at_most(Measurement(Quantity.FFMPEG_CORES_KEPT, cell.ffmpeg_cores_ratio), 0.80))
    return [
        any_of(at_least(full, 0.10), at_least(some, PRESSURE_SOME)),
        sufficient(at_least(full, 0.50)),
        sufficient(all_of(at_least(full, 0.25), any_of(at_least(cell.utilisation(Cause.DISK), 0.50), waits))),
        at_least(cell.utilisation(Cause.DISK), BANDWIDTH_BUSY),
        waits,
    ]


def _network(cell: CellEvidence) -> list[Criterion]:
    """Test for transfers that fill the network: more slots do not move more bytes per second.

    If slots download together and upload together, each direction is full only half of the time. Then the evidence is
    that transfers take longer with more slots. Copies to a local filesystem are no transfers, but a mounted filesystem
    may be remote (NFS).
    """
    if not cell.has_remote_storage:
        return jointly(*_slow_mounted_storage_criteria(cell))
    long = _long_transfers(cell)
    return [
        long,
        sufficient(at_least(cell.utilisation(Cause.NETWORK), BANDWIDTH_BUSY)),
        all_of(long, below(Measurement(Quantity.GAIN_UP_TO_HERE, cell.gain_up_to_here), 0.10)),
        all_of(long, _slower_transfers(cell)),
    ]


def _memory_bandwidth(cell: CellEvidence) -> list[Criterion]:
    """Test for work that needs more CPU seconds than with one slot. Both criteria must hold."""
    return jointly(_ffmpeg_is_slower(cell), at_least(_cpu_work(cell), 1.15))


def _cpu(cell: CellEvidence) -> list[Criterion]:
    return [
        at_least(cell.utilisation(Cause.CPU), MOSTLY_BUSY if cell.smt else CPU_BUSY),
        at_least(Measurement(Quantity.CPU_PRESSURE, cell.cpu_pressure_some), PRESSURE_SOME),
        all_of(_ffmpeg_is_slower(cell), at_most(_cpu_work(cell), 1.10)),
        at_least(Measurement(Quantity.CPU_BOUND, cell.bound_ratio_cpu), 0.90),
    ]


def _database(cell: CellEvidence) -> list[Criterion]:
    """Test for a database that takes a large part of the service, and longer with more slots."""
    share = Measurement(Quantity.DATABASE_SHARE, cell.share("db"))
    return [
        at_least(share, 0.20),
        all_of(
            at_least(share, 0.10), at_least(Measurement(Quantity.DATABASE_SLOWDOWN, cell.stage_slowdown.get("db")), 1.5)
        ),
        all_of(_database_explains_the_loss(cell), below(Measurement(Quantity.EFFICIENCY, cell.efficiency), 0.75)),
    ]


def _queue_polling(cell: CellEvidence) -> list[Criterion]:
    """Test for slots that are idle while messages wait. Half of the time is sufficient."""
    gap = _idle_gap(cell)
    return [
        gap,
        sufficient(at_least(Measurement(Quantity.IDLE_GAP, cell.idle_gap_ratio), 0.50)),
        all_of(gap, _idle(cell, 0.70)),
        all_of(gap, below(Measurement(Quantity.EFFICIENCY, cell.efficiency), 0.75)),
    ]


def _single_thread(cell: CellEvidence) -> list[Criterion]:
    """Test for one busy thread per video while other cores are idle. All criteria must hold.

    The criteria exclude a full CPU. They also exclude a wait: one busy thread uses a whole core, and an ffmpeg process
    that waits for a disk uses less. Under a quota that throttles, ffmpeg uses few cores whatever its number of threads,
    so nothing can be concluded.
    """
    if (cell.throttled_period_ratio or 0.0) >= 0.05:
        return []
    return _vetoes_of_more_slots(cell) or jointly(
        at_least(Measurement(Quantity.FFMPEG_SHARE, cell.share("transcode")), 0.60),
        between(Measurement(Quantity.FFMPEG_CORES, cell.ffmpeg_cores), 0.8, 1.3),
        below(cell.utilisation(Cause.CPU), 0.75),
    )


def _slots(cell: CellEvidence) -> list[Criterion]:
    """Test for a cell that has room for more slots.

    No resource is busy and no stage has slowed down. A resource that is 75 % busy caps the gain from doubling the
    slots at 1/0.75 - 1 = 33 %. A gain of 50 % rules it out as the limit. A wait for the database is no evidence for
    more slots, because the database itself may be the limit.
    """
    pressures = (cell.cpu_pressure_some, cell.io_pressure_some, cell.memory_pressure_full)
    highest = max((p for p in pressures if p is not None), default=None)
    computing = cell.share("transcode")
    waiting = None if computing is None else 1 - computing - (cell.share("db") or 0.0)
    idle = _idle(cell, 0.75)
    return _vetoes_of_more_slots(cell) or [
        all_of(idle, at_least(Measurement(Quantity.GAIN_FROM_HERE, cell.gain_from_here), 0.50)),
        all_of(idle, at_least(Measurement(Quantity.EFFICIENCY, cell.efficiency), 0.90)),
        all_of(idle, below(Measurement(Quantity.FFMPEG_SLOWDOWN, cell.ffmpeg_slowdown), 1.10)),
        all_of(idle, below(Measurement(Quantity.HIGHEST_PRESSURE, highest), 0.05)),
        all_of(idle, at_least(Measurement(Quantity.WAIT_SHARE, waiting), 0.50)),
    ]


def _vetoes_of_more_slots(cell: CellEvidence) -> list[Criterion]:
    """Return the failed criteria that rule out too few slots, or one thread per video, as the limit.

    More slots help only where they have added throughput so far, and where the slots are not idle already.
    """
    criteria = (
        at_least(Measurement(Quantity.EFFICIENCY, cell.efficiency), 0.75),
        at_least(Measurement(Quantity.GAIN, cell.last_gain), 0.25),
        below(Measurement(Quantity.IDLE_GAP, cell.idle_gap_ratio), 0.25),
    )
    return [criterion for criterion in criteria if criterion.holds is False]


def _serialisation(cell: CellEvidence) -> list[Criterion]:
    """Test for slots that add no throughput while no measured resource is busy.

    If the test holds, the slots wait for something that is not measured. Waits for transfers, the database or the
    queue are measured.
    """
    transfers = all_of(_long_transfers(cell), _slower_transfers(cell)).holds and cell.has_remote_storage
    if (
        transfers
        or _slow_mounted_storage(cell).holds
        or _database_explains_the_loss(cell).holds
        or _idle_gap(cell).holds
    ):
        return []
    return jointly(_idle(cell, 0.70), below(Measurement(Quantity.EFFICIENCY, cell.efficiency), 0.75))


def _database_explains_the_loss(cell: CellEvidence) -> Criterion:
    return at_least(Measurement(Quantity.DATABASE_LOSS, cell.loss_explained_by("db")), 0.50)


def _idle_gap(cell: CellEvidence) -> Criterion:
    return at_least(Measurement(Quantity.IDLE_GAP, cell.idle_gap_ratio), 0.25)


def _slow_mounted_storage(cell: CellEvidence) -> Criterion:
    return all_of(*_slow_mounted_storage_criteria(cell))


def _slow_mounted_storage_criteria(cell: CellEvidence) -> list[Criterion]:
    """Return the criteria of a filesystem whose copies are slow while the local disk is not busy.

    ffmpeg may be slower too, because more slots get fewer threads each. Then the copies must explain the loss.
    """
    loss = Measurement(Quantity.TRANSFER_LOSS, cell.loss_explained_by(*TRANSFER_STAGES))
    return [
        _long_transfers(cell),
        _slower_transfers(cell),
        _disk_is_idle(cell),
        any_of(below(Measurement(Quantity.FFMPEG_SLOWDOWN, cell.ffmpeg_slowdown), 1.25), at_least(loss, 0.50)),
    ]


def _disk_is_idle(cell: CellEvidence) -> Criterion:
    return below(cell.utilisation(Cause.DISK), 0.50)


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
    """Return the criterion that every resource has a utilisation below `limit`.

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
    Cause.DATABASE: _database,
    Cause.QUEUE_POLLING: _queue_polling,
    Cause.SINGLE_THREAD: _single_thread,
    Cause.SLOTS: _slots,
    Cause.SERIALISATION: _serialisation,
}

#: the causes under which twice the slots may give twice the throughput
_MORE_SLOTS_HELP = frozenset({Cause.SLOTS, Cause.SINGLE_THREAD, Cause.QUEUE_POLLING, Cause.MEMORY})
#: causes of one kind do not contradict each other: their evidence overlaps
_KINDS: Mapping[Cause, str] = {
    Cause.MEMORY: "storage",
    Cause.DISK: "storage",
    Cause.CPU_QUOTA: "cpu",
    Cause.MEMORY_BANDWIDTH: "cpu",
    Cause.CPU: "cpu",
    Cause.NETWORK: "transfers",
    Cause.DATABASE: "database",
    Cause.QUEUE_POLLING: "queue",
    Cause.SINGLE_THREAD: "slots",
    Cause.SLOTS: "slots",
    Cause.SERIALISATION: "unmeasured",
}
