"""How many videos a minute: the scenario's X and S, and the nominal capacity X_sat with its interval.

All times are seconds on one clock, of any origin; NaN means it did not happen or is not known. Videos that were
delivered twice appear once in the per-video arrays and as two executions, of which at most one is `counted`.
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
from core.language import Text

SKEW_SECONDS = 1.0


class Estimator(StrEnum):
    """Which formula gave X_sat."""

    SLOT_TRIM = "slot_trim"
    SLOT_ALL = "slot_all"


@dataclass(frozen=True, slots=True)
class Executions:
    """Every delivery of a run, in any order.

    `slot` is any integer code of the worker process, or None when it is unknown; `counted` is true for the execution
    that completed its video first, so failures and duplicates are load but not output.
    """

    started_at: Floats
    ended_at: Floats
    counted: Booleans
    slot: Integers | None = None
    uploaded_at: Floats | None = None

    def finished(self) -> Executions:
        """Return the executions with both stamps, in start order."""
        known = np.flatnonzero(np.isfinite(self.started_at) & np.isfinite(self.ended_at))
        order = known[np.lexsort((self.ended_at[known], self.started_at[known]))]
        return Executions(
            self.started_at[order],
            self.ended_at[order],
            self.counted[order],
            None if self.slot is None else self.slot[order],
            None if self.uploaded_at is None else self.uploaded_at[order],
        )


@dataclass(frozen=True, slots=True)
class Scenario:
    """X and S exactly as the scenario document defines them.

    With `censored` > 0 videos still unfinished, `cycle_mean_seconds` is a lower bound of S.
    """

    throughput_per_minute: float
    cycle_mean_seconds: float
    completed: int
    censored: int
    window_seconds: float


@dataclass(frozen=True, slots=True)
class SlotCycles:
    """Service plus idle-while-work-waits of each execution, in start order; `gap_seconds` is NaN on a slot's last."""

    cycle_seconds: Floats
    gap_seconds: Floats
    service_seconds: Floats
    counted: Booleans


@dataclass(frozen=True, slots=True)
class SaturatedThroughput:
    """X_sat, videos a minute with every slot busy; `per_minute` is None with the `reason` when it cannot be had.

    The interval is a within-run 95 % interval: it knows nothing of differences between runs.
    """

    per_minute: float | None
    interval: Interval | None
    estimator: Estimator | None
    sample_size: int
    reason: Text | None = None


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
    """Return X = N_ok / (last completion - first upload) and S = mean(updated_at - uploaded_at) of a burst."""
    completed = _completed(updated_at, done)
    if not completed.any():
        return Scenario(float("nan"), float("nan"), 0, _pending(uploaded_at, updated_at), float("nan"))
    window = float(updated_at[completed].max() - np.nanmin(uploaded_at))
    cycle, censored = _cycle_mean(uploaded_at, updated_at, completed, np.nanmax(updated_at))
    return Scenario(_rate(completed.sum(), window), cycle, int(completed.sum()), censored, window)


def scenario_sustained(
    uploaded_at: Floats,
    updated_at: Floats,
    window_start: float,
    window_end: float,
    done: Booleans | None = None,
) -> Scenario:
    """Return X over completions inside the window and S over the videos *uploaded* inside it.

    Selecting by completion would drop the slow ones: up to 30 % too low an S under overload.
    """
    completed = _completed(updated_at, done)
    inside = completed & (updated_at >= window_start) & (updated_at <= window_end)
    ours = (uploaded_at >= window_start) & (uploaded_at <= window_end)
    latest = max(window_end, float(np.nanmax(updated_at, initial=window_end)))
    cycle, censored = _cycle_mean(uploaded_at[ours], updated_at[ours], completed[ours], latest)
    window = window_end - window_start
    return Scenario(_rate(inside.sum(), window), cycle, int(inside.sum()), censored, window)


def slot_cycles(executions: Executions, slots: int) -> SlotCycles:
    """Return the cycle of each finished execution: its service plus the idle time of its slot while a video waited.

    The last execution of a slot has no successor and takes the mean observed gap (0 when none was observed).
    """
    ours = executions.finished()
    service = ours.ended_at - ours.started_at
    successor = _successors(ours, slots)
    gap = np.full(service.size, np.nan)
    followed = successor >= 0
    after = successor[followed]
    free_at = ours.ended_at[followed]
    if ours.uploaded_at is not None:
        free_at = np.fmax(free_at, ours.uploaded_at[after])  # idle with an empty queue is not the slot's doing
    gap[followed] = ours.started_at[after] - free_at
    typical = float(gap[followed].mean()) if followed.any() else 0.0
    return SlotCycles(service + np.where(followed, gap, typical), gap, service, ours.counted)


def saturated_throughput(executions: Executions, slots: int) -> SaturatedThroughput:
    """Return X_sat of these executions; see `saturated_throughput_of_cycles`."""
    return saturated_throughput_of_cycles(slot_cycles(executions, slots), slots)


