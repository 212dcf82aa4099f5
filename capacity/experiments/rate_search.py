"""Search for the highest sustainable rate: choose the next run. The caller carries out each run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from capacity.diagnosis.validity import Validity, combined
from capacity.estimators.stability import Stability
from core.run import Mode, fewest_arrivals

BURST_VIDEOS = 24
SUSTAINED_ARRIVALS = 120
FIRST_SHARE = 0.95
SHARE_STEP = 0.05
LOWEST_SHARE = 0.5
REFINE_SHARE = 1.10
REFINE_RATIO = 1.05


@dataclass(frozen=True, slots=True)
class SearchStep:
    """One run of a search. A rate of None means a burst."""

    kind: Mode
    videos: int
    rate_per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    """Result, validity and duration of a step. `capacity_per_minute` is X_sat, and only a burst has it and `slots`."""

    trial: SearchStep
    cost_seconds: float
    capacity_per_minute: float | None = None
    slots: int = 1
    verdict: Stability | None = None
    validity: Validity = Validity()


@dataclass(frozen=True, slots=True)
class RateSearch:
    """State of a rate search: the steps, the highest stable rate, and the lowest rate not stable."""

    refine: bool = False
    #: the number of videos of each step is a multiple of it, so that a mix of sizes has its exact shares
    period: int = 1
    capacity_per_minute: float | None = None
    stable_per_minute: float | None = None
    unstable_per_minute: float | None = None
    results: tuple[StepResult, ...] = ()
    failed: bool = False

    @property
    def arrivals(self) -> int:
        """Return the videos of a sustained step: enough for a verdict on the slots of the burst."""
        return self.multiple(max(SUSTAINED_ARRIVALS, fewest_arrivals(self.results[0].slots)))

    def multiple(self, videos: int) -> int:
        """Return the smallest multiple of the period that is at least `videos`."""
        return -(-videos // self.period) * self.period

    @property
    def cost_seconds(self) -> float:
        """Return the duration of all steps."""
        return sum(result.cost_seconds for result in self.results)

    @property
    def validity(self) -> Validity:
        """Return the worst validity of the results that the answer is made of; invalid ones are not used."""
        return combined(result.validity for result in self.results if not result.validity.is_invalid)


def next_step(search: RateSearch) -> SearchStep | None:
    """Return the next step of the search. Return None when the search has ended.

    A step with an invalid result is repeated once.
    The first step is a burst. Then come rates from 0.95 of its X_sat down in steps of 0.05 until one run is stable.
    With `refine`, geometric bisection follows between the highest stable and the lowest unstable rate, until they are
    within 5 %.
    """
    if search.failed:
        return None
    if search.results and search.results[-1].validity.is_invalid:
        return search.results[-1].trial
    if search.capacity_per_minute is None:
        return SearchStep(Mode.BURST, search.multiple(BURST_VIDEOS))
    if (prolonged := _prolonged(search)) is not None:
        return prolonged
    rate = _next_rate(search, search.capacity_per_minute)
    return None if rate is None else SearchStep(Mode.SUSTAINED, search.arrivals, rate)


def advance(search: RateSearch, result: StepResult) -> RateSearch:
    """Return the state of the search after a step with this result.

    A burst without X_sat ends the search, and so does a second invalid result of one step. A second INCONCLUSIVE at one
    rate counts as not stable.
    """
    is_repeated = bool(search.results) and search.results[-1].validity.is_invalid
    search = replace(search, results=(*search.results, result))
    if result.validity.is_invalid:
        return replace(search, failed=is_repeated)
    rate = result.trial.rate_per_minute
    if rate is None:
        return replace(
            search, capacity_per_minute=result.capacity_per_minute, failed=result.capacity_per_minute is None
        )
    if result.verdict is Stability.STABLE:
        return replace(search, stable_per_minute=max(rate, search.stable_per_minute or 0.0))
    if result.verdict is Stability.INCONCLUSIVE and result.trial.videos == search.arrivals:
        return search
    return replace(search, unstable_per_minute=min(rate, search.unstable_per_minute or math.inf))


def _prolonged(search: RateSearch) -> SearchStep | None:
    last = search.results[-1]
    doubtful = last.verdict is Stability.INCONCLUSIVE and last.trial.videos == search.arrivals
    return replace(last.trial, videos=2 * search.arrivals) if doubtful else None


def _next_rate(search: RateSearch, capacity: float) -> float | None:
    stable, unstable = search.stable_per_minute, search.unstable_per_minute
    if stable is not None:
        upper = unstable or REFINE_SHARE * capacity
        return math.sqrt(stable * upper) if search.refine and upper / stable > REFINE_RATIO else None
    if unstable is None:
        return FIRST_SHARE * capacity
    rate = unstable - SHARE_STEP * capacity
    return rate if rate >= LOWEST_SHARE * capacity * (1 - 1e-9) else None
