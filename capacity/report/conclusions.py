"""Draw the conclusions that the measurements support, and list the questions that they leave open.

Each conclusion or question is a code with values. The file templates/conclusiones.es.md.j2 has one sentence per code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.run_analysis import RunAnalysis
from capacity.analysis.scalability_curves import Curve, Point, curves
from capacity.diagnosis.bottleneck import Cause
from capacity.diagnosis.next_steps import advice
from capacity.estimators.littles_law import Agreement
from capacity.estimators.stability import Stability
from capacity.report.statements import kept_up, limit_parts
from capacity.runs.result_row import ResultRow
from capacity.table.cells import RUNS_FOR_INTERVAL, TableCell
from core.language import Language
from core.run import Mode, has_constant_rate
from core.size_mix import is_mix

LANG: Language = "es"
#: below this share of X_sat, a burst spends much of its time filling and draining the slots
FILLED_SHARE = 0.9
#: the slots that reach this share of the highest capacity are enough
ENOUGH_SHARE = 0.95


@dataclass(frozen=True)
class Conclusion:
    """A conclusion or an open question: the code of its sentence, and the values in the sentence."""

    code: str
    values: dict[str, Any] = field(default_factory=dict)


def conclusions(analysed: AnalysedRuns) -> Iterator[Conclusion]:
    """Yield the conclusions that the intervals and verdicts of the runs support.

    There is one per video size, one per pair of sizes, and one per verdict on the offered rates.
    """
    sizes = curves(analysed)
    for curve in sizes:
        yield _of_curve(curve, analysed)
    yield from _of_sizes(sizes)
    yield from _of_rates(analysed.cells)


def unknowns(analysed: AnalysedRuns) -> Iterator[Conclusion]:
    """Yield the questions that the measurements leave open, such as a cell with only one run."""
    yield from _of_few_runs(analysed.cells)
    for curve in curves(analysed):
        if curve.fit.unusable is not None:
            yield Conclusion("no_fit", {"size": curve.name, "reason": curve.fit.unusable})
    yield from _of_runs(analysed.newest_per_cell)
    yield Conclusion("other_conditions")


def _of_few_runs(cells: Sequence[TableCell]) -> Iterator[Conclusion]:
    for runs, code in {1: "one_run", 2: "two_runs"}.items():
        count = sum(len(cell.x_sat_runs) == runs for cell in cells)
        if count:
            yield Conclusion(code, {"cells": count, "needed": RUNS_FOR_INTERVAL})


def _of_curve(curve: Curve, analysed: AnalysedRuns) -> Conclusion:
    """Conclude on one video size: the highest capacity, what more slots add, what limits it, and what to try next."""
    best = max(curve.points, key=lambda point: point.capacity)
    limited = next(
        run
        for cell, run in reversed(analysed.analysed_cells)
        if (cell.key.size_label, cell.key.nodes, cell.key.slots) == (curve.size_label, curve.nodes, best.slots)
        and cell.key.mode == Mode.BURST
    )
    cause, confidence, _ = (part.to(LANG) for part in limit_parts(limited))
    return Conclusion(
        "size",
        {
            "size": curve.name,
            "best": best,
            "gains": [(fewer, more, _gain(fewer, more)) for fewer, more in pairwise(curve.points)],
            "enough": enough_slots(curve.points),
            "needed": RUNS_FOR_INTERVAL,
            "cause": None if limited.bottleneck.cause is Cause.UNCLEAR else cause,
            "confidence": confidence,
            "next_step": advice(limited.bottleneck.cause).next_step,
        },
    )


def enough_slots(points: Sequence[Point]) -> tuple[str, int]:
    """Return a code, and the number of slots beyond which more slots bring no more throughput.

    The code says how far this is known:

    - `one_level`: only one number of slots was measured.
    - `rising`: the last step still adds capacity. The number is the largest measured one.
    - `certain`: the intervals between runs show no gain beyond this number of slots.
    - `apparent`: the same by the mean values alone, where ENOUGH_SHARE of the highest capacity counts as enough.
    - `open`: by the mean values alone, the largest measured number of slots is the first that is enough.
    """
    gains = [_gain(fewer, more) for fewer, more in pairwise(points)]
    if not gains:
        return "one_level", points[0].slots
    if gains[-1] == "up":
        return "rising", points[-1].slots
    last = max((step for step, gain in enumerate(gains) if gain not in {"none", "down"}), default=-1)
    if last < len(gains) - 1 and (last < 0 or gains[last] == "up"):
        return "certain", points[last + 1].slots
    highest = max(point.capacity for point in points)
    enough = next(point.slots for point in points if point.capacity >= ENOUGH_SHARE * highest)
    return ("open" if enough == points[-1].slots else "apparent"), enough


def _gain(fewer: Point, more: Point) -> str:
    """Classify the effect of more slots. Only intervals between runs can tell two cells apart."""
    if not (fewer.is_valid and more.is_valid):
        return "invalid"
    if fewer.interval is None or more.interval is None or not (fewer.between_runs and more.between_runs):
        return "indicative"
    if more.interval.low > fewer.interval.high:
        return "up"
    return "down" if more.interval.high < fewer.interval.low else "none"


def _of_sizes(sizes: Sequence[Curve]) -> Iterator[Conclusion]:
    for smaller, larger in pairwise(curve for curve in sizes if curve.nodes == 1 and not is_mix(curve.size_label)):
        common = {point.slots: point for point in smaller.points}
        pairs = [(common[point.slots], point) for point in larger.points if point.slots in common]
        if pairs:
            ratios = [(b.capacity / a.capacity, a.slots) for a, b in pairs]
            yield Conclusion(
                "size_ratio", {"smaller": smaller.size_label, "larger": larger.size_label, "ratios": ratios}
            )


def _of_rates(cells: Sequence[TableCell]) -> Iterator[Conclusion]:
    """Yield one conclusion per verdict on the offered rate, with the cells that have it."""
    by_verdict: dict[Stability, list[ResultRow]] = {verdict: [] for verdict in Stability}
    for cell in cells:
        is_judged = cell.key.mode == Mode.SUSTAINED and has_constant_rate(cell.key.shape or None)
        if is_judged and cell.runs[-1].is_complete and not cell.validity.is_invalid:
            by_verdict[Stability(cell.runs[-1].stability or Stability.INCONCLUSIVE)].append(cell.runs[-1])
    for verdict, rows in by_verdict.items():
        if rows:
            yield Conclusion(f"rates_{verdict.value.lower()}", {"rows": rows})


def _of_runs(runs: Sequence[RunAnalysis]) -> Iterator[Conclusion]:
    groups = {
        "unclear_limit": [run for run in runs if run.bottleneck.cause is Cause.UNCLEAR and not kept_up(run)],
        "invalid_runs": [run for run in runs if run.row.validity.is_invalid],
        "no_littles_law": [run for run in runs if run.little.agreement is Agreement.UNKNOWN],
        "few_arrivals": [run for run in runs if run.stability is not None and not run.stability.is_firm],
    }
    for code, members in groups.items():
        if members:
            yield Conclusion(code, {"rows": [run.row for run in members]})
    shares = [(run.row, run.row.x / run.row.x_sat_per_minute) for run in runs if run.row.x and run.row.x_sat_per_minute]
    if short := [(row, share) for row, share in shares if share < FILLED_SHARE]:
        yield Conclusion("short_runs", {"shares": short})
