"""The plan of a matrix: which tests, in which order, and what a predecessor has already done. Pure."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from capacity.estimate import SECONDS_PER_MINUTE

#: METHOD 2.1: a rate that leaves a fifth of the capacity free
AUTOMATIC_SHARE = 0.8


@dataclass(frozen=True)
class Plan:
    """What was asked: every size × concurrency × mode, `repeats` times; a rate of None is 0.8 of the burst's X_sat."""

    sizes: tuple[str, ...]
    concurrencies: tuple[int, ...]
    modes: tuple[str, ...]
    count: int
    repeats: int
    rate_per_minute: float | None

    @property
    def name(self) -> str:
        """Return a short name that the same question always has, so that asking again resumes."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:8]


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


def predicted_seconds(
    plan: Plan, tests: Sequence[PlannedTest], service_seconds: Mapping[tuple[str, int], float]
) -> float | None:
    """Return how long the tests will take; None while a cell's service time is not known."""
    total = 0.0
    for test in tests:
        service = service_seconds.get((test.size, test.concurrency))
        if service is None:
            return None
        total += plan.count * _interval_seconds(plan, test, service) + service
    return total


def _interval_seconds(plan: Plan, test: PlannedTest, service: float) -> float:
    drained = service / test.concurrency
    if test.mode == "burst":
        return drained
    return drained / AUTOMATIC_SHARE if plan.rate_per_minute is None else SECONDS_PER_MINUTE / plan.rate_per_minute


def _phases(plan: Plan) -> list[tuple[str, ...]]:
    """Return the modes that may be mixed: with an automatic rate, bursts come first."""
    if plan.rate_per_minute is None and set(plan.modes) == {"burst", "sustained"}:
        return [("burst",), ("sustained",)]
    return [plan.modes]
