"""The scenario's table: for each cell the best evidence there is, and which runs that is. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from capacity.estimators.interval import Interval, t_half_width
from capacity.runs.result_row import ResultRow
from core.size import label_bytes

#: METHOD 1.3: only runs tell how runs differ; under three, two of them bound nothing
RUNS_FOR_INTERVAL = 3


@dataclass(frozen=True, order=True)
class CellKey:
    """What is tested: one size × slots × mode, and the rate where one is offered."""

    size_bytes: int
    size_label: str
    mode: str
    rate_per_minute: float
    concurrency: int
    nodes: int


@dataclass(frozen=True)
class TableCell:
    """A cell with the runs that X and S are the means of, those X_sat is the mean of, and how many were left out.

    X and S depend on the number of videos, so their runs share it; X_sat does not, and takes the shorter ones too.
    """

    key: CellKey
    runs: tuple[ResultRow, ...]
    x_sat_runs: tuple[ResultRow, ...]
    left_out: int

    @property
    def sources(self) -> tuple[ResultRow, ...]:
        """Return every run that a figure of the cell rests on, oldest first."""
        return _by_age({row.run_id: row for row in (*self.x_sat_runs, *self.runs)}.values())

    @property
    def x(self) -> float | None:
        """Return the scenario's X, the mean over the runs."""
        return _mean(run.x for run in self.runs)

    @property
    def s(self) -> float | None:
        """Return the scenario's S, the mean over the runs, which have the same number of videos."""
        return _mean(run.s for run in self.runs)

    @property
    def count(self) -> int:
        """Return the videos of each run."""
        return self.runs[0].count

    @property
    def x_sat(self) -> float | None:
        """Return the nominal capacity, the geometric mean over its runs."""
        known = self._capacities()
        return math.exp(float(np.mean(np.log(known)))) if known else None

    @property
    def x_sat_interval(self) -> Interval | None:
        """Return the 95 % interval: between runs from three on, that of the run where there is one, else none."""
        if self.is_between_runs:
            half = t_half_width(np.log(self._capacities()))
            return Interval((self.x_sat or 0.0) * math.exp(-half), (self.x_sat or 0.0) * math.exp(half))
        return self.x_sat_runs[0].x_sat_interval if len(self.x_sat_runs) == 1 else None

    @property
    def is_between_runs(self) -> bool:
        """Say whether the interval includes how runs differ."""
        return len(self.x_sat_runs) >= RUNS_FOR_INTERVAL

    def _capacities(self) -> list[float]:
        return [run.x_sat_per_minute for run in self.x_sat_runs if run.x_sat_per_minute]


def fill(rows: Iterable[ResultRow], distrusted: Collection[str] = ()) -> list[TableCell]:
    """Return the cells in the scenario's order; `distrusted` are runs that a trust flag speaks against."""
    cells: dict[CellKey, list[ResultRow]] = {}
    for row in rows:
        cells.setdefault(key_of(row), []).append(row)
    return [_cell(key, found, distrusted) for key, found in sorted(cells.items())]


def key_of(row: ResultRow) -> CellKey:
    """Return the cell that a run is of."""
    size = row.size_label
    return CellKey(label_bytes(size), size, row.mode, row.rate_per_minute or 0.0, row.concurrency, row.nodes)


def _cell(key: CellKey, rows: Sequence[ResultRow], distrusted: Collection[str]) -> TableCell:
    """Take the best class of runs, and of it all under the conditions of its newest run of most videos."""
    best = min(_quality(row, distrusted) for row in rows)
    equals = _by_age(row for row in rows if _quality(row, distrusted) == best)
    most = max(row.count for row in equals)
    newest = [row for row in equals if row.count == most][-1]
    alike = [row for row in equals if row.conditions == newest.conditions] if best < 2 else [newest]
    longest = tuple(row for row in alike if row.count == most)
    with_capacity = tuple(row for row in alike if row.x_sat_per_minute)
    used = {row.run_id for row in (*longest, *with_capacity)}
    return TableCell(key, longest, with_capacity, len(rows) - len(used))


def _quality(row: ResultRow, distrusted: Collection[str]) -> int:
    """Return 0 for a whole and trusted run, 1 for a whole one with a flag, 2 for one with losses, 3 for no figure."""
    if row.x is None:
        return 3
    if not row.is_complete:
        return 2
    return 1 if row.run_id in distrusted else 0


def _by_age(rows: Iterable[ResultRow]) -> tuple[ResultRow, ...]:
    return tuple(sorted(rows, key=lambda row: (row.created_at, row.run_id)))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
