"""How to find a capacity with little testing: when to stop a burst, and which rate to try next.

Pure decisions: the caller runs a trial and feeds its result back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from capacity.estimators.interval import Floats, t_half_width
from capacity.estimators.stability import Stability
from capacity.estimators.throughput import Executions, slot_cycles

MINIMUM_VIDEOS = 12
TARGET_PRECISION = 0.05
BURST_VIDEOS = 24
SUSTAINED_ARRIVALS = 120
FIRST_SHARE = 0.95
SHARE_STEP = 0.05
LOWEST_SHARE = 0.5
REFINE_SHARE = 1.10
REFINE_RATIO = 1.05


class TrialKind(StrEnum):
    """What a trial offers."""

    BURST = "burst"
    SUSTAINED = "sustained"


@dataclass(frozen=True, slots=True)
class Trial:
    """The next thing to run; the rate of a burst is None."""

    kind: TrialKind
    videos: int
    rate_per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a trial showed and what it cost; `capacity_per_minute` is X_sat, of a burst only."""

    trial: Trial
    cost_seconds: float
    capacity_per_minute: float | None = None
    verdict: Stability | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """A search in progress: what was tried, the highest rate seen stable and the lowest seen or taken unstable."""

    refine: bool = False
    capacity_per_minute: float | None = None
    stable_per_minute: float | None = None
    unstable_per_minute: float | None = None
    results: tuple[TrialResult, ...] = ()
    failed: bool = False

    @property
    def cost_seconds(self) -> float:
        """Return what all trials took."""
        return sum(result.cost_seconds for result in self.results)


def next_trial(search: Search) -> Trial | None:
    """Return what to run next, None when the search has ended.

    A burst first, then 0.95 of its X_sat and down in steps of 0.05 until one run is stable; with `refine`, geometric
    bisection between the highest stable and the lowest unstable rate until they are within 5 %.
    """
    if search.failed:
        return None
    if search.capacity_per_minute is None:
        return Trial(TrialKind.BURST, BURST_VIDEOS)
    if (prolonged := _prolonged(search)) is not None:
        return prolonged
    rate = _next_rate(search, search.capacity_per_minute)
    return None if rate is None else Trial(TrialKind.SUSTAINED, SUSTAINED_ARRIVALS, rate)


def advance(search: Search, result: TrialResult) -> Search:
    """Return the search after a trial; a burst without X_sat ends it, a second INCONCLUSIVE counts as not stable."""
    search = replace(search, results=(*search.results, result))
    rate = result.trial.rate_per_minute
    if rate is None:
        return replace(
            search, capacity_per_minute=result.capacity_per_minute, failed=result.capacity_per_minute is None
        )
    if result.verdict is Stability.STABLE:
        return replace(search, stable_per_minute=max(rate, search.stable_per_minute or 0.0))
    if result.verdict is Stability.INCONCLUSIVE and result.trial.videos == SUSTAINED_ARRIVALS:
        return search
    return replace(search, unstable_per_minute=min(rate, search.unstable_per_minute or math.inf))


def finished_prefix(cycle_seconds: Floats) -> Floats:
    """Return the cycles before the first unfinished one, NaN, of cycles in start order.

    Taking whatever has finished would prefer the short ones.
    """
    unfinished = np.flatnonzero(np.isnan(cycle_seconds))
    return cycle_seconds[: unfinished[0]] if unfinished.size else cycle_seconds


def precision(cycle_seconds: Floats) -> float:
    """Return the relative half width of the 95 % interval of the mean cycle; NaN under two cycles."""
    return t_half_width(cycle_seconds) / float(cycle_seconds.mean()) if cycle_seconds.size > 1 else float("nan")


def may_stop(cycle_seconds: Floats, minimum: int = MINIMUM_VIDEOS, target: float = TARGET_PRECISION) -> bool:
    """Return whether a burst knows its mean cycle well enough; videos in flight should still finish and count."""
    prefix = finished_prefix(cycle_seconds)
    return prefix.size >= minimum and precision(prefix) <= target


def knows_enough(executions: Executions, slots: int, unfinished_since: float | None) -> bool:
    """Return whether a burst in progress may stop, by the executions that began before the first unfinished one."""
    cycles = slot_cycles(executions, slots)
    before = executions.finished().started_at < (math.inf if unfinished_since is None else unfinished_since)
    return may_stop(cycles.cycle_seconds[before])


def _prolonged(search: Search) -> Trial | None:
    last = search.results[-1]
    doubtful = last.verdict is Stability.INCONCLUSIVE and last.trial.videos == SUSTAINED_ARRIVALS
    return replace(last.trial, videos=2 * SUSTAINED_ARRIVALS) if doubtful else None


def _next_rate(search: Search, capacity: float) -> float | None:
    stable, unstable = search.stable_per_minute, search.unstable_per_minute
    if stable is not None:
        upper = unstable or REFINE_SHARE * capacity
        return math.sqrt(stable * upper) if search.refine and upper / stable > REFINE_RATIO else None
    if unstable is None:
        return FIRST_SHARE * capacity
    rate = unstable - SHARE_STEP * capacity
    return rate if rate >= LOWEST_SHARE * capacity * (1 - 1e-9) else None
