"""Plan a matrix: which runs it needs, in which order, and how long they will take.

A matrix measures each combination of size, concurrency, number of workers and mode, once or several times.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from capacity.estimators.interval import SECONDS_PER_MINUTE
from core.ffmpeg.profiles import recorded_name
from core.language import MODE_NAMES, Text
from core.run import POISSON, Mode
from core.size_mix import DEFAULT_SEED, is_mix, mean_label_bytes, parse_sizes

#: share of a burst's X_sat that a sustained run offers; it leaves a fifth of the capacity free (docs/method.md)
AUTOMATIC_SHARE = 0.8
#: restart of the worker, drain, and the recording rules' delay
OVERHEAD_SECONDS = 15.0
#: for a machine without any measurement: ffmpeg's core-seconds, and the seconds of one slot, per MB of 720p H.264
GUESSED_CORE_SECONDS_PER_MB = 2.0
GUESSED_SECONDS_PER_MB = 1.2

#: mean service seconds by size in bytes and slots
Services = Mapping[tuple[int, int], float]


class Basis(StrEnum):
    """Where the service time in a predicted duration comes from. The most certain basis is first.

    - MEASURED: measured for this size and number of slots.
    - SCALED: computed from a measurement for another size or number of slots.
    - GUESSED: estimated from the size and the number of CPU cores.
    """

    MEASURED = "measured"
    SCALED = "scaled"
    GUESSED = "guessed"


@dataclass(frozen=True)
class MatrixPlan:
    """Options of a matrix: which cells to measure, how often, and how.

    The cells are all combinations of the fields `sizes`, `concurrencies`, `workers` and `modes`.

    - `repeats`: number of runs of each cell.
    - `count`: number of videos of a burst.
    - `arrivals`: number of videos of a sustained run. None means `count`.
    - `rate_per_minute`: rate of a sustained run. None means 80 % of the X_sat of a burst with the same size, slots and
      workers.
    - `adaptive`: true if a burst stops when its X_sat is known precisely enough.
    - `workers`: numbers of workers to measure. None in this tuple means the workers that already run.
    """

    sizes: tuple[str, ...]
    concurrencies: tuple[int, ...]
    modes: tuple[str, ...]
    count: int
    repeats: int
    rate_per_minute: float | None
    adaptive: bool = False
    arrivals: int | None = None
    profile: str = "full"
    warmup: bool = False
    workers: tuple[int | None, ...] = (None,)
    #: load shape of the sustained runs; None is equal intervals
    shape: str | None = None
    #: of the first repeat; each further repeat has the next one
    seed: int = DEFAULT_SEED

    @property
    def name(self) -> str:
        """Return the matrix's name: a hash of the options that define how a cell is measured.

        Sizes, concurrencies, modes, numbers of workers and repeats do not change the name. A matrix does not repeat the
        finished runs of an earlier matrix with the same name.
        """
        how = [self.count, self.arrivals, self.rate_per_minute, self.adaptive, recorded_name(self.profile)]
        how += ["warm-up"] if self.warmup else []
        how += [self.shape, self.seed] if self.shape or self.seed != DEFAULT_SEED else []
        return hashlib.sha256(json.dumps(how).encode()).hexdigest()[:8]

    def seed_of(self, run: PlannedRun) -> int | None:
        """Return the random seed of a run, or None if the run uses no random numbers.

        Each repeat of a cell has a different seed.
        """
        is_random = is_mix(run.size) or (self.shape == POISSON and run.mode == Mode.SUSTAINED)
        return self.seed + run.repeat - 1 if is_random else None

    def videos(self, mode: str) -> int:
        """Return the number of videos to send in one run of this mode."""
        return self.arrivals if mode == Mode.SUSTAINED and self.arrivals else self.count


@dataclass(frozen=True)
class PlannedRun:
    """One run of a matrix: its cell and the number of the repeat.

    The cell is size, slots per worker, mode and number of workers. `workers` is None for the workers that already run.
    """

    size: str
    concurrency: int
    mode: str
    repeat: int
    workers: int | None = None

    def note(self, plan: MatrixPlan) -> str:
        """Return the note that is stored with the run, so that a resumed matrix finds the run again."""
        workers = f" w{self.workers}" if self.workers and self.workers > 1 else ""
        return f"matrix {plan.name} {self.size} c{self.concurrency}{workers} {self.mode} #{self.repeat}"

    def label(self, plan: MatrixPlan) -> Text:
        """Return a short name of the run for the user, such as `50MB c=2 burst #1`."""
        which = f" #{self.repeat}" if plan.repeats > 1 else ""
        mode = MODE_NAMES[self.mode]
        workers = "" if self.workers is None else f" workers={self.workers}"
        cell = f"{self.size} c={self.concurrency}{workers}"
        return Text(f"{cell} {mode.es}{which}", f"{cell} {mode.en}{which}")


@dataclass(frozen=True)
class Prediction:
    """A predicted duration in seconds, and what it is based on."""

    seconds: float
    basis: Basis


def ordered_runs(plan: MatrixPlan) -> list[PlannedRun]:
    """Return all runs of a matrix in the order in which they are carried out.

    Each repeat measures all cells in random order. If the field `rate_per_minute` of the plan is None, the bursts of a
    repeat come before its sustained runs. The same plan always gives the same order.
    """
    shuffled = random.Random(plan.name)  # noqa: S311 (an order, not a secret)
    runs: list[PlannedRun] = []
    for repeat in range(1, plan.repeats + 1):
        for modes in _phases(plan):
            levels = product(plan.sizes, plan.workers, plan.concurrencies, modes)
            cells = [PlannedRun(s, c, m, repeat, w) for s, w, c, m in levels]
            # otherwise a machine that slowly changes its speed would make cells look different
            shuffled.shuffle(cells)
            runs += cells
    return runs


def predict(plan: MatrixPlan, run: PlannedRun, services: Services, cores: int) -> Prediction:
    """Predict the duration of a run in seconds, including the time to start and end it.

    `services` has the measured mean service seconds, by size in bytes and number of slots. If `services` is empty, the
    service time is guessed from the size and `cores`, the number of CPU cores.
    """
    slots = run.concurrency * (run.workers or 1)
    service, basis = _service(parse_sizes(run.size).mean_bytes, slots, services, cores)
    between = service / slots
    if run.mode == Mode.SUSTAINED:
        offered = (
            between / AUTOMATIC_SHARE if plan.rate_per_minute is None else SECONDS_PER_MINUTE / plan.rate_per_minute
        )
        between = max(between, offered)
    return Prediction(plan.videos(run.mode) * between + service + OVERHEAD_SECONDS, basis)


def total(predictions: Sequence[Prediction]) -> Prediction:
    """Add up predicted durations. The result has the least certain basis among them."""
    order = list(Basis)
    worst = max((order.index(p.basis) for p in predictions), default=0)
    return Prediction(sum(p.seconds for p in predictions), order[worst])


def measured_services(measured: Iterable[tuple[str, int, float | None]]) -> dict[tuple[int, int], float]:
    """Return the mean service seconds by size in bytes and slots.

    `measured` has tuples of size label, slots and mean service seconds. Tuples with None for the seconds are left out.
    """
    return {(mean_label_bytes(size), slots): seconds for size, slots, seconds in measured if seconds is not None}


def _service(size_bytes: int, slots: int, services: Services, cores: int) -> tuple[float, Basis]:
    """Return the service time in seconds and its basis.

    The time is measured, or scaled from the nearest measured cell, or guessed from size and cores. Scaling is
    proportional to bytes and assumes that more slots do not raise the throughput. It tends to overestimate.
    """
    if (size_bytes, slots) in services:
        return services[size_bytes, slots], Basis.MEASURED
    if services:
        (near_bytes, near_slots), seconds = min(
            services.items(), key=lambda item: _distance(item[0], (size_bytes, slots))
        )
        return seconds * size_bytes / near_bytes * max(1.0, slots / near_slots), Basis.SCALED
    megabytes = size_bytes / 1e6
    alone, shared = GUESSED_SECONDS_PER_MB, GUESSED_CORE_SECONDS_PER_MB * slots / cores
    return megabytes * max(alone, shared), Basis.GUESSED


def _distance(cell: tuple[int, int], other: tuple[int, int]) -> tuple[float, float]:
    return abs(cell[1] - other[1]), abs(cell[0] - other[0])


def _phases(plan: MatrixPlan) -> list[tuple[str, ...]]:
    """Return the groups of modes whose runs may be mixed.

    With an automatic rate, bursts come first.
    """
    if plan.rate_per_minute is None and set(plan.modes) == {"burst", "sustained"}:
        return [("burst",), ("sustained",)]
    return [plan.modes]
