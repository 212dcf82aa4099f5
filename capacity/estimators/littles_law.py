"""Little's law, L = X R, during a run: the counts of the queue against the recorded times."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from capacity.estimators.interval import Floats

OK_EXCESS = 0.05
LARGEST_EXCESS = 0.10
FEWEST_READINGS = 10


class Agreement(StrEnum):
    """Agreement of two measurements of the same quantity."""

    OK = "ok"
    WARN = "warn"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class QueueReadings:
    """Numbers of messages in the queue, visible plus in flight, and the moments at which the queue was read.

    The moments ascend. They are epoch seconds.
    """

    at: Floats
    messages: Floats


NO_READINGS = QueueReadings(np.empty(0), np.empty(0))


@dataclass(frozen=True, slots=True)
class LittleCheck:
    """Mean number of videos present: counted by the queue, and implied by the recorded times.

    `mismatch` is implied / counted - 1. `excess` is the part of it that is not due to the moments of the readings:
    recorded / counted - 1, both at these moments. `limit` is the largest excess that is accepted.
    """

    counted_mean: float
    implied_mean: float
    mismatch: float
    agreement: Agreement
    excess: float
    limit: float
    readings: int


def check_littles_law(
    readings: QueueReadings, arrived_at: Floats, left_at: Floats, run_end: float, delay_seconds: float
) -> LittleCheck:
    """Compare the readings inside the run with the videos present by the records, from the first reading on.

    `arrived_at` and `left_at` have one entry per video, in seconds. `left_at` is NaN for a video that has not ended.
    The queue may count a message up to `delay_seconds` late.
    """
    known = np.isfinite(arrived_at)
    arrived, left = arrived_at[known], np.where(np.isfinite(left_at), left_at, np.inf)[known]
    recorded = videos_present(arrived, left, readings.at)
    if readings.at.size < FEWEST_READINGS or not readings.messages.any() or not recorded.any():
        nan = float("nan")
        return LittleCheck(nan, nan, nan, Agreement.UNKNOWN, nan, nan, readings.at.size)
    counted = float(readings.messages.mean())
    implied = implied_mean(arrived, left, float(readings.at[0]), run_end)
    excess = float(recorded.mean()) / counted - 1
    delay = largest_delay_excess(arrived, left, readings.at, delay_seconds)
    limit = max(LARGEST_EXCESS, delay)
    return LittleCheck(
        counted, implied, implied / counted - 1, judge_excess(excess, delay), excess, limit, readings.at.size
    )


def videos_present(arrived_at: Floats, left_at: Floats, moments: Floats) -> Floats:
    """Return the number of videos that have arrived and not left at each moment.

    NaN is a time that has not happened.
    """
    arrived = np.searchsorted(np.sort(arrived_at), moments, side="right")
    left = np.searchsorted(np.sort(left_at), moments, side="right")
    return (arrived - left).astype(np.float64)


def implied_mean(arrived_at: Floats, left_at: Floats, window_start: float, window_end: float) -> float:
    """Return the time that videos spent inside the window over its length, which is X R; NaN for an empty window."""
    inside = np.minimum(left_at, window_end) - np.maximum(arrived_at, window_start)
    window = window_end - window_start
    return float(inside.clip(min=0).sum()) / window if window > 0 else float("nan")


def largest_delay_excess(arrived_at: Floats, left_at: Floats, moments: Floats, delay_seconds: float) -> float:
    """Return the largest excess that a perfect run shows if the queue counts up to `delay_seconds` late.

    Arrivals, departures or both are late. The result falls with longer runs and longer response times.
    """
    recorded = float(videos_present(arrived_at, left_at, moments).mean())
    late = [
        float(videos_present(arrived_at + arrival, left_at + departure, moments).mean())
        for arrival, departure in ((delay_seconds, 0.0), (0.0, delay_seconds), (delay_seconds, delay_seconds))
    ]
    return max(abs(recorded / counted - 1) if counted > 0 else float("inf") for counted in late)


def judge_excess(excess: float, delay_excess: float) -> Agreement:
    """Return ok up to 5 %, warn up to 10 %, invalid beyond; a delay of the queue may raise both limits."""
    if not np.isfinite(excess):
        return Agreement.UNKNOWN
    if abs(excess) <= max(OK_EXCESS, delay_excess):
        return Agreement.OK
    return Agreement.WARN if abs(excess) <= LARGEST_EXCESS else Agreement.INVALID
