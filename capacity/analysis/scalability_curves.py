"""Build scalability curves: X_sat against the number of slots, and the law fitted to the points.

X_sat is the throughput with every slot busy. There is one curve per video size and number of nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.diagnosis.validity import Level
from capacity.estimators.interval import Interval
from capacity.estimators.pooled_error import pooled_error
from capacity.estimators.usl import Levels, UslFit, fit_usl
from capacity.table.cells import TableCell
from capacity.table.phrases import spaced
from core.run import Mode


@dataclass(frozen=True)
class Point:
    """X_sat at one number of slots, from all runs with that number.

    - `capacities`: the X_sat of each run, in videos per minute.
    - `capacity`: the geometric mean of `capacities`.
    - `interval`: the 95 % interval of `capacity`. None if unknown, for example with two runs.
    - `between_runs`: True if there are three runs or more.
    - `is_valid`: False if one of the runs is only indicative.
    - `nodes`: the number of workers that share the slots.
    """

    slots: int
    capacity: float
    interval: Interval | None
    capacities: tuple[float, ...]
    between_runs: bool = False
    is_valid: bool = True
    nodes: int = 1


@dataclass(frozen=True)
class Curve:
    """Scalability curve of one video size on `nodes` nodes: its points, in order of their number of slots.

    `cores` is the machine's number of cores, or None when unknown.
    """

    size_label: str
    points: tuple[Point, ...]
    cores: int | None = None
    nodes: int = 1

    @property
    def name(self) -> str:
        """Return the size, and the number of workers if there are several: `5 MB, 3 workers`."""
        workers = f", {self.nodes} workers" if self.nodes > 1 else ""
        return f"{spaced(self.size_label)}{workers}"

    @cached_property
    def fit(self) -> UslFit:
        """Return the scalability law (USL) fitted to the points, with any reasons not to use it."""
        return fit_usl(self.levels, cores=self.cores)

    @property
    def levels(self) -> Levels:
        """Return the measured points of this curve, as input for the fit of the scalability law (USL).

        A point is the throughput at one number of slots. With too few repeated runs, the points have no standard
        errors.
        """
        return capacity_levels([(point.slots, point.capacities) for point in self.points])


def capacity_levels(capacities: Sequence[tuple[int, Sequence[float]]]) -> Levels:
    """Return the points to which the scalability law is fitted, one per number of slots.

    `capacities` pairs each number of slots with the X_sat of its runs. A point is the geometric mean of these X_sat.
    With too few repeated runs, the points have no standard errors.
    """
    logs = [np.log(each) for _, each in capacities]
    n, x = np.array([float(slots) for slots, _ in capacities]), np.array([np.exp(each.mean()) for each in logs])
    deviations = np.array([each.std(ddof=1) if each.size > 1 else 0.0 for each in logs])
    pooled = pooled_error(x, deviations, np.array([float(each.size) for each in logs]))
    return Levels(n, x) if pooled is None else Levels(n, x, pooled.se, pooled.dof)


def curves(analysed: AnalysedRuns) -> list[Curve]:
    """Return one scalability curve per video size and number of nodes, in the order of the result table.

    Sizes without a known X_sat (throughput with every slot busy) have no curve.
    """
    by_curve = lambda cell: (cell.key.size_bytes, cell.key.size_label, cell.key.nodes)  # noqa: E731
    return [
        _curve(key[1], key[2], list(cells))
        for key, cells in groupby(sorted(capacities(analysed), key=by_curve), by_curve)
    ]


def capacities(analysed: AnalysedRuns) -> list[TableCell]:
    """Return the burst cells with a known X_sat, in the order of the result table.

    X_sat is the throughput with every slot busy. Cells whose figures are invalid are left out.
    """
    bursts = (cell for cell in analysed.cells if cell.key.mode == Mode.BURST)
    return [cell for cell in bursts if cell.x_sat and not cell.validity.is_invalid]


def _curve(label: str, nodes: int, cells: Sequence[TableCell]) -> Curve:
    points = tuple(_points(cells))
    cores = {run.cpu_count for cell in cells for run in cell.x_sat_runs}
    return Curve(label, points, cores.pop() if len(cores) == 1 else None, nodes)


def _points(cells: Iterable[TableCell]) -> Iterator[Point]:
    for cell in sorted(cells, key=lambda cell: cell.runs[0].slots):
        is_valid = cell.validity.level is Level.VALID
        capacities = tuple(run.x_sat_per_minute for run in cell.x_sat_runs if run.x_sat_per_minute)
        yield Point(
            cell.runs[0].slots,
            cell.x_sat or 0.0,
            cell.x_sat_interval,
            capacities,
            cell.is_between_runs,
            is_valid,
            cell.key.nodes,
        )
