"""Choose the next run in a search for the highest sustainable rate. The caller carries out the run."""

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
    """One run of a rate search, to be carried out: a burst or a sustained run of `videos` videos.

    `rate_per_minute` is in videos per minute, or None for a burst.
    """

    kind: Mode
    videos: int
    rate_per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    """Result of one run of a rate search.

    - `step`: the step that was carried out.
    - `cost_seconds`: duration of the run.
    - `capacity_per_minute`: X_sat of a burst. None if X_sat is unknown, or for a sustained run.
    - `slots`: number of slots, set for a burst only.
    - `verdict`: stability verdict on a sustained run. None for a burst.
    - `validity`: whether the run is valid, indicative or invalid.
    """

    step: SearchStep
    cost_seconds: float
    capacity_per_minute: float | None = None
    slots: int = 1
    verdict: Stability | None = None
    validity: Validity = Validity()


@dataclass(frozen=True, slots=True)
class RateSearch:
    """State of a rate search, with the results so far. Rates are in videos per minute.

    - `refine`: true if the search goes on between the highest stable and the lowest unstable rate.
    - `capacity_per_minute`: X_sat of the burst.
    - `stable_per_minute`: highest rate that was stable.
    - `unstable_per_minute`: lowest rate that was not stable.
    - `failed`: true if no answer is possible.
    """

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
        """Return how many videos a sustained run of the search sends, enough for a verdict on its stability."""
        return self.multiple(max(SUSTAINED_ARRIVALS, fewest_arrivals(self.results[0].slots)))

    def multiple(self, videos: int) -> int:
        """Return a number of videos, rounded up to a multiple of `period`, the sum of a mix's weights."""
        return -(-videos // self.period) * self.period

    @property
    def cost_seconds(self) -> float:
        """Return how long all runs of the search took together, in seconds."""
        return sum(result.cost_seconds for result in self.results)

    @property
    def validity(self) -> Validity:
        """Return the validity of the search's result: indicative if any run is indicative, else valid.

        Invalid runs are ignored.
        """
        return combined(result.validity for result in self.results if not result.validity.is_invalid)


def next_step(search: RateSearch) -> SearchStep | None:
    """Return the next run of the search, or None if the search has ended.

    1. A burst gives X_sat.
    2. Sustained runs follow at 95 % of X_sat, 90 % and so on down to 50 %, until a run is stable.
    3. If the field `refine` of the search is True, runs follow between the highest stable and the lowest unstable rate,
       down to a gap of 5 %. If no rate was unstable, 110 % of X_sat takes the place of the unstable rate.

    An invalid run is repeated once. An inconclusive run is repeated once with twice the number of videos.
    """
    if search.failed:
        return None
    if search.results and search.results[-1].validity.is_invalid:
        return search.results[-1].step
    if search.capacity_per_minute is None:
        return SearchStep(Mode.BURST, search.multiple(BURST_VIDEOS))
    if (prolonged := _prolonged(search)) is not None:
        return prolonged
    rate = _next_rate(search, search.capacity_per_minute)
    return None if rate is None else SearchStep(Mode.SUSTAINED, search.arrivals, rate)


def advance(search: RateSearch, result: StepResult) -> RateSearch:
    """Return the state of the search after a run with this result.

    The search fails if a burst has no X_sat, or if a run is invalid twice in a row. A rate that is inconclusive twice
    counts as not stable.
    """
    is_repeated = bool(search.results) and search.results[-1].validity.is_invalid
    search = replace(search, results=(*search.results, result))
    if result.validity.is_invalid:
        return replace(search, failed=is_repeated)
    rate = result.step.rate_per_minute
    if rate is None:
        return replace(
            search, capacity_per_minute=result.capacity_per_minute, failed=result.capacity_per_minute is None
        )
    if result.verdict is Stability.STABLE:
        return replace(search, stable_per_minute=max(rate, search.stable_per_minute or 0.0))
    if result.verdict is Stability.INCONCLUSIVE and result.step.videos == search.arrivals:
        return search
    return replace(search, unstable_per_minute=min(rate, search.unstable_per_minute or math.inf))


def _prolonged(search: RateSearch) -> SearchStep | None:
    last = search.results[-1]
    doubtful = last.verdict is Stability.INCONCLUSIVE and last.step.videos == search.arrivals
    return replace(last.step, videos=2 * search.arrivals) if doubtful else None


def _next_rate(search: RateSearch, capacity: float) -> float | None:
    stable, unstable = search.stable_per_minute, search.unstable_per_minute
    if stable is not None:
        upper = unstable or REFINE_SHARE * capacity
        return math.sqrt(stable * upper) if search.refine and upper / stable > REFINE_RATIO else None
    if unstable is None:
        return FIRST_SHARE * capacity
    rate = unstable - SHARE_STEP * capacity
    return rate if rate >= LOWEST_SHARE * capacity * (1 - 1e-9) else None