def saturated_throughput_of_cycles(cycles: SlotCycles, slots: int) -> SaturatedThroughput:
    """Return X_sat = slots / mean slot cycle per completed video, with its t interval.

    Executions are selected by start rank, which does not depend on their own duration; the last `slots` of them run
    in an emptying machine and are left out once there are three generations. Undefined for N <= slots.
    """
    count = cycles.cycle_seconds.size
    if count <= slots:
        return _undefined(
            count,
            f"{count} intentos en {slots} slots: no hay segunda generación",
            f"{count} executions on {slots} slots: no second generation",
        )
    trimmed = count >= 3 * slots
    used = slice(0, count - slots) if trimmed else slice(None)
    estimator = Estimator.SLOT_TRIM if trimmed else Estimator.SLOT_ALL
    return _from_cycles(cycles.cycle_seconds[used], cycles.counted[used], slots, estimator)


def filling_efficiency(scenario_per_minute: float, saturated_per_minute: float | None) -> float:
    """Return X / X_sat, the share of the capacity a burst of this size could show; under 0.9 N was too small."""
    return scenario_per_minute / saturated_per_minute if saturated_per_minute else float("nan")


def service_statistics(started_at: Floats, ended_at: Floats) -> ServiceStatistics:
    """Return moments and quantiles of the service time over executions with both stamps."""
    service = (ended_at - started_at)[np.isfinite(started_at) & np.isfinite(ended_at)]
    if not service.size:
        nan = float("nan")
        return ServiceStatistics(0, nan, nan, nan, nan, Interval(float("-inf"), float("inf")))
    mean = float(service.mean())
    cv = float(service.std(ddof=1)) / mean if service.size > 1 and mean else float("nan")
    p50, p95 = (float(q) for q in np.quantile(service, (0.5, 0.95)))
    return ServiceStatistics(service.size, mean, cv, p50, p95, quantile_interval(service, 0.95))


def skewed_stamps(cycles: SlotCycles) -> int:
    """Return how many executions show a clock that ran backwards: service under 0 or a gap under -1 s."""
    return int(np.count_nonzero((cycles.service_seconds < 0) | (cycles.gap_seconds < -SKEW_SECONDS)))


def _completed(updated_at: Floats, done: Booleans | None) -> Booleans:
    known: Booleans = np.isfinite(updated_at)
    return known if done is None else known & done


def _pending(uploaded_at: Floats, updated_at: Floats) -> int:
    return int(np.count_nonzero(np.isfinite(uploaded_at) & ~np.isfinite(updated_at)))


def _cycle_mean(uploaded_at: Floats, updated_at: Floats, completed: Booleans, latest: float) -> tuple[float, int]:
    """Return mean cycle and the count of unfinished videos, which enter with the time they have waited so far."""
    pending = np.isfinite(uploaded_at) & ~np.isfinite(updated_at)
    known = (completed & np.isfinite(uploaded_at)) | pending
    if not known.any():
        return float("nan"), 0
    until = np.where(pending, np.fmax(latest, uploaded_at), updated_at)
    return float((until[known] - uploaded_at[known]).mean()), int(pending.sum())


def _rate(count: float, seconds: float) -> float:
    return SECONDS_PER_MINUTE * float(count) / seconds if seconds > 0 else float("nan")


def _successors(ours: Executions, slots: int) -> Integers:
    """Return for each execution the position of the one its slot took next, -1 for none; executions in start order.

    Recycled processes (more ids than slots) and unknown ids are chained by rank: the k-th end frees the place that
    the (k+slots)-th start takes. The sum of the gaps, hence X_sat over all executions, is the same for every chaining
    once each slot has begun before any takes its second execution.
    """
    successor = np.full(ours.started_at.size, -1, dtype=np.int64)
    if ours.slot is None or np.unique(ours.slot).size > slots:
        by_end = np.argsort(ours.ended_at, kind="stable")
        taken = np.arange(slots, by_end.size)
        successor[by_end[: taken.size]] = taken
        return successor
    by_slot = np.argsort(ours.slot, kind="stable")
    same = ours.slot[by_slot][:-1] == ours.slot[by_slot][1:]
    successor[by_slot[:-1][same]] = by_slot[1:][same]
    return successor


def _undefined(sample_size: int, es: str, en: str) -> SaturatedThroughput:
    return SaturatedThroughput(None, None, None, sample_size, Text(es, en))


def _from_cycles(cycle: Floats, counted: Booleans, slots: int, estimator: Estimator) -> SaturatedThroughput:
    """Return X_sat as a ratio estimate: seconds of slot time per completed video, failures in the numerator only."""
    share = float(counted.mean())
    if share == 0:
        return _undefined(cycle.size, "ningún intento terminó un video", "no execution completed a video")
    per_video = float(cycle.mean()) / share
    if per_video <= 0:
        return _undefined(
            cycle.size,
            "ciclos no positivos: relojes desajustados",
            "slot cycles are not positive: clock skew",
        )
    half = t_half_width(cycle - per_video * counted) / share
    rate = SECONDS_PER_MINUTE * slots / per_video
    return SaturatedThroughput(rate, _rate_interval(slots, per_video, half), estimator, cycle.size)


def _rate_interval(slots: int, mean: float, half: float) -> Interval | None:
    if not np.isfinite(half):
        return None
    high = SECONDS_PER_MINUTE * slots / (mean - half) if mean > half else float("inf")
    return Interval(SECONDS_PER_MINUTE * slots / (mean + half), high)
