"""Find suspicious rows of a published result table. Their numbers are possible, but unlikely.

Each row is checked on its own.
"""

from __future__ import annotations

from enum import StrEnum

from capacity.audit.published_row import PublishedRow
from capacity.estimators.reason import Reason
from core.run import Mode

BURST_S_BAND = (0.6, 1.4)
KEEPS_UP = 0.95


class Oddity(StrEnum):
    """Codes of patterns that are possible but unlikely. A row that shows one needs an explanation."""

    UNKNOWN_NUMBERS = "unknown_numbers"
    ROUNDED_TO_ZERO = "rounded_to_zero"
    S_WITHOUT_WAIT = "s_without_wait"
    ALL_END_LATE = "all_end_late"
    GROWING_QUEUE = "growing_queue"
    S_BEYOND_WINDOW = "s_beyond_window"
    MISSING_WAIT = "missing_wait"
    X_IGNORES_CONCURRENCY = "x_ignores_concurrency"
    SUPERLINEAR = "superlinear"
    S_IS_THE_INTERVAL = "s_is_the_interval"
    RATE_ABOVE_BURST = "rate_above_burst"
    RATE_NOT_KEPT = "rate_not_kept"
    FASTER_THAN_BURST = "faster_than_burst"
    LARGER_IS_FASTER = "larger_is_faster"


def oddities(row: PublishedRow) -> list[Reason]:
    """Return one reason for each unlikely pattern in this row. Other rows are not considered."""
    return [reason for check in _CHECKS if (reason := check(row)) is not None]


def _unknown_numbers(row: PublishedRow) -> Reason | None:
    columns = [name for name, printed in (("X", row.x), ("S", row.s)) if printed is None]
    return Reason(Oddity.UNKNOWN_NUMBERS, {"columns": columns}) if columns else None


def _rounded_to_zero(row: PublishedRow) -> Reason | None:
    printed = (("X", row.x), ("S", row.s), ("p50", row.p50))
    columns = [name for name, number in printed if number is not None and number.value == 0]
    return Reason(Oddity.ROUNDED_TO_ZERO, {"columns": columns}) if columns else None


def _unusual_burst_s(row: PublishedRow) -> Reason | None:
    """Compare S with makespan (N + c) / (2 N), the S of a burst with a constant service time."""
    if row.mode is not Mode.BURST or row.x is None or row.s is None or row.count is None or row.x.low <= 0:
        return None
    slots = min(row.slots, row.count)
    usual = 60 * row.count / row.x.value * (row.count + slots) / (2 * row.count)
    low, high = BURST_S_BAND
    values = {"s_seconds": row.s.value, "usual_seconds": usual}
    if row.s.high < low * usual:
        return Reason(Oddity.S_WITHOUT_WAIT, values)
    return Reason(Oddity.ALL_END_LATE, values) if row.s.low > high * usual else None


def _growing_queue(row: PublishedRow) -> Reason | None:
    """Compare the mean number of videos present, X S / 60, with that of a system that keeps up.

    Such a system holds about as many videos as it has slots.
    """
    if row.mode is not Mode.SUSTAINED or row.x is None or row.s is None:
        return None
    keeps_up = row.rate is None or row.x.high >= KEEPS_UP * row.rate
    if not keeps_up or row.x.low * row.s.low / 60 <= 2 * row.slots:
        return None
    values = {"videos_present": row.x.value * row.s.value / 60, "concurrency": row.slots}
    return Reason(Oddity.GROWING_QUEUE, values)


def _s_beyond_window(row: PublishedRow) -> Reason | None:
    """Compare S with 60 N / X where X may leave out the videos that ended after the window.

    S is longer only if the videos left out of X took much longer than those in it.
    """
    if row.all_end_in_test or row.s is None or row.x is None or row.s.low <= row.makespan_seconds:
        return None
    values = {"s_seconds": row.s.value, "makespan_seconds": row.makespan_seconds}
    return Reason(Oddity.S_BEYOND_WINDOW, values)


def _missing_wait(row: PublishedRow) -> Reason | None:
    """Check that a system slower than the offered rate shows a queue wait.

    Its mean wait is about N/2 (60/X - 60/rate) seconds.
    """
    if row.mode is not Mode.SUSTAINED or row.rate is None or row.x is None or row.s is None or row.count is None:
        return None
    if row.x.high >= KEEPS_UP * row.rate or row.x.low <= 0:
        return None
    wait = 30 * row.count * (1 / row.x.value - 1 / row.rate)
    if row.s.high >= 0.5 * wait:
        return None
    return Reason(
        Oddity.MISSING_WAIT,
        {
            "x_per_minute": row.x.value,
            "rate_per_minute": row.rate,
            "s_seconds": row.s.value,
            "missing_wait_seconds": wait,
        },
    )


_CHECKS = (_unknown_numbers, _rounded_to_zero, _unusual_burst_s, _growing_queue, _s_beyond_window, _missing_wait)
