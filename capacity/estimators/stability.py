"""Could the workers sustain the rate of a run? Stability of the queue, and the rate really sent."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy import stats

from capacity.estimators.correlation import mean_half_width
from capacity.estimators.interval import SECONDS_PER_MINUTE, Floats, Interval
from capacity.estimators.littles_law import videos_present
from core.run import fewest_arrivals

GROWTH_TOLERANCE = 0.05
#: growth below which a backlog does not grow, where no service time is known
BACKLOG_TOLERANCE = 0.01
RATE_TOLERANCE = 0.01
LATENESS_P99_SHARE = 0.10
SAMPLE_POINTS = 500  # Theil-Sen looks at every pair; more points of a counted queue add no information


class Stability(StrEnum):
    """Verdicts on a sustained run: the queue stays bounded, grows, or the run is too short to tell."""

    STABLE = "STABLE"
    UNSTABLE = "UNSTABLE"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class StabilityVerdict:
    """Whether the workers kept up with a sustained run, with the evidence.

    `growth_ratio` is the growth of the queue divided by the offered rate: at 0.1 the queue grows by one video for every
    ten that are sent. `utilisation` is rho. `utilisation_interval` is its 90 % interval: each end is a one-sided 95 %
    limit. `arrivals` is the number of videos sent, and `arrivals_needed` the number that a verdict needs.
    `not_fetching` is true if the queue grows while slots are idle: the slots have time to process all videos, but do
    not take messages.
    """

    verdict: Stability
    growth_ratio: float
    utilisation: float
    utilisation_interval: Interval
    arrivals: int
    arrivals_needed: int | None
    long_enough: bool
    not_fetching: bool


@dataclass(frozen=True, slots=True)
class OfferedRate:
    """Rate at which the injector really sent videos, and how late it sent them.

    `on_target` is true if the rate is within 1 % of the planned rate. `generator_limited` is true if the injector was
    too slow: the p99 of the lateness exceeds a tenth of the planned interval between two videos, or the largest
    lateness exceeds the whole interval.
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
    """Judge whether the workers kept up with a sustained run, from the growth of the queue and from rho.

    `uploaded_at` and `started_at` have one entry per video, in seconds. `started_at` is the first start, or NaN for a
    video that never started. `service_seconds` and `cycle_seconds` have one entry per finished execution. A cycle is
    the service time plus the idle time of the slot while a message waited. `arrival_cv` is the coefficient of variation
    of the planned times between two videos: 0 for equal intervals, 1 for Poisson arrivals.
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

    The verdict follows from the growth of the backlog, which is the number of unfinished videos. The growth is divided
    by the offered rate. The verdict is UNSTABLE if the growth is above 5 %. It is STABLE if the growth is at most 1 %
    and the run has enough videos for a verdict. Otherwise it is INCONCLUSIVE. Utilisation is unknown.

    `uploaded_at` and `ended_at` have one entry per video, in seconds. `ended_at` is NaN for a video that has not ended.
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
    """Return the verdict for a queue growth ratio (`growth`) and an interval of the utilisation rho.

    - STABLE: the growth is at most 5 %, and the whole interval is below 1.
    - UNSTABLE: the growth is above 5 % and the interval does not end below 1. Or the whole interval is above 1.
    - INCONCLUSIVE: all other cases.

    The growth is not tested for significance. Queue lengths are correlated in time, so a trend test would report growth
    for 20-40 % of stable systems.
    """
    if growth <= GROWTH_TOLERANCE and utilisation_interval.high < 1:
        return Stability.STABLE
    if (growth > GROWTH_TOLERANCE and utilisation_interval.high >= 1) or utilisation_interval.low > 1:
        return Stability.UNSTABLE
    return Stability.INCONCLUSIVE


def growth_ratio(times: Floats, queue: Floats, rate_per_second: float) -> float:
    """Return how fast the queue grows, divided by the offered rate.

    `queue` is the number of waiting videos at each of `times` (seconds). The growth is the Theil-Sen slope: the median
    of the slopes between all pairs of samples. A single wrong sample, such as an SQS counter that reads 0 for a moment,
    hardly changes it. At most 500 samples are used, evenly chosen. The result is NaN if there are fewer than two
    samples or all times are equal.
    """
    step = max(1, math.ceil(times.size / SAMPLE_POINTS))
    times, queue = times[::step], queue[::step]
    if times.size < 2 or times.min() == times.max():
        return float("nan")
    return float(stats.theilslopes(queue, times)[0]) / rate_per_second


def utilisation(rate_per_second: float, cycle_seconds: Floats, slots: int) -> tuple[float, Interval]:
    """Return the utilisation rho = rate x mean slot cycle / slots, with its 90 % interval.

    Each end of the interval is a one-sided 95 % limit. A slot cycle is the service time plus the idle time of the slot
    while a message waited.
    """
    rho = rate_per_second * float(cycle_seconds.mean()) / slots
    if cycle_seconds.size < 2:
        return rho, Interval(0.0, float("inf"))
    half = rate_per_second * mean_half_width(cycle_seconds, confidence=0.90) / slots
    return rho, Interval(rho - half, rho + half)


def arrivals_needed(cv: float, rho: float, slots: int) -> int | None:
    """Return how many videos a run needs to distinguish the utilisation rho from 1 with 90 % power.

    `cv` is sqrt(a² + b²): a is the CV of the times between two videos, and b the CV of the slot cycles. The result is
    at least `core.run.fewest_arrivals(slots)`, the minimum for any run. It is None if rho is 1, or if rho or `cv` is
    unknown.
    """
    if not math.isfinite(cv) or not math.isfinite(rho) or rho == 1:
        return None
    return max(fewest_arrivals(slots), math.ceil((2.93 * cv * rho / (1 - rho)) ** 2))


def offered_rate(sent_at: Floats, intended_at: Floats, target_per_minute: float) -> OfferedRate:
    """Compute the rate that was really sent, and how late the videos were sent.

    `sent_at` and `intended_at` are the real and the planned send time of each video, in seconds. The rate is on target
    if it is within 1 % of the rate of the planned times. Random planned times can have another rate than
    `target_per_minute`. Without planned times, the rate is compared with `target_per_minute`.
    """
    interval = SECONDS_PER_MINUTE / target_per_minute
    planned = SECONDS_PER_MINUTE * _rate_per_second(np.sort(intended_at[np.isfinite(intended_at)]))
    expected = planned if math.isfinite(planned) else target_per_minute
    rate = SECONDS_PER_MINUTE * _rate_per_second(np.sort(sent_at[np.isfinite(sent_at)]))
    late = (sent_at - intended_at)[np.isfinite(sent_at) & np.isfinite(intended_at)]
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
    """Return start and end of the part of a run that the stability verdict is about, in seconds.

    The part begins after the first 20 % of the time between first and last arrival, or after three mean service times
    if that is later. It ends at the last arrival.
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
