"""Check by Little's law that the queue's message counts agree with the recorded times of the videos.

The law is L = X R: the mean number of videos present is rate times mean time present.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from capacity.estimators.interval import Floats

OK_EXCESS = 0.05
LARGEST_EXCESS = 0.10
FEWEST_READINGS = 10
SHIFT_RESOLUTION_SECONDS = 0.01


class Agreement(StrEnum):
    """Verdicts on whether the queue's message counts agree with the recorded times of the videos.

    The function `judge_excess` says how large a difference leads to each verdict.
    """

    OK = "ok"
    WARN = "warn"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class QueueReadings:
    """Readings of the queue: the number of messages at several moments.

    `at` has the moments in epoch seconds, in ascending order. `messages` has the number of messages at each moment.
    Visible and in-flight messages are both counted.
    """

    at: Floats
    messages: Floats


NO_READINGS = QueueReadings(np.empty(0), np.empty(0))


@dataclass(frozen=True, slots=True)
class LittleCheck:
    """Result of comparing the message counts of the queue with the recorded times of the videos.

    A video is present from its recorded arrival to its recorded end.

    - `counted_mean`: mean number of messages over all readings of the queue.
    - `implied_mean`: mean number of videos present, from the first reading to the end of the run.
    - `mismatch`: `implied_mean` / `counted_mean` - 1.
    - `agreement`: the verdict on `excess`.
    - `excess`: mean number of videos present at the moments of the readings / `counted_mean` - 1.
    - `limit`: the absolute value of `excess` above which `agreement` is INVALID.
    - `early_seconds`: how many seconds too early all arrivals are, if that alone explains a positive `excess`. None
      means that it does not, or that nothing needs an explanation.

    If `agreement` is UNKNOWN, all figures except `readings` and `early_seconds` are NaN.
    """

    counted_mean: float
    implied_mean: float
    mismatch: float
    agreement: Agreement
    excess: float
    limit: float
    readings: int
    early_seconds: float | None = None


def check_littles_law(
    readings: QueueReadings, arrived_at: Floats, left_at: Floats, run_end: float, delay_seconds: float
) -> LittleCheck:
    """Compare the queue's message counts with the number of videos present by their recorded times.

    `arrived_at` and `left_at` have one time per video. `left_at` is NaN for a video that has not left. All times are in
    epoch seconds. The queue may count a video up to `delay_seconds` late. The field `agreement` of the result is
    UNKNOWN if there is too little to compare.
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
    limit, agreement = max(LARGEST_EXCESS, delay), judge_excess(excess, delay)
    early = early_arrivals(readings, arrived, left) if agreement is not Agreement.OK and excess > 0 else None
    return LittleCheck(counted, implied, implied / counted - 1, agreement, excess, limit, readings.at.size, early)


def early_arrivals(readings: QueueReadings, arrived_at: Floats, left_at: Floats) -> float | None:
    """Return by how many seconds all arrivals are recorded too early, if that explains the readings.

    Find the smallest delay of all arrivals with which the mean number of videos present is no longer above the mean
    number of messages. Return this delay if it at least halves the mean absolute difference between videos and
    messages. Otherwise return None. All times are in seconds. `left_at` is infinite for a video that has not left.
    """
    known = np.isfinite(left_at)

    def difference(seconds: float) -> Floats:
        shifted = np.where(known, np.minimum(arrived_at + seconds, left_at), arrived_at + seconds)
        return videos_present(shifted, left_at, readings.at) - readings.messages

    low, high = 0.0, float((left_at - arrived_at)[known].max(initial=0.0))
    while high - low > SHIFT_RESOLUTION_SECONDS:
        middle = (low + high) / 2
        low, high = (middle, high) if difference(middle).mean() > 0 else (low, middle)
    is_equal = difference(high).mean() <= 0  # otherwise no shift is enough
    explains = np.abs(difference(high)).mean() <= 0.5 * np.abs(difference(0.0)).mean()
    return high if is_equal and explains else None


def videos_present(arrived_at: Floats, left_at: Floats, moments: Floats) -> Floats:
    """Return, for each moment, the number of videos that have arrived and have not left.

    All arrays are in seconds. NaN is a time that has not happened.
    """
    arrived = np.searchsorted(np.sort(arrived_at), moments, side="right")
    left = np.searchsorted(np.sort(left_at), moments, side="right")
    return (arrived - left).astype(np.float64)


def implied_mean(arrived_at: Floats, left_at: Floats, window_start: float, window_end: float) -> float:
    """Return the mean number of videos present in a time window, from the times of the videos.

    All times are in seconds. `left_at` is infinite, not NaN, for a video that has not left. The result is NaN for an
    empty window.
    """
    inside = np.minimum(left_at, window_end) - np.maximum(arrived_at, window_start)
    window = window_end - window_start
    return float(inside.clip(min=0).sum()) / window if window > 0 else float("nan")


def largest_delay_excess(arrived_at: Floats, left_at: Floats, moments: Floats, delay_seconds: float) -> float:
    """Return the largest relative difference between videos and messages that a late queue can cause.

    A late queue counts arrivals, departures or both `delay_seconds` late. The difference is |a / b - 1|: a is the mean
    number of videos present at `moments`, and b is the mean number of messages that the late queue counts. The result
    is infinite if b is 0. All times are in seconds.
    """
    recorded = float(videos_present(arrived_at, left_at, moments).mean())
    late = [
        float(videos_present(arrived_at + arrival, left_at + departure, moments).mean())
        for arrival, departure in ((delay_seconds, 0.0), (0.0, delay_seconds), (delay_seconds, delay_seconds))
    ]
    return max(abs(recorded / counted - 1) if counted > 0 else float("inf") for counted in late)


def judge_excess(excess: float, delay_excess: float) -> Agreement:
    """Return the verdict on `excess`, the relative difference between videos present and messages counted.

    The sign of `excess` is ignored. `delay_excess` is the largest difference that a late queue can cause. The first
    verdict that applies is returned:

    - UNKNOWN: `excess` is NaN or infinite.
    - OK: `excess` is at most 5 %, or at most `delay_excess`.
    - WARN: `excess` is at most 10 %.
    - INVALID: any other case.
    """
    if not np.isfinite(excess):
        return Agreement.UNKNOWN
    if abs(excess) <= max(OK_EXCESS, delay_excess):
        return Agreement.OK
    return Agreement.WARN if abs(excess) <= LARGEST_EXCESS else Agreement.INVALID
