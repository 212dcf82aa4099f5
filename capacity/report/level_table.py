"""Build the table of X_sat per video size and number of slots, with the gain of each step.

X_sat is the throughput with every slot busy. A step leads to the next higher measured number of slots.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from capacity.analysis.scalability_curves import Curve, Point
from capacity.estimators.interval import Interval
from capacity.estimators.usl import efficiency
from capacity.sizing.workers import cost_per_thousand
from capacity.table.number_format import interval_text, number, percent
from capacity.table.phrases import spaced
from core.language import Language, Text
from core.size_mix import mean_label_bytes

NAMES = (
    Text("Tamaño", "Size"),
    Text("Slots", "Slots"),
    Text("X_sat, 95 % (videos/min)", "X_sat, 95 % (videos/min)"),
    Text("MB/min", "MB/min"),
    Text("Ganancia sobre el nivel anterior", "Gain over the previous level"),
    Text("Eficiencia por slot", "Efficiency per slot"),
)
COST = Text("Costo de 1 000 videos", "Cost of 1 000 videos")
INDICATIVE = Text("indicativa", "indicative")
NOTE = Text(
    "Una ganancia es firme con tres pruebas o más en los dos niveles; si no, es indicativa. La eficiencia es X_sat por "
    "slot frente al primer nivel.",
    "A gain is firm with three runs or more at both levels, otherwise it is indicative. The efficiency is X_sat per "
    "slot against the first level.",
)


@dataclass(frozen=True)
class Gain:
    """Gain in X_sat from one number of slots to the next one.

    - `slots_factor`: the higher number of slots divided by the lower one.
    - `ratio`: X_sat with more slots divided by X_sat with fewer slots.
    - `interval`: the 95 % interval of `ratio`. None if one of the two X_sat has no finite interval.
    - `between_runs`: true if both X_sat come from three runs or more.
    """

    slots_factor: float
    ratio: float
    interval: Interval | None
    between_runs: bool


def gain(fewer: Point, more: Point) -> Gain:
    """Return the gain in X_sat from the slots of `fewer` to the slots of `more`, with its 95 % interval.

    The interval of ln(gain) has the half width √(a² + b²). Here a and b are the half widths of the intervals of both ln
    X_sat. If one X_sat has no finite interval, the gain has no interval.
    """
    factor, ratio = more.slots / fewer.slots, more.capacity / fewer.capacity
    halves = [half for point in (fewer, more) if (half := _half_width(point)) is not None]
    if len(halves) < 2:
        return Gain(factor, ratio, None, between_runs=False)
    half = math.hypot(*halves)
    interval = Interval(ratio * math.exp(-half), ratio * math.exp(half))
    return Gain(factor, ratio, interval, fewer.between_runs and more.between_runs)


def names(lang: Language, price_per_hour: float | None) -> list[str]:
    """Return the column headings of the X_sat table. There is a column for the cost if a price is given.

    X_sat is the throughput with every slot busy. `price_per_hour` is the price of one worker.
    """
    return [name.to(lang) for name in (*NAMES, *([] if price_per_hour is None else [COST]))]


def rows(curves: Sequence[Curve], lang: Language, price_per_hour: float | None) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the X_sat table, each as one text per column.

    A row is one video size with one number of slots. `price_per_hour` is the price of one worker. Without a price, the
    rows have no cost.
    """
    for curve in curves:
        shares = efficiency(curve.levels).tolist()
        gains = [None, *(gain(fewer, more) for fewer, more in pairwise(curve.points))]
        for point, share, step in zip(curve.points, shares, gains, strict=True):
            cells = (
                spaced(curve.size_label),
                _slots(point),
                _capacity(point, lang),
                number(point.capacity * mean_label_bytes(curve.size_label) / 1e6, lang, 0),
                "—" if step is None else _gain(step, lang),
                percent(share, lang, 0),
            )
            yield cells if price_per_hour is None else (*cells, _cost(point, price_per_hour, lang))


def _slots(point: Point) -> str:
    """Return the slots, and how several nodes share them: `6 (3 × 2)`."""
    return str(point.slots) if point.nodes == 1 else f"{point.slots} ({point.nodes} × {point.slots / point.nodes:g})"


def _half_width(point: Point) -> float | None:
    """Return the half width of the interval of ln X_sat, from its lower end, which is always finite."""
    if point.interval is None or not point.interval.low > 0 or not math.isfinite(point.interval.high):
        return None
    return (math.log(point.interval.high) - math.log(point.interval.low)) / 2


def _capacity(point: Point, lang: Language) -> str:
    rate = number(point.capacity, lang)
    return rate if point.interval is None else f"{rate} {interval_text(point.interval, lang)}"


def _gain(step: Gain, lang: Language) -> str:
    ratio = f"×{number(step.ratio, lang)}"
    if step.interval is not None:
        ratio += f" {interval_text(step.interval, lang)}"
    slots = Text(f"con ×{step.slots_factor:.3g} slots", f"with ×{step.slots_factor:.3g} slots").to(lang)
    return f"{ratio} {slots}" + ("" if step.between_runs else f" ({INDICATIVE.to(lang)})")


def _cost(point: Point, price_per_hour: float, lang: Language) -> str:
    return number(cost_per_thousand(price_per_hour * point.nodes, point.capacity), lang, 3)
