"""Scalability curve per video size: its points, the fitted law, and the sentences about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.diagnosis.validity import Level
from capacity.estimators.interval import Interval
from capacity.estimators.usl import Levels, UslFit, efficiency, fit_usl
from capacity.report.messages import sentence
from capacity.table.cells import TableCell
from capacity.table.number_format import number, percent
from core.language import Language, Text
from core.run import Mode


@dataclass(frozen=True)
class Point:
    """The capacity of one cell.

    With `between_runs` the interval includes differences between runs.
    """

    slots: int
    capacity: float
    interval: Interval | None
    between_runs: bool = False
    is_valid: bool = True
    nodes: int = 1


@dataclass(frozen=True)
class Curve:
    """The points of one size in order of slots, and the law fitted to them.

    There is no fit with fewer than two numbers of slots.
    """

    size_label: str
    points: tuple[Point, ...]
    fit: UslFit | None

    @property
    def levels(self) -> Levels:
        """Return the points for the fit.

        The points have standard errors if every point has an interval.
        """
        widths = [point.interval.high - point.interval.low for point in self.points if point.interval is not None]
        bounded = len(widths) == len(self.points) and all(np.isfinite(widths)) and min(widths, default=0) > 0
        return Levels(
            np.array([float(point.slots) for point in self.points]),
            np.array([point.capacity for point in self.points]),
            np.array(widths) / (2 * 1.96) if bounded else None,
        )


def curves(analysed: AnalysedRuns) -> list[Curve]:
    """Return a curve per size with a known capacity, in the order of the table."""
    bursts = [
        cell for cell in analysed.cells if cell.key.mode == Mode.BURST and cell.x_sat and not cell.validity.is_invalid
    ]
    return [_curve(label, list(cells)) for label, cells in groupby(bursts, key=lambda cell: cell.key.size_label)]


def statements(curve: Curve, lang: Language) -> Iterator[str]:
    """Yield the sentences about a curve: its efficiency, then its fit or the reason for no fit."""
    alone = efficiency(curve.levels)
    pairs = zip(curve.points, alone.tolist(), strict=True)
    shown = ", ".join(f"c={point.slots} {percent(share, lang, 0)}" for point, share in pairs)
    if len(curve.points) > 1:
        yield Text(f"Eficiencia por slot: {shown}.", f"Efficiency per slot: {shown}.").to(lang)
    yield _fit_statement(curve.fit, lang)


def _curve(label: str, cells: Sequence[TableCell]) -> Curve:
    points = tuple(_points(cells))
    curve = Curve(label, points, None)
    if len({point.slots for point in points}) < 2:
        return curve
    cores = {run.cpu_count for cell in cells for run in cell.x_sat_runs}
    return Curve(label, points, fit_usl(curve.levels, cores=cores.pop() if len(cores) == 1 else None))


def _points(cells: Iterable[TableCell]) -> Iterator[Point]:
    for cell in sorted(cells, key=lambda cell: cell.runs[0].slots):
        is_valid = cell.validity.level is Level.VALID
        x_sat, nodes = cell.x_sat or 0.0, cell.key.nodes
        yield Point(cell.runs[0].slots, x_sat, cell.x_sat_interval, cell.is_between_runs, is_valid, nodes)


def _fit_statement(fit: UslFit | None, lang: Language) -> str:
    if fit is None:
        return Text(
            "Sin ley de escalabilidad (USL): solo hay un número de slots.",
            "No scalability law (USL): there is only one number of slots.",
        ).to(lang)
    if fit.unusable is not None:
        why = sentence(fit.unusable, lang)
        return Text(f"Sin ley de escalabilidad (USL): {why}.", f"No scalability law (USL): {why}.").to(lang)
    model = fit.model
    peak = sentence(fit.peak_reason, lang) if fit.peak_reason else f"n = {number(model.peak, lang, 1)}"
    return Text(
        f"USL: σ = {model.sigma:.4f}, κ = {model.kappa:.5f}, λ = {model.scale:.3f}; máximo: {peak}.",
        f"USL: σ = {model.sigma:.4f}, κ = {model.kappa:.5f}, λ = {model.scale:.3f}; peak: {peak}.",
    ).to(lang)
