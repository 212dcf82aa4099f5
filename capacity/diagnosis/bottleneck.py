"""What stops a cell from doing more: a verdict with the evidence for it and how sure it is.

Each suspect has clues that compare the cell with one slot alone and with ceilings measured beforehand. A clue that
was not measured neither speaks for nor against: a run without siblings has fewer clues and a less sure verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from capacity.diagnosis.criteria import (
    Clue,
    Fact,
    above,
    at_least,
    at_most,
    below,
    between,
    both,
    decisive,
    either,
    plain,
    share,
    times,
    together,
)
from core.language import Language, Text

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


CONFIDENCE_NAMES: Mapping[Confidence, Text] = {
    Confidence.HIGH: Text("alta", "high"),
    Confidence.MEDIUM: Text("media", "medium"),
    Confidence.LOW: Text("baja", "low"),
}

DISK_BUSY = Fact("disco al {} de su techo", "disk at {} of its ceiling", share)
NETWORK_BUSY = Fact("transferencias al {} de su techo", "transfers at {} of their ceiling", share)
CPU_PRESSURE = Fact("presión de CPU (PSI some) {}", "CPU pressure (PSI some) {}", share)
IO_PRESSURE_SOME = Fact("presión de E/S (PSI some) {}", "I/O pressure (PSI some) {}", share)
IO_PRESSURE_FULL = Fact("presión de E/S (PSI full) {}", "I/O pressure (PSI full) {}", share)
MEMORY_PRESSURE = Fact("presión de memoria (PSI full) {}", "memory pressure (PSI full) {}", share)
PRESSURE = Fact("mayor presión (PSI some) {}", "highest pressure (PSI some) {}", share)
HIGHEST = Fact("recurso más ocupado {}", "busiest resource {}", share)
LEAD = Fact("ventaja sobre el siguiente recurso {}", "lead over the next resource {}", share)
THROTTLED = Fact("frenado por la cuota en {} de los periodos", "throttled by the quota in {} of periods", share)
HOST_IDLE = Fact("máquina ociosa {}", "machine idle {}", share)
SWAPPED = Fact("{} bytes leídos de swap", "{} bytes read from swap", plain)
OOM_KILLS = Fact("{} procesos muertos por falta de memoria", "{} processes killed for want of memory", plain)
FFMPEG_STRETCH = Fact("ffmpeg tarda {} de lo que con c=1", "ffmpeg takes {} of its time at c=1", times)
DOWNLOAD_STRETCH = Fact("la descarga tarda {} de lo que con c=1", "the download takes {} of its time at c=1", times)
TRANSFER_STRETCH = Fact(
    "las transferencias tardan {} de lo que con c=1", "transfers take {} of their time at c=1", times
)
DB_SHARE = Fact("la base de datos ocupa {} del servicio", "the database takes {} of the service", share)
DB_STRETCH = Fact("la base de datos tarda {} de lo que con c=1", "the database takes {} of its time at c=1", times)
CORES_LEFT = Fact("ffmpeg usa {} de los núcleos que con c=1", "ffmpeg uses {} of the cores it has at c=1", share)
WORK_STRETCH = Fact("CPU por video {} de la de c=1", "CPU per video {} of that at c=1", times)
FFMPEG_CORES = Fact("cada ffmpeg usa {} núcleos", "each ffmpeg uses {} cores", plain)
FFMPEG_SHARE = Fact("ffmpeg ocupa {} del servicio", "ffmpeg takes {} of the service", share)
TRANSFER_SHARE = Fact("las transferencias ocupan {} del servicio", "transfers take {} of the service", share)
WAIT_SHARE = Fact("{} del servicio sin computar", "{} of the service without computing", share)
CPU_BOUND = Fact("X es {} de la cota de CPU", "X is {} of the CPU bound", share)
EFFICIENCY = Fact("eficiencia {} frente a c=1", "efficiency {} against c=1", share)
LAST_GAIN = Fact("doblar slots hasta aquí dio {} más", "doubling the slots up to here gave {} more", share)
NEXT_GAIN = Fact("doblar slots desde aquí da {} más", "doubling the slots from here gives {} more", share)
GAIN = Fact("doblar slots da {} más", "doubling the slots gives {} more", share)


@dataclass(frozen=True, slots=True)
class CellEvidence:
    """What was measured in a cell while work was waiting; None is unknown. Ratios are of 1, stretches of c = 1.

    `cpu_utilisation` counts user, nice, system, interrupts and steal against the cores or quota, never iowait;
    `host_idle_ratio` is of the whole machine. Disk and network ratios are of ceilings measured before the run.
    """

    cores: float | None = None
    efficiency: float | None = None
    gain_up_to_here: float | None = None
    gain_from_here: float | None = None
    bound_ratio_cpu: float | None = None
    cpu_utilisation: float | None = None
    cpu_pressure_some: float | None = None
    cpu_work_stretch: float | None = None
    host_idle_ratio: float | None = None
    throttled_period_ratio: float | None = None
    ffmpeg_stretch: float | None = None
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

    def busy_fact(self, cause: Cause) -> Fact:
        """Return how the utilisation of a shared resource is told."""
        if cause is not Cause.CPU:
            return DISK_BUSY if cause is Cause.DISK else NETWORK_BUSY
        es, en = (f" de {self.cores:g} núcleos", f" of {self.cores:g} cores") if self.cores else ("", "")
        return Fact(f"CPU ocupada {{}}{es}", f"CPU busy {{}}{en}", share)


@dataclass(frozen=True, slots=True)
class Suspect:
    """One candidate with the clues that speak for it, the known ones that do not, and those nobody measured."""

    cause: Cause
    confidence: Confidence
    evidence: tuple[Text, ...]
    against: tuple[Text, ...]
    unknown: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class BottleneckVerdict:
    """The primary cause, or UNCLEAR, with all suspects, most convincing first."""

    cause: Cause
    confidence: Confidence
    evidence: tuple[Text, ...]
    suspects: tuple[Suspect, ...]

    def told(self, lang: Language) -> str:
        """Return the verdict in a line: `CPU (alta): CPU ocupada 97 % de 2 núcleos (≥ 90 %); …`."""
        seen = "; ".join(text.to(lang) for text in self.evidence) or Text("nada medido", "nothing measured").to(lang)
        sure = "" if self.cause is Cause.UNCLEAR else f" ({CONFIDENCE_NAMES[self.confidence].to(lang)})"
        return f"{CAUSE_NAMES[self.cause].to(lang)}{sure}: {seen}"


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
    is_decided = any(clue.decisive for clue in holding)
    confidence = Confidence.LOW
    if is_decided or len(holding) >= 3:
        confidence = Confidence.HIGH
    elif len(holding) == 2:
        confidence = Confidence.MEDIUM
    evidence, against, unknown = (_texts(clues, holds) for holds in (True, False, None))
    return Suspect(cause, confidence, evidence, against, unknown)


def _texts(clues: list[Clue], holds: bool | None) -> tuple[Text, ...]:
    """Return what such clues tell, each fact once."""
    return tuple(dict.fromkeys(text for clue in clues if clue.holds is holds for text in clue.texts))


def _weight(cell: CellEvidence) -> Callable[[Suspect], tuple[int, int, float]]:
    """Return the sort key: confidence, then precedence among equals, then utilisation."""
    rank = {Confidence.HIGH: 0, Confidence.MEDIUM: 1, Confidence.LOW: 2}
    precedence = {cause: position for position, cause in enumerate(_CLUES)}
    busy = cell.utilisations()
    return lambda suspect: (rank[suspect.confidence], precedence[suspect.cause], -busy.get(suspect.cause, 0.0))


def _busiest(cell: CellEvidence, suspects: tuple[Suspect, ...]) -> BottleneckVerdict:
    """Apply the utilisation rule: U >= 0.85, a lead >= 0.15, and doubling the slots gained < 25 %; two must hold."""
    busy = sorted(cell.utilisations().items(), key=lambda item: -item[1])
    seen = tuple(cell.busy_fact(cause).told(value) for cause, value in busy)
    unclear = BottleneckVerdict(Cause.UNCLEAR, Confidence.LOW, seen, suspects)
    if not busy:
        return unclear
    cause, top = busy[0]
    gain = cell.gain_from_here if cell.gain_from_here is not None else cell.gain_up_to_here
    clues = [
        at_least(cell.busy_fact(cause), top, 0.85),
        at_least(LEAD, top - busy[1][1] if len(busy) > 1 else None, 0.15),
        below(GAIN, gain, 0.25),
    ]
    found = _judge(cause, clues)
    if found.confidence is Confidence.LOW or top < 0.7:
        return unclear
    return BottleneckVerdict(cause, found.confidence, found.evidence, suspects)


def _quota(cell: CellEvidence) -> list[Clue]:
    """Look for a quota that throttles while the machine idles; without idle time it is the machine that is full."""
    ratio = cell.throttled_period_ratio
    idle = above(HOST_IDLE, cell.host_idle_ratio, 0.10)
    heavy = both(at_least(THROTTLED, ratio, 0.25), idle)
    return [decisive(heavy), *together(at_least(THROTTLED, ratio, 0.05), idle)]


def _memory(cell: CellEvidence) -> list[Clue]:
    return [
        at_least(MEMORY_PRESSURE, cell.memory_pressure_full, 0.02),
        above(SWAPPED, cell.swapped_in_bytes, 0),
        decisive(above(OOM_KILLS, cell.oom_kills, 0)),
    ]


def _disk(cell: CellEvidence) -> list[Clue]:
    """Look for a disk that work waits for; when for a quarter of the time nothing at all could go on, that says it."""
    slower = either(
        at_least(FFMPEG_STRETCH, cell.ffmpeg_stretch, 1.25),
        at_least(DOWNLOAD_STRETCH, cell.stage_stretch.get("download"), 1.25),
    )
    return [
        either(
            at_least(IO_PRESSURE_FULL, cell.io_pressure_full, 0.10),
            at_least(IO_PRESSURE_SOME, cell.io_pressure_some, 0.20),
        ),
        decisive(at_least(IO_PRESSURE_FULL, cell.io_pressure_full, 0.25)),
        at_least(DISK_BUSY, cell.disk_utilisation, 0.80),
        both(slower, at_most(CORES_LEFT, cell.ffmpeg_cores_ratio, 0.80)),
    ]


def _network(cell: CellEvidence) -> list[Clue]:
    """Look for transfers that fill their channel: of the same videos, more slots then move no more bytes a second.

    Slots in step fetch together and publish together, so that each direction is full half of the time only: then
    transfers that lengthen with the slots show it.
    """
    if not cell.has_remote_storage:
        return []
    long = at_least(TRANSFER_SHARE, cell.share(*TRANSFER_STAGES), 0.30)
    return [
        long,
        decisive(at_least(NETWORK_BUSY, cell.network_utilisation, 0.80)),
        both(long, below(LAST_GAIN, cell.gain_up_to_here, 0.10)),
        both(long, _stretched_transfers(cell)),
    ]


def _memory_bandwidth(cell: CellEvidence) -> list[Clue]:
    """Look for the same work costing more CPU seconds; both clues are needed and nothing else makes it surer."""
    return together(
        at_least(FFMPEG_STRETCH, cell.ffmpeg_stretch, 1.25),
        at_least(WORK_STRETCH, cell.cpu_work_stretch, 1.15),
    )


def _cpu(cell: CellEvidence) -> list[Clue]:
    return [
        at_least(cell.busy_fact(Cause.CPU), cell.cpu_utilisation, 0.85 if cell.smt else 0.90),
        at_least(CPU_PRESSURE, cell.cpu_pressure_some, 0.20),
        both(at_least(FFMPEG_STRETCH, cell.ffmpeg_stretch, 1.25), at_most(WORK_STRETCH, cell.cpu_work_stretch, 1.10)),
        at_least(CPU_BOUND, cell.bound_ratio_cpu, 0.90),
    ]


def _single_thread(cell: CellEvidence) -> list[Clue]:
    """Look for one thread per video on idle cores; all must hold, so that a full CPU is never called this.

    Nor is a wait: one busy thread uses a core, and an ffmpeg that a disk holds back uses less. One that a quota
    throttles uses few cores however many threads it has.
    """
    if (cell.throttled_period_ratio or 0.0) >= 0.05:
        return []
    return together(
        at_least(FFMPEG_SHARE, cell.share("transcode"), 0.60),
        between(FFMPEG_CORES, cell.ffmpeg_cores, 0.8, 1.3),
        below(cell.busy_fact(Cause.CPU), cell.cpu_utilisation, 0.75),
    )


def _slots(cell: CellEvidence) -> list[Clue]:
    """Look for a cell where nothing is busy and nothing has slowed down: it could carry more slots.

    A resource at three quarters lets twice the slots do a third more: half as much again is more than it could stop.
    """
    pressures = (cell.cpu_pressure_some, cell.io_pressure_some, cell.memory_pressure_full)
    quiet = below(PRESSURE, max((p for p in pressures if p is not None), default=None), 0.05)
    idle = _idle(cell, 0.75)
    computing = cell.share("transcode")
    return [
        both(idle, at_least(NEXT_GAIN, cell.gain_from_here, 0.50)),
        both(idle, at_least(EFFICIENCY, cell.efficiency, 0.90)),
        both(idle, below(FFMPEG_STRETCH, cell.ffmpeg_stretch, 1.10)),
        both(idle, quiet),
        both(idle, at_least(WAIT_SHARE, None if computing is None else 1 - computing, 0.50)),
    ]


def _serialisation(cell: CellEvidence) -> list[Clue]:
    """Look for slots that do not help although nothing measured is busy: the wait is somewhere unmeasured."""
    idle = _idle(cell, 0.70)
    long = at_least(TRANSFER_SHARE, cell.share(*TRANSFER_STAGES), 0.30)
    if cell.has_remote_storage and both(long, _stretched_transfers(cell)).holds:
        return []  # that wait is measured
    waste = together(idle, below(EFFICIENCY, cell.efficiency, 0.75))
    database = both(
        at_least(DB_SHARE, cell.share("db"), 0.10), at_least(DB_STRETCH, cell.stage_stretch.get("db"), 1.25)
    )
    return [*waste, both(idle, database)]


def _stretched_transfers(cell: CellEvidence) -> Clue:
    stretches = [cell.stage_stretch[stage] for stage in TRANSFER_STAGES if stage in cell.stage_stretch]
    return at_least(TRANSFER_STRETCH, max(stretches, default=None), 1.25)


def _idle(cell: CellEvidence, limit: float) -> Clue:
    """Return the clue that no resource is busier than the limit; without the CPU's utilisation it is unknown."""
    busiest = max(cell.utilisations().values()) if cell.cpu_utilisation is not None else None
    return below(HIGHEST, busiest, limit)


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
