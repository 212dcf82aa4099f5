"""Compute X, S and X_sat of a run: two throughputs and the mean response time.

The scenario document defines X (completed videos per minute) and S (mean response time). All times are in seconds. A
time is NaN if it is unknown or its event has not happened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from capacity.estimators.correlation import batch_half_width, drifts, neighbours_correlate
from capacity.estimators.interval import (
    SECONDS_PER_MINUTE,
    Booleans,
    Floats,
    Interval,
    quantile_interval,
    t_half_width,
)
from capacity.estimators.reason import Reason
from capacity.estimators.slots import Executions, successors, working_slots

SKEW_SECONDS = 1.0
#: generations (videos per slot) from which the last `slots` executions are left out, and the interval holds
FEWEST_GENERATIONS = 3
#: generations from which the first execution of each slot is left out as well
COLD_GENERATIONS = 4
#: start and end of an execution are read from clocks; a smaller negative gap is not a contradiction
CLOCK_RESOLUTION_RATIO = 0.001


class NoCapacity(StrEnum):
    """Codes of the reasons why X_sat, the throughput with every slot busy, is unknown."""

    NO_SECOND_GENERATION = "no_second_generation"
    NO_COMPLETED_VIDEO = "no_completed_video"
    CLOCK_SKEW = "clock_skew"
    OVERLAPPING_EXECUTIONS = "overlapping_executions"
    FASTER_THAN_SERVICE = "faster_than_service"
    IDLE_SLOTS = "idle_slots"
    AUTOSCALE = "autoscale"

    @property
    def is_impossible(self) -> bool:
        """Return True if this reason for an unknown X_sat also makes the run invalid.

        Too few executions, no completed video, or a number of slots that changes do not make the run invalid. Every
        other reason does.
        """
        return self not in {NoCapacity.NO_SECOND_GENERATION, NoCapacity.NO_COMPLETED_VIDEO, NoCapacity.AUTOSCALE}


class CapacitySource(StrEnum):
    """Recorded times from which X_sat was computed.

    - SLOTS: the start and the end of each execution.
    - COMPLETION_TIMES: only the end of each video, because the worker is not instrumented.
    """

    SLOTS = "slots"
    COMPLETION_TIMES = "completion_times"


class FirstVideos(StrEnum):
    """What the computation of X_sat did with the first video of each slot.

    - LEFT_OUT: not used, because a cold start can make the video slower.
    - INCLUDED: used, because the run had too few other videos.
    - WARM: used, because the slots had processed warm-up videos before the run.
    """

    LEFT_OUT = "left_out"
    INCLUDED = "included"
    WARM = "warm"


@dataclass(frozen=True, slots=True)
class Scenario:
    """X (videos per minute) and S (mean response time in seconds), as the scenario document defines them.

    NaN means unknown. While videos are unfinished, `response_mean_seconds` is a lower bound of S.
    """

    throughput_per_minute: float
    response_mean_seconds: float


@dataclass(frozen=True, slots=True)
class SlotCycles:
    """Slot cycles of a run: service time of each execution plus the idle time of its slot after it.

    Each field is an array with one entry per execution, in start order.

    - `cycle_seconds`: the slot cycle. For the last execution of a slot, the mean idle time of the run is used.
    - `gap_seconds`: idle time of the slot after the execution, while its next video waited. NaN for the last execution.
    - `counted`: True if the execution completed its video.
    - `is_first`: True for the first execution of each slot.
    """

    cycle_seconds: Floats
    gap_seconds: Floats
    service_seconds: Floats
    counted: Booleans
    is_first: Booleans

    def settled(self, slots: int) -> Floats:
        """Return the cycles without the first of each slot, and without the last `slots` of the run.

        The first can include a cold start, and the last ones ran while other slots had no work left.
        """
        return self.cycle_seconds[:-slots][~self.is_first[:-slots]]


@dataclass(frozen=True, slots=True)
class SaturatedThroughput:
    """X_sat in videos per minute, with its 95 % interval.

    If X_sat is unknown, `per_minute` is None and `reason` says why. The interval does not include the variation of
    X_sat between runs. `first_videos` says whether the first video of each slot was used. `source` says from which
    times X_sat was computed.
    """

    per_minute: float | None
    interval: Interval | None
    reason: Reason | None = None
    first_videos: FirstVideos | None = None
    source: CapacitySource = CapacitySource.SLOTS


@dataclass(frozen=True, slots=True)
class ServiceStatistics:
    """Number of done videos, and mean, spread and percentiles of their service times in seconds.

    `cv` is the coefficient of variation, NaN below two values. `p95_interval` is the 95 % interval of the 95th
    percentile.
    """

    count: int
    mean_seconds: float
    cv: float
    p50_seconds: float
    p95_seconds: float
    p95_interval: Interval


def scenario_burst(uploaded_at: Floats, updated_at: Floats, done: Booleans | None = None) -> Scenario:
    """Return X (videos per minute) and S (mean response time in seconds) of a burst.

    X = 60 · completed videos / (last completion - first upload). S counts an unfinished video up to the latest
    `updated_at`. The arrays have one entry per video, in seconds. Without `done`, every video with an `updated_at`
    counts as completed. X and S are NaN if no video is completed.
    """
    completed = _completed(updated_at, done)
    if not completed.any():
        return Scenario(float("nan"), float("nan"))
    window = float(updated_at[completed].max() - np.nanmin(uploaded_at))
    response = _response_mean(uploaded_at, updated_at, completed, np.nanmax(updated_at))
    return Scenario(_rate(completed.sum(), window), response)


def scenario_sustained(
    uploaded_at: Floats,
    updated_at: Floats,
    window_start: float,
    window_end: float,
    done: Booleans | None = None,
) -> Scenario:
    """Return X and S of a sustained run, in which videos were sent from `window_start` to `window_end`.

    X is the number of videos completed inside this window, per minute. S is the mean response time of the videos
    uploaded inside the window. The arrays have one entry per video, in seconds. Without `done`, every video with an
    `updated_at` counts as completed.
    """
    completed = _completed(updated_at, done)
    inside = completed & (updated_at >= window_start) & (updated_at <= window_end)
    # S of the videos completed inside the window would miss the slow ones: up to 30 % too low under overload
    uploaded = (uploaded_at >= window_start) & (uploaded_at <= window_end)
    latest = max(window_end, float(np.nanmax(updated_at, initial=window_end)))
    response = _response_mean(uploaded_at[uploaded], updated_at[uploaded], completed[uploaded], latest)
    return Scenario(_rate(inside.sum(), window_end - window_start), response)


def slot_cycles(executions: Executions, slots: int, slots_per_worker: int | None = None) -> SlotCycles:
    """Return the slot cycle of each execution: service time plus idle time of its slot while work waited.

    `slots` is the number of slots of all workers, and `slots_per_worker` that of one worker. By default there is one
    worker.
    """
    finished = executions.finished()
    service = finished.ended_at - finished.started_at
    successor = successors(finished, slots, slots_per_worker or slots)
    gap = np.full(service.size, np.nan)
    followed = successor >= 0
    after = successor[followed]
    free_at = finished.ended_at[followed]
    if finished.uploaded_at is not None:
        free_at = np.fmax(free_at, finished.uploaded_at[after])  # a slot with an empty queue has no work to start
    gap[followed] = finished.started_at[after] - free_at
    typical = float(gap[followed].mean()) if followed.any() else 0.0
    is_first = np.ones(service.size, dtype=bool)
    is_first[after] = False
    return SlotCycles(service + np.where(followed, gap, typical), gap, service, finished.counted, is_first)


def saturated_throughput(
    executions: Executions,
    slots: int,
    slots_per_worker: int | None = None,
    *,
    is_warm: bool = False,
    cycles: SlotCycles | None = None,
) -> SaturatedThroughput:
    """Compute X_sat from the executions of a run in which messages waited all the time.

    `slots` is the number of slots of all workers, and `slots_per_worker` that of one worker. `is_warm` means that the
    slots processed warm-up videos before. `cycles` are the slot cycles of the executions, if the caller has them
    already. X_sat is unknown if a slot never worked or stopped early, among other reasons (`NoCapacity`).
    """
    cycles = cycles or slot_cycles(executions, slots, slots_per_worker)
    working = working_slots(executions, slots, slots_per_worker or slots)
    saturated = saturated_throughput_of_cycles(cycles, slots, is_warm=is_warm)
    if working == slots or saturated.per_minute is None or cycles.cycle_seconds.size < FEWEST_GENERATIONS * slots:
        return saturated
    # a chain by rank counts the idle time of slots that never worked or stopped
    others = saturated_throughput_of_cycles(slot_cycles(replace(executions, slot=None), slots), slots, is_warm=is_warm)
    values = {"working": working, "slots": slots, "working_per_minute": others.per_minute}
    return SaturatedThroughput(None, None, Reason(NoCapacity.IDLE_SLOTS, values))


def saturated_throughput_of_cycles(cycles: SlotCycles, slots: int, *, is_warm: bool = False) -> SaturatedThroughput:
    """Compute X_sat, in videos per minute: 60 · slots · completed videos / sum of slot cycles (seconds).

    - From three executions per slot on, the last `slots` executions are left out.
    - From four executions per slot on, the first execution of each slot is left out too. With `is_warm` it is used,
      because the slots processed warm-up videos before.

    X_sat is unknown for no more executions than slots, without a completed video, or if the recorded times are
    impossible.
    """
    count = cycles.cycle_seconds.size
    if count <= slots:
        return _unknown(NoCapacity.NO_SECOND_GENERATION, executions=count, slots=slots)
    if overlaps := int(np.count_nonzero(cycles.gap_seconds < -SKEW_SECONDS)):
        return _unknown(NoCapacity.OVERLAPPING_EXECUTIONS, executions=overlaps, slots=slots)
    first_videos = _treatment(count, slots, is_warm)
    # while the last executions ran, other slots had no work
    used = np.arange(count) < (count - slots if count >= FEWEST_GENERATIONS * slots else count)
    if first_videos is FirstVideos.LEFT_OUT:
        used &= ~cycles.is_first
    settled = cycles.settled(slots)
    half_width = batch_half_width if neighbours_correlate(settled) or drifts(settled) else t_half_width
    saturated = _from_cycles(cycles.cycle_seconds[used], cycles.counted[used], slots, half_width)
    return _possible(replace(saturated, first_videos=first_videos), cycles, used, slots)


def filling_efficiency(scenario_per_minute: float, saturated_per_minute: float | None) -> float:
    """Return X / X_sat: the throughput of a burst divided by the throughput with every slot busy.

    A value below 0.9 means that slots were idle for much of the burst. The result is NaN if X_sat is unknown.
    """
    return scenario_per_minute / saturated_per_minute if saturated_per_minute else float("nan")


def service_statistics(started_at: Floats, ended_at: Floats) -> ServiceStatistics:
    """Return the number of done videos, and mean, spread and percentiles of their service times.

    Both arrays have one entry per done video, in seconds. Videos with a NaN are left out. If none is left, the number
    is 0 and the other figures are NaN.
    """
    service = (ended_at - started_at)[np.isfinite(started_at) & np.isfinite(ended_at)]
    if not service.size:
        nan = float("nan")
        return ServiceStatistics(0, nan, nan, nan, nan, Interval(float("-inf"), float("inf")))
    mean = float(service.mean())
    cv = float(service.std(ddof=1)) / mean if service.size > 1 and mean else float("nan")
    p50, p95 = (float(q) for q in np.quantile(service, (0.5, 0.95)))
    return ServiceStatistics(service.size, mean, cv, p50, p95, quantile_interval(service, 0.95))


def _completed(updated_at: Floats, done: Booleans | None) -> Booleans:
    ended: Booleans = np.isfinite(updated_at)
    return ended if done is None else ended & done


def _response_mean(uploaded_at: Floats, updated_at: Floats, completed: Booleans, latest: float) -> float:
    """Return the mean response time; unfinished videos count with the time they have waited so far."""
    pending = np.isfinite(uploaded_at) & ~np.isfinite(updated_at)
    counted = (completed & np.isfinite(uploaded_at)) | pending
    if not counted.any():
        return float("nan")
    until = np.where(pending, np.fmax(latest, uploaded_at), updated_at)
    return float((until[counted] - uploaded_at[counted]).mean())


def _rate(count: float, seconds: float) -> float:
    return SECONDS_PER_MINUTE * float(count) / seconds if seconds > 0 else float("nan")


def _treatment(count: int, slots: int, is_warm: bool) -> FirstVideos:
    if is_warm:
        return FirstVideos.WARM
    return FirstVideos.LEFT_OUT if count >= COLD_GENERATIONS * slots else FirstVideos.INCLUDED


def _possible(saturated: SaturatedThroughput, cycles: SlotCycles, used: Booleans, slots: int) -> SaturatedThroughput:
    """Refuse an X_sat above its largest possible value: 60 * slots / mean service time.

    The mean is over the same executions.
    """
    if saturated.per_minute is None:
        return saturated
    service = float(cycles.service_seconds[used].mean()) / float(cycles.counted[used].mean())
    bound = SECONDS_PER_MINUTE * slots / service if service > 0 else 0.0
    if saturated.per_minute <= bound * (1 + CLOCK_RESOLUTION_RATIO):
        return saturated
    values = {"x_sat_per_minute": saturated.per_minute, "most_per_minute": bound}
    return SaturatedThroughput(None, None, Reason(NoCapacity.FASTER_THAN_SERVICE, values))


def _unknown(code: NoCapacity, **values: int) -> SaturatedThroughput:
    return SaturatedThroughput(None, None, Reason(code, values))


def _from_cycles(
    cycle: Floats, counted: Booleans, slots: int, half_width: Callable[[Floats], float]
) -> SaturatedThroughput:
    """Return X_sat by a ratio estimate: slot seconds per completed video.

    Failed executions count in the slot seconds only. `half_width` computes half the width of a mean's 95 % interval.
    """
    share = float(counted.mean())
    if share == 0:
        return _unknown(NoCapacity.NO_COMPLETED_VIDEO, executions=cycle.size)
    per_video = float(cycle.mean()) / share
    if per_video <= 0:
        return _unknown(NoCapacity.CLOCK_SKEW, executions=cycle.size)
    half = half_width(cycle - per_video * counted) / share
    rate = SECONDS_PER_MINUTE * slots / per_video
    return SaturatedThroughput(rate, _rate_interval(slots, per_video, half))


def _rate_interval(slots: int, mean: float, half: float) -> Interval | None:
    if not np.isfinite(half):
        return None
    high = SECONDS_PER_MINUTE * slots / (mean - half) if mean > half else float("inf")
    return Interval(SECONDS_PER_MINUTE * slots / (mean + half), high)
