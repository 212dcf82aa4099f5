"""Throughput: the scenario's X and S, and X_sat (the throughput with every slot busy).

All times are seconds on one clock, of any origin. NaN is a time that did not happen or is unknown. A video that was
delivered twice has one entry in the per-video arrays and two executions, of which at most one is `counted`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from capacity.estimators.interval import (
    SECONDS_PER_MINUTE,
    Booleans,
    Floats,
    Integers,
    Interval,
    quantile_interval,
    t_half_width,
)
from capacity.estimators.reason import Reason

SKEW_SECONDS = 1.0


class NoCapacity(StrEnum):
    """Reasons for an unknown X_sat."""

    NO_SECOND_GENERATION = "no_second_generation"
    NO_COMPLETED_VIDEO = "no_completed_video"
    CLOCK_SKEW = "clock_skew"


@dataclass(frozen=True, slots=True)
class Executions:
    """The executions of a run, in any order: message deliveries that a worker started.

    `slot` is any integer code of the worker and its slot, or None when it is unknown. `counted` is true for the
    execution that completed its video first: failures and duplicates are load but not output.
    """

    started_at: Floats
    ended_at: Floats
    counted: Booleans
    slot: Integers | None = None
    uploaded_at: Floats | None = None

    def finished(self) -> Executions:
        """Return the executions with start and end times, in start order."""
        finite = np.flatnonzero(np.isfinite(self.started_at) & np.isfinite(self.ended_at))
        order = finite[np.lexsort((self.ended_at[finite], self.started_at[finite]))]
        return Executions(
            self.started_at[order],
            self.ended_at[order],
            self.counted[order],
            None if self.slot is None else self.slot[order],
            None if self.uploaded_at is None else self.uploaded_at[order],
        )


@dataclass(frozen=True, slots=True)
class Scenario:
    """X and S as the scenario document defines them; NaN is unknown.

    While videos are unfinished, `response_mean_seconds` is a lower bound of S.
    """

    throughput_per_minute: float
    response_mean_seconds: float


@dataclass(frozen=True, slots=True)
class SlotCycles:
    """Service time plus idle time with work waiting, per execution in start order.

    `gap_seconds` is that idle time, NaN for the last execution of a slot.
    """

    cycle_seconds: Floats
    gap_seconds: Floats
    service_seconds: Floats
    counted: Booleans


@dataclass(frozen=True, slots=True)
class SaturatedThroughput:
    """X_sat in videos per minute, with its interval; `per_minute` is None where `reason` says why.

    The 95 % interval is of this run. It does not include differences between runs.
    """

    per_minute: float | None
    interval: Interval | None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class ServiceStatistics:
    """Moments and quantiles of the service time; `cv` is NaN under two values."""

    count: int
    mean_seconds: float
    cv: float
    p50_seconds: float
    p95_seconds: float
    p95_interval: Interval


def scenario_burst(uploaded_at: Floats, updated_at: Floats, done: Booleans | None = None) -> Scenario:
    """Return X = done / (last completion - first upload) and S = mean(updated_at - uploaded_at)."""
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
    """Return X over completions inside the window and S over the videos *uploaded* inside it.

    Selecting by completion would drop the slow ones: S would be up to 30 % too low under overload.
    """
    completed = _completed(updated_at, done)
    inside = completed & (updated_at >= window_start) & (updated_at <= window_end)
    uploaded = (uploaded_at >= window_start) & (uploaded_at <= window_end)
    latest = max(window_end, float(np.nanmax(updated_at, initial=window_end)))
    response = _response_mean(uploaded_at[uploaded], updated_at[uploaded], completed[uploaded], latest)
    return Scenario(_rate(inside.sum(), window_end - window_start), response)


def slot_cycles(executions: Executions, slots: int) -> SlotCycles:
    """Return the slot cycle per execution: service plus idle time of its slot while a video waited.

    The last execution of a slot has no successor and takes the mean observed gap (0 when none was observed).
    """
    finished = executions.finished()
    service = finished.ended_at - finished.started_at
    successor = _successors(finished, slots)
    gap = np.full(service.size, np.nan)
    followed = successor >= 0
    after = successor[followed]
    free_at = finished.ended_at[followed]
    if finished.uploaded_at is not None:
        free_at = np.fmax(free_at, finished.uploaded_at[after])  # a slot with an empty queue has no work to start
    gap[followed] = finished.started_at[after] - free_at
    typical = float(gap[followed].mean()) if followed.any() else 0.0
    return SlotCycles(service + np.where(followed, gap, typical), gap, service, finished.counted)


def saturated_throughput(executions: Executions, slots: int) -> SaturatedThroughput:
    """Return X_sat from executions; the method is that of `saturated_throughput_of_cycles`."""
    return saturated_throughput_of_cycles(slot_cycles(executions, slots), slots)


def saturated_throughput_of_cycles(cycles: SlotCycles, slots: int) -> SaturatedThroughput:
    """Return X_sat = slots / mean slot cycle per completed video, with its t interval.

    Executions are selected by start rank, which does not depend on their own duration. The last `slots` of them run
    in an emptying machine and are left out once there are three generations. X_sat is unknown for N <= slots.
    """
    count = cycles.cycle_seconds.size
    if count <= slots:
        return _unknown(NoCapacity.NO_SECOND_GENERATION, executions=count, slots=slots)
    used = slice(0, count - slots) if count >= 3 * slots else slice(None)
    return _from_cycles(cycles.cycle_seconds[used], cycles.counted[used], slots)


def filling_efficiency(scenario_per_minute: float, saturated_per_minute: float | None) -> float:
    """Return X / X_sat, the share of X_sat that a burst of this size shows.

    Under 0.9 the number of videos is too small.
    """
    return scenario_per_minute / saturated_per_minute if saturated_per_minute else float("nan")


def service_statistics(started_at: Floats, ended_at: Floats) -> ServiceStatistics:
    """Return moments and quantiles of the service time over the executions with start and end."""
    service = (ended_at - started_at)[np.isfinite(started_at) & np.isfinite(ended_at)]
    if not service.size:
        nan = float("nan")
        return ServiceStatistics(0, nan, nan, nan, nan, Interval(float("-inf"), float("inf")))
    mean = float(service.mean())
    cv = float(service.std(ddof=1)) / mean if service.size > 1 and mean else float("nan")
    p50, p95 = (float(q) for q in np.quantile(service, (0.5, 0.95)))
    return ServiceStatistics(service.size, mean, cv, p50, p95, quantile_interval(service, 0.95))


def skewed_stamps(cycles: SlotCycles) -> int:
    """Count the executions whose times show that a clock ran backwards.

    These have a service time under 0 or a gap under -1 s.
    """
    return int(np.count_nonzero((cycles.service_seconds < 0) | (cycles.gap_seconds < -SKEW_SECONDS)))


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


def _successors(finished: Executions, slots: int) -> Integers:
    """Return, for each execution, the position of the slot's next execution; -1 for none.

    Executions are in start order. Recycled processes (more ids than slots) and unknown ids are chained by rank:
    the k-th end frees the place that the (k+slots)-th start takes. The sum of the gaps, hence X_sat over all
    executions, is the same for every chaining once each slot has started before any takes its second execution.
    """
    successor = np.full(finished.started_at.size, -1, dtype=np.int64)
    if finished.slot is None or np.unique(finished.slot).size > slots:
        by_end = np.argsort(finished.ended_at, kind="stable")
        taken = np.arange(slots, by_end.size)
        successor[by_end[: taken.size]] = taken
        return successor
    by_slot = np.argsort(finished.slot, kind="stable")
    same = finished.slot[by_slot][:-1] == finished.slot[by_slot][1:]
    successor[by_slot[:-1][same]] = by_slot[1:][same]
    return successor


def _unknown(code: NoCapacity, **values: int) -> SaturatedThroughput:
    return SaturatedThroughput(None, None, Reason(code, values))


def _from_cycles(cycle: Floats, counted: Booleans, slots: int) -> SaturatedThroughput:
    """Return X_sat by a ratio estimate: slot seconds per completed video.

    Failed executions count in the slot seconds only.
    """
    share = float(counted.mean())
    if share == 0:
        return _unknown(NoCapacity.NO_COMPLETED_VIDEO, executions=cycle.size)
    per_video = float(cycle.mean()) / share
    if per_video <= 0:
        return _unknown(NoCapacity.CLOCK_SKEW, executions=cycle.size)
    half = t_half_width(cycle - per_video * counted) / share
    rate = SECONDS_PER_MINUTE * slots / per_video
    return SaturatedThroughput(rate, _rate_interval(slots, per_video, half))


def _rate_interval(slots: int, mean: float, half: float) -> Interval | None:
    if not np.isfinite(half):
        return None
    high = SECONDS_PER_MINUTE * slots / (mean - half) if mean > half else float("inf")
    return Interval(SECONDS_PER_MINUTE * slots / (mean + half), high)
