"""Cells of the scenario's table, and which runs each cell averages. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from capacity.estimators.interval import Interval, t_half_width
from capacity.runs.result_row import ResultRow
from core.size import label_bytes

#: fewest runs for an interval between runs; two runs give one too wide to be of use (docs/method.md)
RUNS_FOR_INTERVAL = 3


@dataclass(frozen=True, order=True)
class CellKey:
    """One combination of the matrix: size × slots × mode, and the rate of a sustained run."""

    size_bytes: int
    size_label: str
    mode: str
    rate_per_minute: float
    concurrency: int
    nodes: int


@dataclass(frozen=True)
class TableCell:
    """A cell with the runs averaged for X and S, the runs averaged for X_sat, and the number of unused runs.

    X and S depend on the number of videos, so their runs have the same number. X_sat does not, so it includes shorter
    runs.
    """

    key: CellKey
    runs: tuple[ResultRow, ...]
    x_sat_runs: tuple[ResultRow, ...]
    left_out: int

    @property
    def sources(self) -> tuple[ResultRow, ...]:
        """Return every run that is part of a figure of the cell, oldest first."""
        return _by_age({row.run_id: row for row in (*self.x_sat_runs, *self.runs)}.values())

    @property
    def x(self) -> float | None:
        """Return the scenario's X, the mean of the runs."""
        return _mean(run.x for run in self.runs)

    @property
    def s(self) -> float | None:
        """Return the scenario's S, the mean of the runs."""
        return _mean(run.s for run in self.runs)

    @property
    def count(self) -> int:
        """Return the number of videos per run."""
        return self.runs[0].count

    @property
    def x_sat(self) -> float | None:
        """Return the nominal capacity, the geometric mean of its runs."""
        capacities = self._capacities()
        return math.exp(float(np.mean(np.log(capacities)))) if capacities else None

    @property
    def x_sat_interval(self) -> Interval | None:
        """Return the 95 % interval: between runs if there are three, of the run if there is one, else None."""
        if self.is_between_runs:
            half = t_half_width(np.log(self._capacities()))
            return Interval((self.x_sat or 0.0) * math.exp(-half), (self.x_sat or 0.0) * math.exp(half))
        return self.x_sat_runs[0].x_sat_interval if len(self.x_sat_runs) == 1 else None

    @property
    def is_between_runs(self) -> bool:
        """Return True if the interval includes the variation between runs."""
        return len(self.x_sat_runs) >= RUNS_FOR_INTERVAL

    def _capacities(self) -> list[float]:
        return [run.x_sat_per_minute for run in self.x_sat_runs if run.x_sat_per_minute]


def fill(rows: Iterable[ResultRow], invalid: Collection[str] = ()) -> list[TableCell]:
    """Return the cells in the scenario's order; `invalid` are the ids of runs with an invalidating warning."""
    cells: dict[CellKey, list[ResultRow]] = {}
    for row in rows:
        cells.setdefault(key_of(row), []).append(row)
    return [_cell(key, members, invalid) for key, members in sorted(cells.items())]


def key_of(row: ResultRow) -> CellKey:
    """Return the cell of a run."""
    size = row.size_label
    return CellKey(label_bytes(size), size, row.mode, row.rate_per_minute or 0.0, row.concurrency, row.nodes)


def _cell(key: CellKey, rows: Sequence[ResultRow], invalid: Collection[str]) -> TableCell:
    """Keep the runs of the best quality class that share the conditions of its reference run.

    The reference run is the newest of those with the most videos.
    """
    best = min(_quality(row, invalid) for row in rows)
    equals = _by_age(row for row in rows if _quality(row, invalid) == best)
    most = max(row.count for row in equals)
    reference = [row for row in equals if row.count == most][-1]
    comparable = [row for row in equals if row.conditions == reference.conditions] if best < 2 else [reference]
    longest = tuple(row for row in comparable if row.count == most)
    with_capacity = tuple(row for row in comparable if row.x_sat_per_minute)
    used = {row.run_id for row in (*longest, *with_capacity)}
    return TableCell(key, longest, with_capacity, len(rows) - len(used))


def _quality(row: ResultRow, invalid: Collection[str]) -> int:
    """Return 0 for a complete and valid run, 1 for an invalid one, 2 for an incomplete one, 3 for one without X."""
    if row.x is None:
        return 3
    if not row.is_complete:
        return 2
    return 1 if row.run_id in invalid else 0


def _by_age(rows: Iterable[ResultRow]) -> tuple[ResultRow, ...]:
    return tuple(sorted(rows, key=lambda row: (row.created_at, row.run_id)))


def _mean(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
