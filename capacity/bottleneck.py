"""What stops a cell from doing more: a verdict with the evidence for it and how sure it is.

Each suspect has clues that compare the cell with one slot alone and with ceilings measured beforehand. A clue that
was not measured neither speaks for nor against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from capacity.clues import Clue, above, at_least, at_most, below, both, decisive, either, together
from capacity.language import Text

TRANSFER_STAGES = ("download", "upload")


class Cause(StrEnum):
    """What may limit the throughput of a cell."""

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
    """How sure a verdict is."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


CAUSE_NAMES: Mapping[Cause, Text] = {
    Cause.SLOTS: Text("faltan slots (concurrencia)", "too few slots (concurrency)"),
    Cause.CPU: Text("CPU", "CPU"),
    Cause.CPU_QUOTA: Text("cuota de CPU del contenedor", "container CPU quota"),
    Cause.MEMORY_BANDWIDTH: Text("memoria/caché/SMT", "memory bandwidth, cache or SMT"),
    Cause.SINGLE_THREAD: Text("ffmpeg en un solo hilo", "single-threaded ffmpeg"),
    Cause.DISK: Text("E/S de disco (temporal)", "disk I/O (temporary files)"),
    Cause.NETWORK: Text("red / S3", "network / S3"),
    Cause.MEMORY: Text("memoria", "memory"),
    Cause.SERIALISATION: Text(
        "serialización no medida (BD, cerrojo, sondeo)", "unmeasured serialisation (DB, lock, poll)"
    ),
    Cause.UNCLEAR: Text("sin cuello de botella claro", "no clear bottleneck"),
}


