"""How queues usually behave: patterns in a published row or between its rows that ask for an explanation."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from capacity.audit.published_row import Mode, PublishedRow
from core.language import Text

SAME_THROUGHPUT = 1.10
SHORTER_CYCLE = 0.80
SUPERLINEAR = 1.10
BURST_CYCLE_BAND = (0.6, 1.4)
KEEPS_UP = 0.95


def oddities(row: PublishedRow) -> list[Text]:
    """Return what is unusual about the row on its own."""
    return [reason for check in _CHECKS if (reason := check(row)) is not None]


def oddities_between(rows: Sequence[PublishedRow]) -> Iterator[tuple[int, Text]]:
    """Yield position and reason for what only shows between rows of one size."""
    for ladder in _ladders(rows).values():
        yield from _indifferent_to_concurrency(rows, ladder)
        yield from _superlinear(rows, ladder)
    yield from _stable_above_capacity(rows)


def _missing_number(row: PublishedRow) -> Text | None:
    missing = [name for name, printed in (("X", row.x), ("S", row.s)) if printed is None]
    if not missing:
        return None
    names = ", ".join(missing)
    return Text(f"{names} desconocido: nada que comprobar", f"{names} unknown: nothing to check")


def _unusual_burst_cycle(row: PublishedRow) -> Text | None:
    """For constant service the mean cycle of a burst is makespan (N + c) / (2 N); far from it needs a reason."""
    if row.mode is not Mode.BURST or row.x is None or row.s is None or row.x.low <= 0:
        return None
    slots = min(row.concurrency, row.count)
    usual = 60 * row.count / row.x.value * (row.count + slots) / (2 * row.count)
    low, high = BURST_CYCLE_BAND
    if row.s.high < low * usual:
        return Text(
            f"S = {row.s.value:g} s, cuando una ráfaga así da ~{usual:.0f} s: ¿es S sin la espera en cola?",
            f"S = {row.s.value:g} s where such a burst gives ~{usual:.0f} s: is S without the wait in the queue?",
        )
    if row.s.low > high * usual:
        return Text(
            f"S = {row.s.value:g} s, cuando una ráfaga así da ~{usual:.0f} s: casi todos terminan al final",
            f"S = {row.s.value:g} s where such a burst gives ~{usual:.0f} s: nearly all end at the end",
        )
    return None


def _queue_behind_a_steady_rate(row: PublishedRow) -> Text | None:
    """Compare with a system that keeps up, which holds about as many videos as it has slots."""
    if row.mode is not Mode.SUSTAINED or row.x is None or row.s is None:
        return None
    inside = row.x.low * row.s.low / 60
    keeps_up = row.rate is None or row.x.high >= KEEPS_UP * row.rate
    if not keeps_up or inside <= 2 * row.concurrency:
        return None
    numbers = f"X·S/60 = {row.x.value * row.s.value / 60:.1f}"
    return Text(
        f"{numbers} videos en el sistema con c={row.concurrency}: la cola crecía, no es estable",
        f"{numbers} videos in the system with c={row.concurrency}: the queue was growing, not steady",
    )


def _missing_wait(row: PublishedRow) -> Text | None:
    """Expect a system slower than the offered rate to make videos wait about N/2 (60/X - 60/rate)."""
    if row.mode is not Mode.SUSTAINED or row.rate is None or row.x is None or row.s is None:
        return None
    if row.x.high >= KEEPS_UP * row.rate or row.x.low <= 0:
        return None
    wait = 30 * row.count * (1 / row.x.value - 1 / row.rate)
    if row.s.high >= 0.5 * wait:
        return None
    numbers = f"X = {row.x.value:g} < {row.rate:g}/min, S = {row.s.value:g} s"
    return Text(
        f"{numbers}: faltan ~{wait:.0f} s de espera; ¿se perdieron videos o se envió más despacio?",
        f"{numbers}: ~{wait:.0f} s of waiting are missing; were videos lost, or sent more slowly?",
    )


_CHECKS = (_missing_number, _unusual_burst_cycle, _queue_behind_a_steady_rate, _missing_wait)


def _ladders(rows: Sequence[PublishedRow]) -> dict[tuple[str, Mode], list[int]]:
    """Return positions of complete rows by size and mode, in order of concurrency."""
    ladders: dict[tuple[str, Mode], list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        if row.x is not None and row.s is not None and row.x.value > 0:
            ladders[row.ladder].append(position)
    for ladder in ladders.values():
        ladder.sort(key=lambda position: rows[position].concurrency)
    return ladders


def _indifferent_to_concurrency(rows: Sequence[PublishedRow], ladder: list[int]) -> Iterator[tuple[int, Text]]:
    """More slots, the same X, a shorter S: with X fixed the number in the system, hence S, is fixed too.

    Sustained runs that keep up are exempt: there the generator fixes X and more slots may well shorten S.
    """
    limited = [position for position in ladder if not _paced_by_generator(rows[position])]
    if len({rows[position].concurrency for position in limited}) < 2:
        return
    xs = [_x(rows[position]) for position in limited]
    first, last = rows[limited[0]], rows[limited[-1]]
    if max(xs) > SAME_THROUGHPUT * min(xs) or _s(last) > SHORTER_CYCLE * _s(first) or first.count != last.count:
        return
    what = f"X = {min(xs):g}–{max(xs):g}/min, S = {_s(first):g} → {_s(last):g} s"
    for position in limited:
        yield (
            position,
            Text(
                f"{what} al pasar de {first.concurrency} a {last.concurrency} slots: si X no cambia, S no puede bajar",
                f"{what} from {first.concurrency} to {last.concurrency} slots: while X stays, S should not fall",
            ),
        )


def _paced_by_generator(row: PublishedRow) -> bool:
    return row.mode is Mode.SUSTAINED and (row.rate is None or _x(row) >= KEEPS_UP * row.rate)


def _superlinear(rows: Sequence[PublishedRow], ladder: list[int]) -> Iterator[tuple[int, Text]]:
    """Yield bursts whose X grows faster than their slots."""
    if not ladder or rows[ladder[0]].mode is not Mode.BURST:
        return
    base = rows[ladder[0]]
    for position in ladder[1:]:
        row = rows[position]
        gain, slots = _x(row) / _x(base), row.concurrency / base.concurrency
        if row.concurrency > base.concurrency and gain > SUPERLINEAR * slots:
            yield (
                position,
                Text(
                    f"{slots:g}x slots dan {gain:.2f}x X: más que lineal, ¿calentamiento o caché?",
                    f"{slots:g}x slots give {gain:.2f}x X: superlinear, warm-up or a cache?",
                ),
            )


def _stable_above_capacity(rows: Sequence[PublishedRow]) -> Iterator[tuple[int, Text]]:
    """Yield sustained rows that complete more than the burst of the same size and concurrency could."""
    capacity = {(r.ladder[0], r.concurrency): _x(r) for r in rows if r.mode is Mode.BURST and r.x and r.x.value > 0}
    for position, row in enumerate(rows):
        top = capacity.get((row.ladder[0], row.concurrency))
        if row.mode is not Mode.SUSTAINED or row.x is None or top is None or row.x.low <= SAME_THROUGHPUT * top:
            continue
        yield (
            position,
            Text(
                f"sostiene {row.x.value:g}/min cuando la ráfaga con los mismos slots da {top:g}/min",
                f"sustains {row.x.value:g}/min where the burst on the same slots gives {top:g}/min",
            ),
        )


def _x(row: PublishedRow) -> float:
    return row.x.value if row.x is not None else math.nan


def _s(row: PublishedRow) -> float:
    return row.s.value if row.s is not None else math.nan
