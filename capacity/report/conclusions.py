"""Conclusions that the measurements support, and questions that they leave open.

Each conclusion or question is a code with values. The file templates/conclusiones.es.md.j2 has one sentence per code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.run_analysis import RunAnalysis
from capacity.diagnosis.bottleneck import Cause
from capacity.estimators.littles_law import Agreement
from capacity.estimators.stability import Stability
from capacity.report.scalability_curves import Curve, Point, curves
from capacity.report.statements import kept_up, limit_parts
from capacity.table.cells import RUNS_FOR_INTERVAL, TableCell
from core.language import Language
from core.run import Mode, has_constant_rate
from core.size_mix import is_mix

LANG: Language = "es"
#: below this share of X_sat, a burst spends much of its time filling and draining the slots
FILLED_SHARE = 0.9


@dataclass(frozen=True)
class Conclusion:
    """A conclusion or an open question: the code of its sentence, and the values in the sentence."""

    code: str
    values: dict[str, Any] = field(default_factory=dict)


def conclusions(analysed: AnalysedRuns) -> Iterator[Conclusion]:
    """Yield the conclusions that the intervals and verdicts of the runs support.

    Each conclusion is about a size, a pair of sizes, a sustained rate, or a bottleneck.
    """
    sizes = curves(analysed)
    for curve in sizes:
        yield from _of_curve(curve)
    yield from _of_sizes(sizes)
    for cell in analysed.cells:
        is_judged = cell.key.mode == Mode.SUSTAINED and has_constant_rate(cell.key.shape or None)
        if is_judged and cell.runs[-1].is_complete and not cell.validity.is_invalid:
            yield _of_rate(cell)
    yield from _of_limits(analysed)


def unknowns(analysed: AnalysedRuns) -> Iterator[Conclusion]:
    """Yield the questions that the measurements leave open, such as a cell with only one run."""
    yield from _of_few_runs(analysed.cells)
    for curve in curves(analysed):
        if curve.fit.unusable is not None:
            yield Conclusion("no_fit", {"size": curve.name(LANG), "reason": curve.fit.unusable})
    yield from _of_runs(analysed.newest_per_cell)
    yield Conclusion("other_conditions")


def _of_few_runs(cells: Sequence[TableCell]) -> Iterator[Conclusion]:
    for runs, code in {1: "one_run", 2: "two_runs"}.items():
        count = sum(len(cell.x_sat_runs) == runs for cell in cells)
        if count:
            yield Conclusion(code, {"cells": count, "needed": RUNS_FOR_INTERVAL})


def _of_curve(curve: Curve) -> Iterator[Conclusion]:
    best = max(curve.points, key=lambda point: point.capacity)
    yield Conclusion("best_capacity", {"size": curve.name(LANG), "best": best})
    for fewer, more in pairwise(curve.points):
        values = {"size": curve.name(LANG), "fewer": fewer, "more": more, "ratio": more.capacity / fewer.capacity}
        yield Conclusion(f"gain_{_gain(fewer, more)}", values | {"needed": RUNS_FOR_INTERVAL})


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


def _of_rate(cell: TableCell) -> Conclusion:
    verdict = Stability(cell.runs[-1].stability or Stability.INCONCLUSIVE)
    return Conclusion(f"rate_{verdict.value.lower()}", {"key": cell.key})


def _of_limits(analysed: AnalysedRuns) -> Iterator[Conclusion]:
    """Yield one conclusion per bottleneck, with the rows of the cells that it limits."""
    by_cause: dict[str, list[RunAnalysis]] = {}
    for run in analysed.newest_per_cell:
        if kept_up(run) or run.bottleneck.cause is not Cause.UNCLEAR:
            by_cause.setdefault(limit_parts(run)[0].to(LANG), []).append(run)
    for cause, runs in by_cause.items():
        yield Conclusion("limit", {"cause": cause, "rows": [run.row for run in runs]})


def _of_runs(runs: Sequence[RunAnalysis]) -> Iterator[Conclusion]:
    groups = {
        "unclear_limit": [run for run in runs if run.bottleneck.cause is Cause.UNCLEAR and not kept_up(run)],
        "invalid_runs": [run for run in runs if run.row.validity.is_invalid],
        "no_littles_law": [run for run in runs if run.little.agreement is Agreement.UNKNOWN],
        "few_arrivals": [run for run in runs if run.stability is not None and not run.stability.long_enough],
    }
    for code, members in groups.items():
        if members:
            yield Conclusion(code, {"ids": ", ".join(run.row.run_id for run in members), "count": len(members)})
    for row in (run.row for run in runs):
        if row.x and row.x_sat_per_minute and row.x / row.x_sat_per_minute < FILLED_SHARE:
            yield Conclusion("short_run", {"row": row, "share": row.x / row.x_sat_per_minute})
