"""Judge whether the workers kept up with a sustained run, and whether the injector sent on time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy import stats

from capacity.estimators.interval import SECONDS_PER_MINUTE, Floats, Interval, t_half_width
from capacity.estimators.littles_law import videos_present
from core.run import fewest_arrivals

GROWTH_TOLERANCE = 0.05
#: growth below which a backlog does not grow, where no service time is known
BACKLOG_TOLERANCE = 0.01
RATE_TOLERANCE = 0.01
LATENESS_P99_SHARE = 0.10
SAMPLE_POINTS = 500  # Theil-Sen looks at every pair; more points of a counted queue add no information


class Stability(StrEnum):
    """Verdicts on the queue of a sustained run: it stays bounded, it grows, or neither is certain."""

    STABLE = "STABLE"
    UNSTABLE = "UNSTABLE"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class StabilityVerdict:
    """Verdict on whether the workers kept up with a sustained run, with the evidence.

    - `growth_ratio`: growth of the queue divided by the offered rate. At 0.1, the queue grows by one video for ten
      sent.
    - `utilisation`: rho = offered rate × mean slot cycle / slots.
    - `utilisation_interval`: the 90 % interval of rho.
    - `arrivals`: number of videos sent.
    - `arrivals_needed`: number of videos that a verdict needs, or None if unknown.
    - `long_enough`: True if `arrivals` is at least `arrivals_needed`.
    - `not_fetching`: True if the queue grows although the slots have time to process all videos.
    """

    verdict: Stability
    growth_ratio: float
    utilisation: float
    utilisation_interval: Interval
    arrivals: int
    arrivals_needed: int | None
    long_enough: bool
    not_fetching: bool

    @property
    def is_firm(self) -> bool:
        """Return True if more arrivals would not change the verdict.

        So it is after `arrivals_needed` arrivals. If the whole interval of rho is above 1, the queue grows anyway.
        """
        return self.long_enough or self.utilisation_interval.low > 1


@dataclass(frozen=True, slots=True)
class OfferedRate:
    """Rate at which the injector really uploaded videos, and how late it uploaded them.

    `per_minute` is the real rate, and `target_per_minute` the planned rate. The two lateness fields are the 99th
    percentile and the maximum of upload time minus planned upload time. `on_target` is True if the rate is within 1 %
    of the planned rate. `generator_limited` is True if the injector was too slow for the planned rate.
    """

    per_minute: float
    target_per_minute: float
    lateness_p99_seconds: float
    lateness_max_seconds: float
    on_target: bool
    generator_limited: bool


def judge_stability(
    uploaded_at: Floats,
    started_at: Floats,
    service_seconds: Floats,
    cycle_seconds: Floats,
    slots: int,
    *,
    arrival_cv: float = 0.0,
) -> StabilityVerdict:
    """Judge whether the workers kept up with a sustained run, from queue growth and utilisation.

    `uploaded_at` and `started_at` have one entry per video, in seconds. `started_at` is NaN for a video that never
    started. `service_seconds` and `cycle_seconds` (slot cycles) have one entry per finished execution. `arrival_cv` is
    the CV of the planned times between two videos. With too little data, the verdict is INCONCLUSIVE.
    """
    arrivals = np.sort(uploaded_at[np.isfinite(uploaded_at)])
    known = np.isfinite(service_seconds) & np.isfinite(cycle_seconds)
    service, cycles = service_seconds[known], cycle_seconds[known]
    rate = _rate_per_second(arrivals)
    if not math.isfinite(rate) or service.size < 2:
        return _unjudged(arrivals.size, slots)
    start, end = judged_window(arrivals, float(service.mean()))
    times = np.linspace(start, end, SAMPLE_POINTS)
    growth = growth_ratio(times, videos_present(uploaded_at, started_at, times), rate)
    rho, interval = utilisation(rate, cycles, slots)
    _, of_work = utilisation(rate, service, slots)
    cv = math.hypot(arrival_cv, float(cycles.std(ddof=1) / cycles.mean()))  # the variances of a queue's steps add up
    needed = arrivals_needed(cv, rho, slots)
    return StabilityVerdict(
        verdict=classify(growth, interval),
        growth_ratio=growth,
        utilisation=rho,
        utilisation_interval=interval,
        arrivals=arrivals.size,
        arrivals_needed=needed,
        long_enough=needed is not None and arrivals.size >= needed,
        not_fetching=bool(growth > GROWTH_TOLERANCE and of_work.high < 1),
    )


def judge_backlog(uploaded_at: Floats, ended_at: Floats, slots: int) -> StabilityVerdict:
    """Judge whether the workers kept up with a sustained run, if no start of a video is known.

    `uploaded_at` and `ended_at` have one entry per video, in seconds. `ended_at` is NaN for an unfinished video. The
    verdict follows from the growth of the number of unfinished videos, divided by the offered rate:

    - UNSTABLE: the growth is above 5 %.
    - STABLE: the growth is at most 1 %, and the run has at least `core.run.fewest_arrivals(slots)` videos.
    - INCONCLUSIVE: any other case.
    """
    arrivals = np.sort(uploaded_at[np.isfinite(uploaded_at)])
    rate = _rate_per_second(arrivals)
    unjudged = _unjudged(arrivals.size, slots)
    if not math.isfinite(rate):
        return unjudged
    start, end = judged_window(arrivals, 0.0)
    times = np.linspace(start, end, SAMPLE_POINTS)
    growth = growth_ratio(times, videos_present(uploaded_at, ended_at, times), rate)
    long_enough = arrivals.size >= fewest_arrivals(slots)
    verdict = Stability.UNSTABLE if growth > GROWTH_TOLERANCE else Stability.INCONCLUSIVE
    if growth <= BACKLOG_TOLERANCE and long_enough:
        verdict = Stability.STABLE
    return replace(unjudged, verdict=verdict, growth_ratio=growth, long_enough=long_enough)


def classify(growth: float, utilisation_interval: Interval) -> Stability:
    """Return the stability verdict for a queue growth and an interval of the utilisation.

    `growth` is the growth of the queue divided by the offered rate. 0.05 is 5 %.

    - STABLE: `growth` is at most 5 %, and the whole interval is below 1.
    - UNSTABLE: `growth` is above 5 %, and the upper end of the interval is at least 1.
    - UNSTABLE, whatever the growth: the whole interval is above 1.
    - INCONCLUSIVE: any other case.
    """
    # no trend test: queue lengths are correlated in time, so a test would report growth for 20-40 % of stable systems
    if growth <= GROWTH_TOLERANCE and utilisation_interval.high < 1:
        return Stability.STABLE
    if (growth > GROWTH_TOLERANCE and utilisation_interval.high >= 1) or utilisation_interval.low > 1:
        return Stability.UNSTABLE
    return Stability.INCONCLUSIVE


def growth_ratio(times: Floats, queue: Floats, rate_per_second: float) -> float:
    """Return how fast the queue grows, divided by the offered rate.

    `queue` is the number of waiting videos at each of `times` (seconds). The growth is the Theil-Sen slope. The result
    is NaN if there are fewer than two samples or all times are equal.
    """
    step = max(1, math.ceil(times.size / SAMPLE_POINTS))
    times, queue = times[::step], queue[::step]
    if times.size < 2 or times.min() == times.max():
        return float("nan")
    # Theil-Sen: a single wrong sample, such as an SQS counter that reads 0 for a moment, hardly changes the slope
    return float(stats.theilslopes(queue, times)[0]) / rate_per_second


def utilisation(rate_per_second: float, cycle_seconds: Floats, slots: int) -> tuple[float, Interval]:
    """Return the utilisation rho = rate x mean slot cycle / slots, with its 90 % interval.

    Each end of the interval is a one-sided 95 % limit. For fewer than two slot cycles, the interval is 0 to infinity.
    """
    rho = rate_per_second * float(cycle_seconds.mean()) / slots
    if cycle_seconds.size < 2:
        return rho, Interval(0.0, float("inf"))
    half = rate_per_second * t_half_width(cycle_seconds, confidence=0.90) / slots
    return rho, Interval(rho - half, rho + half)


def arrivals_needed(cv: float, rho: float, slots: int) -> int | None:
    """Return how many videos a run needs to show that the utilisation rho differs from 1.

    A run with this many videos shows the difference with a probability of 90 %. The result is

        (2.93 · cv · rho / (1 - rho))², rounded up

    but at least `core.run.fewest_arrivals(slots)`. Here `cv` is sqrt(a² + b²), a is the CV of the times between two
    videos, and b is the CV of the slot cycles. The result is None if rho is 1, or if rho or `cv` is NaN (unknown) or
    infinite.
    """
    if not math.isfinite(cv) or not math.isfinite(rho) or rho == 1:
        return None
    return max(fewest_arrivals(slots), math.ceil((2.93 * cv * rho / (1 - rho)) ** 2))


def offered_rate(uploaded_at: Floats, intended_at: Floats, target_per_minute: float) -> OfferedRate:
    """Return the rate at which videos were really offered, and how late they were.

    `uploaded_at` and `intended_at` are the real and the planned upload time of each video, in seconds. If `intended_at`
    is unknown, the planned rate is `target_per_minute`.
    """
    # not the time at which SQS confirmed a message: S and the queue wait start at the upload, up to ten messages are
    # confirmed at one moment, and an injector that waits for SQS also makes its next uploads late
    interval = SECONDS_PER_MINUTE / target_per_minute
    planned = SECONDS_PER_MINUTE * _rate_per_second(np.sort(intended_at[np.isfinite(intended_at)]))
    expected = planned if math.isfinite(planned) else target_per_minute
    rate = SECONDS_PER_MINUTE * _rate_per_second(np.sort(uploaded_at[np.isfinite(uploaded_at)]))
    late = (uploaded_at - intended_at)[np.isfinite(uploaded_at) & np.isfinite(intended_at)]
    p99, worst = (float(np.quantile(late, 0.99)), float(late.max())) if late.size else (float("nan"),) * 2
    return OfferedRate(
        per_minute=rate,
        target_per_minute=target_per_minute,
        lateness_p99_seconds=p99,
        lateness_max_seconds=worst,
        on_target=abs(rate / expected - 1) <= RATE_TOLERANCE,
        generator_limited=p99 > LATENESS_P99_SHARE * interval or worst > interval,
    )


def judged_window(arrivals: Floats, service_mean_seconds: float) -> tuple[float, float]:
    """Return start and end, in seconds, of the part of a run that the stability verdict is about.

    The part begins after the first 20 % of the time between first and last arrival, but not before three mean service
    times have passed. The part ends at the last arrival.
    """
    first, last = float(arrivals[0]), float(arrivals[-1])
    return min(first + max(0.2 * (last - first), 3 * service_mean_seconds), last), last


def _rate_per_second(arrivals: Floats) -> float:
    """Return the rate (n-1) / (last - first), because n events bound n-1 intervals."""
    if arrivals.size < 2 or arrivals[-1] <= arrivals[0]:
        return float("nan")
    return float((arrivals.size - 1) / (arrivals[-1] - arrivals[0]))


def _unjudged(arrivals: int, slots: int) -> StabilityVerdict:
    nan, needed = float("nan"), fewest_arrivals(slots)
    unknown = Interval(0.0, float("inf"))
    return StabilityVerdict(Stability.INCONCLUSIVE, nan, nan, unknown, arrivals, needed, False, False)
