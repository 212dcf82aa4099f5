"""Suspicious rows: patterns that queues seldom show and that need an explanation."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from enum import StrEnum

from capacity.audit.published_row import PublishedRow
from capacity.estimators.reason import Reason
from core.run import Mode

SAME_THROUGHPUT = 1.10
SHORTER_S = 0.80
SUPERLINEAR = 1.10
BURST_S_BAND = (0.6, 1.4)
KEEPS_UP = 0.95


class Oddity(StrEnum):
    """Patterns that need an explanation."""

    UNKNOWN_NUMBERS = "unknown_numbers"
    S_WITHOUT_WAIT = "s_without_wait"
    ALL_END_LATE = "all_end_late"
    GROWING_QUEUE = "growing_queue"
    MISSING_WAIT = "missing_wait"
    X_IGNORES_CONCURRENCY = "x_ignores_concurrency"
    SUPERLINEAR = "superlinear"
    RATE_ABOVE_BURST = "rate_above_burst"


def oddities(row: PublishedRow) -> list[Reason]:
    """Return the suspicious patterns of one row, without comparing it with other rows."""
    return [reason for check in _CHECKS if (reason := check(row)) is not None]


def oddities_between(rows: Sequence[PublishedRow]) -> Iterator[tuple[int, Reason]]:
    """Yield position and reason of each suspicious pattern between rows of one size."""
    for ladder in _ladders(rows).values():
        yield from _indifferent_to_concurrency(rows, ladder)
        yield from _superlinear(rows, ladder)
    yield from _sustained_above_burst(rows)


def _unknown_numbers(row: PublishedRow) -> Reason | None:
    columns = [name for name, printed in (("X", row.x), ("S", row.s)) if printed is None]
    return Reason(Oddity.UNKNOWN_NUMBERS, {"columns": columns}) if columns else None


def _unusual_burst_s(row: PublishedRow) -> Reason | None:
    """Compare S with makespan (N + c) / (2 N), the S of a burst with a constant service time."""
    if row.mode is not Mode.BURST or row.x is None or row.s is None or row.x.low <= 0:
        return None
    slots = min(row.concurrency, row.count)
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
    if not keeps_up or row.x.low * row.s.low / 60 <= 2 * row.concurrency:
        return None
    values = {"videos_present": row.x.value * row.s.value / 60, "concurrency": row.concurrency}
    return Reason(Oddity.GROWING_QUEUE, values)


def _missing_wait(row: PublishedRow) -> Reason | None:
    """Check that a system slower than the offered rate shows a queue wait.

    Its mean wait is about N/2 (60/X - 60/rate) seconds.
    """
    if row.mode is not Mode.SUSTAINED or row.rate is None or row.x is None or row.s is None:
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


_CHECKS = (_unknown_numbers, _unusual_burst_s, _growing_queue, _missing_wait)


def _ladders(rows: Sequence[PublishedRow]) -> dict[tuple[str, Mode], list[int]]:
    """Return the positions of complete rows, by size and mode, in order of concurrency."""
    ladders: dict[tuple[str, Mode], list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        if row.x is not None and row.s is not None and row.x.value > 0:
            ladders[row.ladder].append(position)
    for ladder in ladders.values():
        ladder.sort(key=lambda position: rows[position].concurrency)
    return ladders


def _indifferent_to_concurrency(rows: Sequence[PublishedRow], ladder: list[int]) -> Iterator[tuple[int, Reason]]:
    """Yield rows with more slots than another row, the same X and a shorter S.

    With the same X, S should not fall. Sustained rows that keep up are exempt. There the load generator sets X, and
    more slots may shorten S.
    """
    limited = [position for position in ladder if not _paced_by_generator(rows[position])]
    if len({rows[position].concurrency for position in limited}) < 2:
        return
    xs = [_x(rows[position]) for position in limited]
    first, last = rows[limited[0]], rows[limited[-1]]
    if max(xs) > SAME_THROUGHPUT * min(xs) or _s(last) > SHORTER_S * _s(first) or first.count != last.count:
        return
    values = {
        "x_least_per_minute": min(xs),
        "x_most_per_minute": max(xs),
        "s_first_seconds": _s(first),
        "s_last_seconds": _s(last),
        "slots_first": first.concurrency,
        "slots_last": last.concurrency,
    }
    yield from ((position, Reason(Oddity.X_IGNORES_CONCURRENCY, values)) for position in limited)


def _paced_by_generator(row: PublishedRow) -> bool:
    return row.mode is Mode.SUSTAINED and (row.rate is None or _x(row) >= KEEPS_UP * row.rate)


def _superlinear(rows: Sequence[PublishedRow], ladder: list[int]) -> Iterator[tuple[int, Reason]]:
    """Yield bursts whose X grows faster than their slots."""
    if not ladder or rows[ladder[0]].mode is not Mode.BURST:
        return
    base = rows[ladder[0]]
    for position in ladder[1:]:
        row = rows[position]
        gain, slots = _x(row) / _x(base), row.concurrency / base.concurrency
        if row.concurrency > base.concurrency and gain > SUPERLINEAR * slots:
            yield position, Reason(Oddity.SUPERLINEAR, {"slots_factor": slots, "x_factor": gain})


def _sustained_above_burst(rows: Sequence[PublishedRow]) -> Iterator[tuple[int, Reason]]:
    """Yield sustained rows with a higher X than the burst of the same size and concurrency."""
    bursts = {(r.ladder[0], r.concurrency): _x(r) for r in rows if r.mode is Mode.BURST and r.x and r.x.value > 0}
    for position, row in enumerate(rows):
        top = bursts.get((row.ladder[0], row.concurrency))
        if row.mode is not Mode.SUSTAINED or row.x is None or top is None or row.x.low <= SAME_THROUGHPUT * top:
            continue
        yield position, Reason(Oddity.RATE_ABOVE_BURST, {"x_per_minute": row.x.value, "burst_per_minute": top})


def _x(row: PublishedRow) -> float:
    return row.x.value if row.x is not None else math.nan


def _s(row: PublishedRow) -> float:
    return row.s.value if row.s is not None else math.nan