@dataclass(frozen=True, slots=True)
class CellEvidence:
    """What was measured in a cell while work was waiting; None is unknown. Ratios are of 1, stretches of c = 1.

    `cpu_utilisation` counts user, nice, system, interrupts and steal against the cores or quota, never iowait;
    `host_idle_ratio` is of the whole machine. Disk and network ratios are of ceilings measured before the run.
    """

    efficiency: float | None = None
    gain_of_doubling: float | None = None
    bound_ratio_cpu: float | None = None
    cpu_utilisation: float | None = None
    cpu_pressure_some: float | None = None
    cpu_work_stretch: float | None = None
    host_idle_ratio: float | None = None
    throttled_period_ratio: float | None = None
    ffmpeg_stretch: float | None = None
    ffmpeg_cores_alone: float | None = None
    ffmpeg_cores_ratio: float | None = None
    decode_ratio: float | None = None
    io_pressure_some: float | None = None
    io_pressure_full: float | None = None
    disk_utilisation: float | None = None
    disk_await_stretch: float | None = None
    network_utilisation: float | None = None
    network_growth: float | None = None
    storage_refusals: int | None = None
    memory_pressure_full: float | None = None
    swapped_in_bytes: float | None = None
    oom_kills: int | None = None
    smt: bool = False
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    stage_stretch: Mapping[str, float] = field(default_factory=dict)
    service_seconds: float | None = None

    def share(self, *stages: str) -> float | None:
        """Return the part of the mean service that the stages take."""
        known = [self.stage_seconds[stage] for stage in stages if stage in self.stage_seconds]
        return sum(known) / self.service_seconds if known and self.service_seconds else None

    def utilisations(self) -> dict[Cause, float]:
        """Return the known utilisations of the shared resources."""
        pairs = {
            Cause.CPU: self.cpu_utilisation,
            Cause.DISK: self.disk_utilisation,
            Cause.NETWORK: self.network_utilisation,
        }
        return {cause: value for cause, value in pairs.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Suspect:
    """One candidate with the clues that speak for it and the known ones that do not."""

    cause: Cause
    confidence: Confidence
    evidence: tuple[Text, ...]
    against: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class BottleneckVerdict:
    """The primary cause, or UNCLEAR, with all suspects, most convincing first."""

    cause: Cause
    confidence: Confidence
    evidence: tuple[Text, ...]
    suspects: tuple[Suspect, ...]


def find_bottleneck(cell: CellEvidence) -> BottleneckVerdict:
    """Return what limits the cell: the suspect with most clues, else a clearly busiest resource, else unclear."""
    suspects = sorted((_judge(cause, clues(cell)) for cause, clues in _CLUES.items()), key=_weight(cell))
    best = suspects[0]
    if best.confidence is not Confidence.LOW:
        return BottleneckVerdict(best.cause, best.confidence, best.evidence, tuple(suspects))
    return _busiest(cell, tuple(suspects))


def _judge(cause: Cause, clues: list[Clue]) -> Suspect:
    """Return the suspect: HIGH for three clues or a decisive one, MEDIUM for two, else LOW."""
    holding = [clue for clue in clues if clue.holds]
    decisive = any(clue.decisive for clue in holding)
    confidence = Confidence.LOW
    if decisive or len(holding) >= 3:
        confidence = Confidence.HIGH
    elif len(holding) == 2:
        confidence = Confidence.MEDIUM
    return Suspect(
        cause,
        confidence,
        tuple(clue.text for clue in holding),
        tuple(clue.text for clue in clues if clue.holds is False),
    )


def _weight(cell: CellEvidence) -> Callable[[Suspect], tuple[int, int, float]]:
    """Return the sort key: confidence, then precedence among equals, then utilisation."""
    rank = {Confidence.HIGH: 0, Confidence.MEDIUM: 1, Confidence.LOW: 2}
    precedence = {cause: position for position, cause in enumerate(_CLUES)}
    busy = cell.utilisations()
    return lambda suspect: (rank[suspect.confidence], precedence[suspect.cause], -busy.get(suspect.cause, 0.0))


def _busiest(cell: CellEvidence, suspects: tuple[Suspect, ...]) -> BottleneckVerdict:
    """Apply the utilisation rule: U >= 0.85, a lead >= 0.15, and doubling the slots gained < 25 %; two must hold."""
    busy = sorted(cell.utilisations().items(), key=lambda item: -item[1])
    if not busy:
        return BottleneckVerdict(Cause.UNCLEAR, Confidence.LOW, (), suspects)
    cause, top = busy[0]
    clues = [
        at_least(f"U {cause}", top, 0.85),
        at_least("lead over the next", top - busy[1][1] if len(busy) > 1 else None, 0.15),
        below("gain of doubling slots", cell.gain_of_doubling, 0.25),
    ]
    found = _judge(cause, clues)
    if found.confidence is Confidence.LOW or top < 0.7:
        return BottleneckVerdict(Cause.UNCLEAR, Confidence.LOW, found.evidence, suspects)
    return BottleneckVerdict(cause, found.confidence, found.evidence, suspects)


def _quota(cell: CellEvidence) -> list[Clue]:
    """Look for a quota that throttles while the machine idles; without idle time it is the machine that is full."""
    ratio = cell.throttled_period_ratio
    idle = above("host idle", cell.host_idle_ratio, 0.10)
    heavy = both(at_least("throttled periods", ratio, 0.25), idle)
    return [*together(at_least("throttled periods", ratio, 0.05), idle), decisive(heavy)]


def _memory(cell: CellEvidence) -> list[Clue]:
    return [
        at_least("PSI memory full", cell.memory_pressure_full, 0.02),
        above("swapped in bytes", cell.swapped_in_bytes, 0),
        decisive(above("OOM kills", cell.oom_kills, 0)),
    ]


def _disk(cell: CellEvidence) -> list[Clue]:
    slower = [at_least("stretch ffmpeg", cell.ffmpeg_stretch, 1.25)]
    slower.append(at_least("stretch download", cell.stage_stretch.get("download"), 1.25))
    starved = at_most("ffmpeg cores of c=1", cell.ffmpeg_cores_ratio, 0.80)
    return [
        either(
            at_least("PSI io full", cell.io_pressure_full, 0.10), at_least("PSI io some", cell.io_pressure_some, 0.20)
        ),
        either(at_least("U disk", cell.disk_utilisation, 0.80), above("await stretch", cell.disk_await_stretch, 3)),
        both(either(*slower), starved),
    ]


def _network(cell: CellEvidence) -> list[Clue]:
    used = cell.network_utilisation
    return [
        at_least("transfer share of service", cell.share(*TRANSFER_STAGES), 0.30),
        decisive(at_least("U network", used, 0.80)),
        below("growth of transfer rate when slots double", cell.network_growth, 0.10),
        above("storage refusals (503)", cell.storage_refusals, 0),
    ]


def _memory_bandwidth(cell: CellEvidence) -> list[Clue]:
    """Look for the same work costing more CPU seconds; both clues are needed and nothing else makes it surer."""
    return together(
        at_least("stretch ffmpeg", cell.ffmpeg_stretch, 1.25),
        at_least("CPU seconds per video of c=1", cell.cpu_work_stretch, 1.15),
    )


def _cpu(cell: CellEvidence) -> list[Clue]:
    return [
        at_least("U cpu", cell.cpu_utilisation, 0.85 if cell.smt else 0.90),
        at_least("PSI cpu some", cell.cpu_pressure_some, 0.20),
        both(
            at_least("stretch ffmpeg", cell.ffmpeg_stretch, 1.25),
            at_most("CPU seconds per video of c=1", cell.cpu_work_stretch, 1.10),
        ),
        at_least("X of the CPU bound", cell.bound_ratio_cpu, 0.90),
    ]


def _single_thread(cell: CellEvidence) -> list[Clue]:
    """Look for one thread per video on idle cores; all must hold, so that a full CPU is never called this."""
    narrow = together(
        at_least("ffmpeg share of service", cell.share("ffmpeg", "transcode"), 0.60),
        at_most("ffmpeg cores at c=1", cell.ffmpeg_cores_alone, 1.3),
        below("U cpu", cell.cpu_utilisation, 0.75),
    )
    return [*narrow, both(narrow[0], at_least("decode share", cell.decode_ratio, 0.8))]


def _slots(cell: CellEvidence) -> list[Clue]:
    """Look for a cell where nothing is busy and nothing has slowed down: it could carry more slots."""
    pressures = (cell.cpu_pressure_some, cell.io_pressure_some, cell.memory_pressure_full)
    quiet = below("highest PSI", max((p for p in pressures if p is not None), default=None), 0.05)
    idle = below("highest U", max(cell.utilisations().values(), default=None), 0.75)
    return [
        both(idle, at_least("efficiency", cell.efficiency, 0.90)),
        both(idle, below("stretch ffmpeg", cell.ffmpeg_stretch, 1.10)),
        both(idle, quiet),
    ]


def _serialisation(cell: CellEvidence) -> list[Clue]:
    """Look for slots that do not help although nothing measured is busy: the wait is somewhere unmeasured."""
    waste = together(
        below("highest U", max(cell.utilisations().values(), default=None), 0.70),
        below("efficiency", cell.efficiency, 0.75),
    )
    return [*waste, both(waste[0], at_least("stretch db", cell.stage_stretch.get("db"), 1.25))]


_CLUES: Mapping[Cause, Callable[[CellEvidence], list[Clue]]] = {
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
