"""Arithmetic that no system escapes: identities of times and counts that a published row must satisfy.

Every printed number is granted its rounding, half a unit of its last digit.
"""

from __future__ import annotations

import math

from capacity.audit.published_row import RATE_SLACK, Mode, PublishedRow
from core.language import Text


def impossibilities(row: PublishedRow) -> list[Text]:
    """Return every identity the row breaks, with the arithmetic."""
    return [reason for check in _CHECKS if (reason := check(row)) is not None]


def _not_positive(row: PublishedRow) -> Text | None:
    for name, printed in (("X", row.x), ("S", row.s), ("p50", row.p50)):
        if printed is not None and printed.high <= 0:
            return Text(f"{name} = {printed.value:g} no es positivo", f"{name} = {printed.value:g} is not positive")
    return None


def _cycle_beyond_makespan(row: PublishedRow) -> Text | None:
    """S <= 60 N / X: every cycle lies inside the test. Equivalent to Little: X S / 60 <= N videos in the system."""
    if row.x is None or row.s is None or row.s.low <= row.makespan_seconds:
        return None
    makespan, inside = 60 * row.count / row.x.value, row.x.value * row.s.value / 60
    numbers = f"60·{row.count}/{row.x.value:g} = {makespan:.1f} s"
    little = f"X·S/60 = {inside:.1f} > {row.count}"
    return Text(
        f"el ciclo medio {row.s.value:g} s supera la prueba entera, {numbers} ({little} videos en el sistema)",
        f"the mean cycle {row.s.value:g} s exceeds the whole test, {numbers} ({little} videos in the system)",
    )


def _more_in_system_than_sent(row: PublishedRow) -> Text | None:
    """In a paced test video k is sent 60 k / rate after the first, so S <= 60 N / X - 30 (N - 1) / rate."""
    if row.mode is not Mode.SUSTAINED or row.rate is None or row.x is None or row.s is None or row.x.low <= 0:
        return None
    paced = 30 * (row.count - 1) / row.rate
    if row.s.low > row.makespan_seconds or row.s.low <= row.makespan_seconds - paced / RATE_SLACK:
        return None
    most = (60 * row.count / row.x.value - paced) * row.x.value / 60
    numbers = f"X·S/60 = {row.x.value * row.s.value / 60:.1f} > {most:.1f}"
    return Text(
        f"{numbers}: enviados a {row.rate:g}/min no pueden estar tantos videos a la vez en el sistema",
        f"{numbers}: sent at {row.rate:g}/min, that many videos cannot be in the system at a time",
    )


def _above_offered_rate(row: PublishedRow) -> Text | None:
    """X <= rate N / (N - 1): N arrivals at the rate span N - 1 intervals, and none ends before it is sent."""
    if row.mode is not Mode.SUSTAINED or row.rate is None or row.x is None:
        return None
    most = row.rate * RATE_SLACK * row.count / (row.count - 1) if row.count > 1 else math.inf
    if row.x.low <= most:
        return None
    numbers = f"X = {row.x.value:g} > {most:.2f}/min"
    return Text(
        f"{numbers}: salen más videos de los que entran a {row.rate:g}/min",
        f"{numbers}: more videos leave than enter at {row.rate:g}/min",
    )


def _median_beyond_mean(row: PublishedRow) -> Text | None:
    """p50 <= 2 S, Markov: at least half of the non-negative cycles are >= p50, so the mean is >= p50 / 2."""
    if row.p50 is None or row.s is None or row.p50.low <= 2 * row.s.high:
        return None
    numbers = f"p50 = {row.p50.value:g} s > 2·S = {2 * row.s.value:g} s"
    return Text(
        f"{numbers}: la mitad de los ciclos ya daría una media mayor",
        f"{numbers}: half of the cycles alone would make the mean larger",
    )


def _median_beyond_makespan(row: PublishedRow) -> Text | None:
    if row.p50 is None or row.x is None or row.p50.low <= row.makespan_seconds:
        return None
    numbers = f"p50 = {row.p50.value:g} s > 60·{row.count}/{row.x.value:g} = {60 * row.count / row.x.value:.1f} s"
    return Text(f"{numbers}: la mediana supera la prueba entera", f"{numbers}: the median exceeds the whole test")


def _mean_beyond_median_and_makespan(row: PublishedRow) -> Text | None:
    """S <= (p50 + makespan) / 2: half of the cycles are <= p50, the others end within the test."""
    if row.p50 is None or row.s is None or row.x is None:
        return None
    if row.s.low <= (row.p50.high + row.makespan_seconds) / 2 or row.s.low > row.makespan_seconds:
        return None
    most = (row.p50.value + 60 * row.count / row.x.value) / 2
    numbers = f"S = {row.s.value:g} s > (p50 + 60·N/X)/2 = {most:.1f} s"
    return Text(
        f"{numbers}: la mitad no pasa de p50 y el resto no pasa del fin de la prueba",
        f"{numbers}: half stay within p50 and the rest within the test",
    )


_CHECKS = (
    _not_positive,
    _cycle_beyond_makespan,
    _more_in_system_than_sent,
    _above_offered_rate,
    _median_beyond_mean,
    _median_beyond_makespan,
    _mean_beyond_median_and_makespan,
)
