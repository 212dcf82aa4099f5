"""Find impossible rows of a published result table: rows whose numbers break an identity.

An identity is an equation or inequality that every system satisfies, such as S <= 60 N / X. The checks allow for the
rounding of the numbers. The means of several runs satisfy only the identities in HOLD_FOR_MEANS for certain.
"""

from __future__ import annotations

import math
from enum import StrEnum

from capacity.audit.published_row import RATE_SLACK, PublishedRow
from capacity.estimators.reason import Reason
from core.run import Mode


class Impossibility(StrEnum):
    """Codes of the identities (equations or inequalities) that a row can break, such as S <= 60 N / X."""

    NOT_POSITIVE = "not_positive"
    S_UNDER_INTERVAL = "s_under_interval"
    S_BEYOND_TEST = "s_beyond_test"
    MORE_PRESENT_THAN_SENT = "more_present_than_sent"
    X_ABOVE_RATE = "x_above_rate"
    MEDIAN_BEYOND_MEAN = "median_beyond_mean"
    MEDIAN_BEYOND_TEST = "median_beyond_test"
    S_BEYOND_MEDIAN_AND_TEST = "s_beyond_median_and_test"


#: identities that the means of several runs satisfy too; S <= 60 N / X can fail, because mean(1 / X) > 1 / mean(X)
HOLD_FOR_MEANS = frozenset({Impossibility.NOT_POSITIVE, Impossibility.S_UNDER_INTERVAL, Impossibility.X_ABOVE_RATE})


def impossibilities(row: PublishedRow) -> list[Reason]:
    """Return one reason, with its arithmetic, for each identity (such as S <= 60 N / X) that a row breaks."""
    return [reason for check in _CHECKS if (reason := check(row)) is not None]


def is_certain(row: PublishedRow, reason: Reason) -> bool:
    """Return True if the broken identity in `reason` proves that the row is impossible.

    An identity is an equation or inequality, such as S <= 60 N / X. For a row of one run, every broken identity is a
    proof. For the mean of several runs, only the identities in HOLD_FOR_MEANS are proofs.
    """
    return row.runs == 1 or reason.code in HOLD_FOR_MEANS


def _not_positive(row: PublishedRow) -> Reason | None:
    for name, printed in (("X", row.x), ("S", row.s), ("p50", row.p50)):
        if printed is not None and printed.high <= 0:
            return Reason(Impossibility.NOT_POSITIVE, {"column": name, "value": printed.value})
    return None


def _s_under_interval(row: PublishedRow) -> Reason | None:
    """Check S >= 60 / X in a burst: the mean number of videos present, X S / 60, is at least 1.

    The last video is present from the start of a burst to its end.
    """
    if row.mode is not Mode.BURST or row.x is None or row.s is None or row.x.high <= 0:
        return None
    if row.s.high >= 60 / row.x.high or row.s.high <= 0:
        return None
    values = {"s_seconds": row.s.value, "x_per_minute": row.x.value, "least_seconds": 60 / row.x.high}
    return Reason(Impossibility.S_UNDER_INTERVAL, values)


def _s_beyond_test(row: PublishedRow) -> Reason | None:
    """Check S <= 60 N / X: the mean response time is not longer than the test.

    By Little's law, X S / 60 <= N.
    """
    if row.x is None or row.s is None or row.count is None or not row.all_end_in_test:
        return None
    if row.s.low <= row.makespan_seconds:
        return None
    return Reason(
        Impossibility.S_BEYOND_TEST,
        {
            "s_seconds": row.s.value,
            "count": row.count,
            "x_per_minute": row.x.value,
            "makespan_seconds": 60 * row.count / row.x.value,
            "videos_present": row.x.value * row.s.value / 60,
        },
    )


def _more_present_than_sent(row: PublishedRow) -> Reason | None:
    """Check S <= 60 N / X - 30 (N - 1) / rate, for a test with a fixed rate.

    Video k is sent 60 k / rate seconds after the first, so later videos have less time.
    """
    if row.mode is not Mode.SUSTAINED or row.rate is None or row.x is None or row.s is None or row.count is None:
        return None
    if row.x.low <= 0 or not row.all_end_in_test:
        return None
    paced = 30 * (row.count - 1) / row.rate
    if row.s.low > row.makespan_seconds or row.s.low <= row.makespan_seconds - paced / RATE_SLACK:
        return None
    return Reason(
        Impossibility.MORE_PRESENT_THAN_SENT,
        {
            "videos_present": row.x.value * row.s.value / 60,
            "most_videos_present": (60 * row.count / row.x.value - paced) * row.x.value / 60,
            "rate_per_minute": row.rate,
        },
    )


def _x_above_rate(row: PublishedRow) -> Reason | None:
    """Check X <= rate N / (N - 1).

    N arrivals span N - 1 intervals, and no video ends before it is sent.
    """
    if row.mode is not Mode.SUSTAINED or row.rate is None or row.x is None or row.count is None:
        return None
    most = row.rate * RATE_SLACK * row.count / (row.count - 1) if row.count > 1 else math.inf
    if row.x.low <= most:
        return None
    values = {"x_per_minute": row.x.value, "most_per_minute": most, "rate_per_minute": row.rate}
    return Reason(Impossibility.X_ABOVE_RATE, values)


def _median_beyond_mean(row: PublishedRow) -> Reason | None:
    """Check p50 <= 2 S (Markov's inequality).

    At least half of the response times are p50 or longer, so the mean is at least p50 / 2.
    """
    if row.p50 is None or row.s is None or row.p50.low <= 2 * row.s.high:
        return None
    values = {"p50_seconds": row.p50.value, "twice_s_seconds": 2 * row.s.value}
    return Reason(Impossibility.MEDIAN_BEYOND_MEAN, values)


def _median_beyond_test(row: PublishedRow) -> Reason | None:
    """Check p50 <= 60 N / X: the median response time is not longer than the test."""
    if row.p50 is None or row.x is None or row.count is None or not row.all_end_in_test:
        return None
    if row.p50.low <= row.makespan_seconds:
        return None
    return Reason(
        Impossibility.MEDIAN_BEYOND_TEST,
        {
            "p50_seconds": row.p50.value,
            "count": row.count,
            "x_per_minute": row.x.value,
            "makespan_seconds": 60 * row.count / row.x.value,
        },
    )


def _s_beyond_median_and_test(row: PublishedRow) -> Reason | None:
    """Check S <= (p50 + makespan) / 2.

    Half of the response times are at most p50, and the others are at most the length of the test.
    """
    if row.p50 is None or row.s is None or row.x is None or row.count is None or not row.all_end_in_test:
        return None
    if row.s.low <= (row.p50.high + row.makespan_seconds) / 2 or row.s.low > row.makespan_seconds:
        return None
    most = (row.p50.value + 60 * row.count / row.x.value) / 2
    return Reason(Impossibility.S_BEYOND_MEDIAN_AND_TEST, {"s_seconds": row.s.value, "most_seconds": most})


_CHECKS = (
    _not_positive,
    _s_under_interval,
    _s_beyond_test,
    _more_present_than_sent,
    _x_above_rate,
    _median_beyond_mean,
    _median_beyond_test,
    _s_beyond_median_and_test,
)
