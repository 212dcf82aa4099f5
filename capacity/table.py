"""The scenario's table: for each cell the best evidence there is, and which runs that is. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from capacity.estimate import Interval, t_half_width
from capacity.row import ResultRow

#: METHOD 1.3: only runs tell how runs differ; under three, two of them bound nothing
RUNS_FOR_INTERVAL = 3


@dataclass(frozen=True, order=True)
class CellKey:
    """What is tested: one size × slots × mode, and the rate where one is offered."""

    size_bytes: float
    size_label: str
    mode: str
    rate_per_minute: float
    concurrency: int
    nodes: int


@dataclass(frozen=True)
class TableCell:
    """A cell with the runs its figures are the means of, and how many weaker ones were left out."""

    key: CellKey
    runs: tuple[ResultRow, ...]
    left_out: int

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
        """Return the nominal capacity: the geometric mean over the runs that have one."""
        known = self._capacities()
        return math.exp(float(np.mean(np.log(known)))) if known else None

    @property
    def x_sat_interval(self) -> Interval | None:
        """Return the 95 % interval: between runs from three on, else the within-run one of the newest."""
        known = self._capacities()
        if len(known) >= RUNS_FOR_INTERVAL:
            half = t_half_width(np.log(known))
            return Interval((self.x_sat or 0.0) * math.exp(-half), (self.x_sat or 0.0) * math.exp(half))
        return self.runs[-1].x_sat_interval if len(known) == 1 else None

    @property
    def is_between_runs(self) -> bool:
        """Say whether the interval includes how runs differ."""
        return len(self._capacities()) >= RUNS_FOR_INTERVAL

    def _capacities(self) -> list[float]:
        return [run.x_sat_per_minute for run in self.runs if run.x_sat_per_minute]


def fill(rows: Iterable[ResultRow], distrusted: Collection[str] = ()) -> list[TableCell]:
    """Return the cells in the scenario's order; `distrusted` are runs that a trust flag speaks against."""
    cells: dict[CellKey, list[ResultRow]] = {}
    for row in rows:
        cells.setdefault(_key(row), []).append(row)
    return [_cell(key, found, distrusted) for key, found in sorted(cells.items())]


def _key(row: ResultRow) -> CellKey:
    size = row.size_label
    return CellKey(_bytes(size), size, row.mode, row.rate_per_minute or 0.0, row.concurrency, row.nodes)


def _cell(key: CellKey, rows: Sequence[ResultRow], distrusted: Collection[str]) -> TableCell:
    """Take the best class of runs, of these the most videos, of these all that the newest may be averaged with."""
    best = min(_quality(row, distrusted) for row in rows)
    whole = [row for row in rows if _quality(row, distrusted) == best]
    most = max(row.count for row in whole)
    longest = sorted((row for row in whole if row.count == most), key=lambda row: (row.created_at, row.run_id))
    alike = tuple(row for row in longest if row.conditions == longest[-1].conditions)
    chosen = alike if best < 2 else alike[-1:]
    return TableCell(key, chosen, len(rows) - len(chosen))


def _quality(row: ResultRow, distrusted: Collection[str]) -> int:
    """Return 0 for a whole and trusted run, 1 for a whole one with a flag, 2 for one with losses, 3 for no figure."""
    if row.x is None:
        return 3
    if not row.is_whole:
        return 2
    return 1 if row.run_id in distrusted else 0


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _bytes(label: str) -> float:
    units = {"KB": 1e3, "MB": 1e6, "GB": 1e9}
    return float(label[:-2]) * units[label[-2:]]
