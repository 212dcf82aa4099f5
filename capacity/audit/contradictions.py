"""Find rows of a published result table that contradict each other, across slots, sizes and modes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence

from capacity.audit.published_row import PublishedRow
from capacity.audit.suspicious import KEEPS_UP, Oddity
from capacity.estimators.reason import Reason
from core.run import Mode

SAME_THROUGHPUT = 1.10
SHORTER_S = 0.80
SUPERLINEAR = 1.10
#: a rate below this share of the burst's X should be kept
LIGHT_LOAD = 0.80
#: rows that have to show S = 60 / X before that is no chance
INTERVAL_ROWS = 2

Contradictions = Iterator[tuple[int, Reason]]
Key = Callable[[PublishedRow], Hashable]


def contradictions(rows: Sequence[PublishedRow]) -> Contradictions:
    """Yield each row of a published table that contradicts other rows, with the reason.

    A row is given as its position in `rows`, from 0. A row with several reasons is yielded once for each. Example: a
    row has four times the slots of another, the same X, and a much shorter S.
    """
    complete = [position for position, row in enumerate(rows) if _is_complete(row)]
    for ladder in _groups(rows, complete, lambda row: row.ladder).values():
        ladder.sort(key=lambda position: rows[position].slots)
        yield from _indifferent_to_concurrency(rows, ladder)
        yield from _superlinear(rows, ladder)
    for same_slots in _groups(rows, complete, _all_but_size).values():
        yield from _larger_is_faster(rows, same_slots)
    yield from _sustained_against_burst(rows)
    yield from _s_is_the_interval(rows, complete)


def _is_complete(row: PublishedRow) -> bool:
    return row.x is not None and row.s is not None and row.x.value > 0


def _groups(rows: Sequence[PublishedRow], positions: list[int], key: Key) -> dict[Hashable, list[int]]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for position in positions:
        groups[key(rows[position])].append(position)
    return groups


def _all_but_size(row: PublishedRow) -> Hashable:
    return row.mode, row.slots, row.count, row.rate


def _indifferent_to_concurrency(rows: Sequence[PublishedRow], ladder: list[int]) -> Contradictions:
    """Yield rows with more slots than another row, the same X and a shorter S.

    With the same X, S should not fall. Sustained rows that keep up are exempt. There the load generator sets X, and
    more slots may shorten S.
    """
    limited = [position for position in ladder if not _paced_by_generator(rows[position])]
    if len({rows[position].slots for position in limited}) < 2:
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
        "slots_first": first.slots,
        "slots_last": last.slots,
    }
    yield from ((position, Reason(Oddity.X_IGNORES_CONCURRENCY, values)) for position in limited)


def _paced_by_generator(row: PublishedRow) -> bool:
    return row.mode is Mode.SUSTAINED and (row.rate is None or _x(row) >= KEEPS_UP * row.rate)


def _superlinear(rows: Sequence[PublishedRow], ladder: list[int]) -> Contradictions:
    """Yield bursts whose X grows faster than their slots."""
    if not ladder or rows[ladder[0]].mode is not Mode.BURST:
        return
    base = rows[ladder[0]]
    for position in ladder[1:]:
        row = rows[position]
        gain, slots = _x(row) / _x(base), row.slots / base.slots
        if row.slots > base.slots and gain > SUPERLINEAR * slots:
            yield position, Reason(Oddity.SUPERLINEAR, {"slots_factor": slots, "x_factor": gain})


def _larger_is_faster(rows: Sequence[PublishedRow], group: list[int]) -> Contradictions:
    """Yield rows with a higher X or a shorter S than a row that differs only in its smaller size.

    S of rows without a count is not compared, because S of a burst grows with its count.
    """
    sized = sorted((size, position) for position in group if (size := rows[position].size_bytes) is not None)
    for index, (size, position) in enumerate(sized):
        smaller = [rows[other] for other_size, other in sized[:index] if other_size < size]
        row = rows[position]
        base = next((each for each in smaller if _contradicts_size(row, each)), None)
        if base is not None:
            values = {
                "size": row.size,
                "smaller_size": base.size,
                "x_per_minute": _x(row),
                "x_smaller_per_minute": _x(base),
                "s_seconds": _s(row),
                "s_smaller_seconds": _s(base),
            }
            yield position, Reason(Oddity.LARGER_IS_FASTER, values)


def _contradicts_size(larger: PublishedRow, smaller: PublishedRow) -> bool:
    is_shorter = larger.count is not None and _s(larger) < SHORTER_S * _s(smaller)
    return is_shorter or _x(larger) > SAME_THROUGHPUT * _x(smaller)


def _sustained_against_burst(rows: Sequence[PublishedRow]) -> Contradictions:
    """Yield sustained rows that contradict the burst of the same size, slots per worker and workers."""
    bursts = {_cell(row): row for row in rows if row.mode is Mode.BURST and row.x and row.x.value > 0}
    for position, row in enumerate(rows):
        burst = bursts.get(_cell(row))
        if row.mode is Mode.SUSTAINED and row.x is not None and burst is not None:
            checks = (_above_burst, _rate_not_kept, _faster_than_burst)
            yield from ((position, reason) for check in checks if (reason := check(row, burst)) is not None)


def _cell(row: PublishedRow) -> Hashable:
    return row.ladder[0], row.concurrency, row.workers


def _above_burst(row: PublishedRow, burst: PublishedRow) -> Reason | None:
    if row.x is None or row.x.low <= SAME_THROUGHPUT * _x(burst):
        return None
    return Reason(Oddity.RATE_ABOVE_BURST, {"x_per_minute": row.x.value, "burst_per_minute": _x(burst)})


def _rate_not_kept(row: PublishedRow, burst: PublishedRow) -> Reason | None:
    """Return a reason if X is well below a rate that is well below the burst's X.

    X may leave out the videos that were in the slots at the end of the window.
    """
    if row.x is None or row.rate is None or row.count is None or row.rate > LIGHT_LOAD * _x(burst):
        return None
    expected = row.rate * max(0.0, 1 - row.slots / row.count)
    if row.x.high >= LIGHT_LOAD * expected:
        return None
    values = {"x_per_minute": row.x.value, "rate_per_minute": row.rate, "burst_per_minute": _x(burst)}
    return Reason(Oddity.RATE_NOT_KEPT, values)


def _faster_than_burst(row: PublishedRow, burst: PublishedRow) -> Reason | None:
    """Return a reason if S is below the interval between two ends of the burst, 60 / X.

    The burst uses all slots, so a video alone cannot end in less than that interval.
    """
    least = 60 / _x(burst)
    if row.s is None or row.s.high >= SHORTER_S * least:
        return None
    values = {"s_seconds": row.s.value, "least_seconds": least, "burst_per_minute": _x(burst)}
    return Reason(Oddity.FASTER_THAN_BURST, values)


def _s_is_the_interval(rows: Sequence[PublishedRow], complete: list[int]) -> Contradictions:
    """Yield every complete row if S = 60 / X to the printed digit in all of them.

    One of them must be a burst of several videos. 60 / X is the interval between two ends. S was then computed from X,
    not measured on a video.
    """
    several = [p for p in complete if rows[p].mode is Mode.BURST and rows[p].count != 1]
    if not several or len(complete) < INTERVAL_ROWS or not all(_equals_interval(rows[p]) for p in complete):
        return
    yield from ((position, Reason(Oddity.S_IS_THE_INTERVAL)) for position in complete)


def _equals_interval(row: PublishedRow) -> bool:
    if row.x is None or row.s is None or row.x.low <= 0:
        return False
    return row.s.low <= 60 / row.x.low and row.s.high >= 60 / row.x.high


def _x(row: PublishedRow) -> float:
    return row.x.value if row.x is not None else math.nan


def _s(row: PublishedRow) -> float:
    return row.s.value if row.s is not None else math.nan
