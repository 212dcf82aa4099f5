"""The plan of a matrix: which tests, in which order, and how long they will take. Pure."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from capacity.estimators.interval import SECONDS_PER_MINUTE
from core.language import MODE_NAMES, Text
from core.run import Mode
from core.size import label_bytes, parse_size

#: METHOD 2.1: a rate that leaves a fifth of the capacity free
AUTOMATIC_SHARE = 0.8
#: restart of the worker, drain and settling of the figures
OVERHEAD_SECONDS = 15.0
#: for a machine nothing is known of: ffmpeg's core-seconds and one slot's seconds for each MB of 720p H.264
GUESSED_CORE_SECONDS_PER_MB = 2.0
GUESSED_SECONDS_PER_MB = 1.2

#: mean service seconds by size in bytes and slots
Services = Mapping[tuple[int, int], float]


class Basis(StrEnum):
    """What a prediction rests on, the surest first."""

    MEASURED = "measured"
    SCALED = "scaled"
    GUESSED = "guessed"


@dataclass(frozen=True)
class Plan:
    """What was asked: every size × concurrency × mode, `repeats` times; a rate of None is 0.8 of the burst's X_sat."""

    sizes: tuple[str, ...]
    concurrencies: tuple[int, ...]
    modes: tuple[str, ...]
    count: int
    repeats: int
    rate_per_minute: float | None
    adaptive: bool = False
    arrivals: int | None = None
    profile: str = "full"

    @property
    def name(self) -> str:
        """Return a short name of how a cell is measured, so that asking again resumes and asking for more adds."""
        how = (self.count, self.arrivals, self.rate_per_minute, self.adaptive, self.profile)
        return hashlib.sha256(json.dumps(how).encode()).hexdigest()[:8]

    def videos(self, mode: str) -> int:
        """Return how many videos a test of this mode injects."""
        return self.arrivals if mode == Mode.SUSTAINED and self.arrivals else self.count


@dataclass(frozen=True)
class PlannedTest:
    """One test of a plan: a cell and which repeat of it."""

    size: str
    concurrency: int
    mode: str
    repeat: int

    def note(self, plan: Plan) -> str:
        """Return what its run is marked with, and found by after an interruption."""
        return f"matrix {plan.name} {self.size} c{self.concurrency} {self.mode} #{self.repeat}"

    def told(self, plan: Plan) -> Text:
        """Return the test as people say it."""
        which = f" #{self.repeat}" if plan.repeats > 1 else ""
        mode = MODE_NAMES[self.mode]
        cell = f"{self.size} c={self.concurrency}"
        return Text(f"{cell} {mode.es}{which}", f"{cell} {mode.en}{which}")


@dataclass(frozen=True)
class Prediction:
    """How long something will take, and what that rests on."""

    seconds: float
    basis: Basis


def ordered(plan: Plan) -> list[PlannedTest]:
    """Return the tests: repeats one after the other, cells shuffled inside each, bursts before what needs their X_sat.

    Interleaving keeps a slow drift of the machine from looking like a difference between cells. The plan's name is
    the seed, so a resumed matrix keeps its order.
    """
    shuffled = random.Random(plan.name)  # noqa: S311 (an order, not a secret)
    tests: list[PlannedTest] = []
    for repeat in range(1, plan.repeats + 1):
        for modes in _phases(plan):
            cells = [PlannedTest(s, c, m, repeat) for s in plan.sizes for c in plan.concurrencies for m in modes]
            shuffled.shuffle(cells)
            tests += cells
    return tests


def predict(plan: Plan, test: PlannedTest, known: Services, cores: int) -> Prediction:
    """Return how long a test will take, overhead included; the longest it can when it may stop early."""
    service, basis = _service(parse_size(test.size), test.concurrency, known, cores)
    between = service / test.concurrency
    if test.mode == Mode.SUSTAINED:
        offered = (
            between / AUTOMATIC_SHARE if plan.rate_per_minute is None else SECONDS_PER_MINUTE / plan.rate_per_minute
        )
        between = max(between, offered)
    return Prediction(plan.videos(test.mode) * between + service + OVERHEAD_SECONDS, basis)


def total(predictions: Sequence[Prediction]) -> Prediction:
    """Return the sum, resting on the least sure of its parts."""
    order = list(Basis)
    worst = max((order.index(p.basis) for p in predictions), default=0)
    return Prediction(sum(p.seconds for p in predictions), order[worst])


def _service(size_bytes: int, slots: int, known: Services, cores: int) -> tuple[float, Basis]:
    """Return the service time: as measured, or scaled from the nearest cell, or guessed from size and cores.

    Scaling takes time in proportion to bytes and, where slots are added, the throughput as unchanged: rather too long.
    """
    if (size_bytes, slots) in known:
        return known[size_bytes, slots], Basis.MEASURED
    if known:
        (near_bytes, near_slots), seconds = min(known.items(), key=lambda item: _distance(item[0], (size_bytes, slots)))
        return seconds * size_bytes / near_bytes * max(1.0, slots / near_slots), Basis.SCALED
    megabytes = size_bytes / 1e6
    alone, shared = GUESSED_SECONDS_PER_MB, GUESSED_CORE_SECONDS_PER_MB * slots / cores
    return megabytes * max(alone, shared), Basis.GUESSED


def _distance(cell: tuple[int, int], wanted: tuple[int, int]) -> tuple[float, float]:
    return abs(cell[1] - wanted[1]), abs(cell[0] - wanted[0])


def known_services(measured: Iterable[tuple[str, int, float | None]]) -> dict[tuple[int, int], float]:
    """Return service times by cell from size label, slots and mean seconds; later ones replace earlier ones."""
    return {(label_bytes(size), slots): seconds for size, slots, seconds in measured if seconds is not None}


def _phases(plan: Plan) -> list[tuple[str, ...]]:
    """Return the modes that may be mixed: with an automatic rate, bursts come first."""
    if plan.rate_per_minute is None and set(plan.modes) == {"burst", "sustained"}:
        return [("burst",), ("sustained",)]
    return [plan.modes]
