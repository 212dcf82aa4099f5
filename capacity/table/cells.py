"""Group runs into the cells of the result table, and average the figures of each cell.

A cell is one combination of video size, slots per worker, number of workers, mode, rate, load shape and app.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from capacity.diagnosis.validity import Validity, combined
from capacity.estimators.interval import Interval, t_half_width
from capacity.runs.result_row import ResultRow
from capacity.table.averaged_runs import AveragedRuns, averaged_runs, by_age
from core.size_mix import mean_label_bytes

#: fewest runs for an interval between runs; two runs give one too wide to be of use (docs/method.md)
RUNS_FOR_INTERVAL = 3


@dataclass(frozen=True, order=True)
class CellKey:
    """Key of a cell: size, slots, number of nodes, mode, rate, load shape and app.

    Runs with equal keys belong to the same cell. `concurrency` counts the slots of one node, and `slots` those of all
    nodes. `rate_per_minute` is 0 for a burst.
    """

    size_bytes: int
    size_label: str
    mode: str
    rate_per_minute: float
    concurrency: int
    nodes: int
    #: over all nodes, because nodes may have different slots
    slots: int
    #: app whose worker was measured; empty for our reference worker
    app: str = ""
    #: load shape of a sustained run; empty for equal intervals
    shape: str = ""


@dataclass(frozen=True)
class TableCell:
    """One row of the result table: a cell, and the runs whose figures are averaged.

    X and S are averaged over `runs`, and X_sat over `x_sat_runs`. `left_out` is the number of the cell's runs in
    neither field.
    """

    key: CellKey
    runs: tuple[ResultRow, ...]
    x_sat_runs: tuple[ResultRow, ...]
    left_out: int

    @property
    def sources(self) -> tuple[ResultRow, ...]:
        """Return every run that contributes to a figure of the cell, oldest first."""
        return by_age({row.run_id: row for row in (*self.x_sat_runs, *self.runs)}.values())

    @property
    def validity(self) -> Validity:
        """Return the worst validity of the runs that contribute to the cell."""
        return combined(row.validity for row in self.sources)

    @property
    def x(self) -> float | None:
        """Return X of the cell in videos per minute, averaged over its runs. None means unknown."""
        return _mean(run.x for run in self.runs)

    @property
    def s(self) -> float | None:
        """Return S of the cell, the mean response time in seconds, averaged over its runs. None means unknown."""
        return _mean(run.s for run in self.runs)

    @property
    def s_is_lower_bound(self) -> bool:
        """Return True if S of the cell is only a lower bound, because some videos of its runs have not ended.

        The true mean response time is then equal to the property `s`, or longer.
        """
        return any(run.s_is_lower_bound for run in self.runs)

    @property
    def count(self) -> int:
        """Return the number of videos of one run. All runs in the field `runs` have the same number of videos."""
        return self.runs[0].count

    @property
    def x_sat(self) -> float | None:
        """Return X_sat of the cell in videos per minute: the geometric mean over its runs.

        X_sat is the throughput with every slot busy. None means unknown.
        """
        capacities = self._capacities()
        return math.exp(float(np.mean(np.log(capacities)))) if capacities else None

    @property
    def x_sat_interval(self) -> Interval | None:
        """Return the 95 % interval of X_sat, in videos per minute.

        With three runs or more, the interval shows the variation between runs. With one run, the interval is that of
        the run. With two runs or none, the result is None.
        """
        if self.is_between_runs:
            half = t_half_width(np.log(self._capacities()))
            return Interval((self.x_sat or 0.0) * math.exp(-half), (self.x_sat or 0.0) * math.exp(half))
        return self.x_sat_runs[0].x_sat_interval if len(self.x_sat_runs) == 1 else None

    @property
    def is_between_runs(self) -> bool:
        """Return True if `x_sat_interval` is computed from the differences between the runs' X_sat.

        X_sat is the throughput with every slot busy. The computation needs three runs or more in the field
        `x_sat_runs`. With fewer runs, return False.
        """
        return len(self.x_sat_runs) >= RUNS_FOR_INTERVAL

    def _capacities(self) -> list[float]:
        return [run.x_sat_per_minute for run in self.x_sat_runs if run.x_sat_per_minute]


def fill(rows: Iterable[ResultRow]) -> list[TableCell]:
    """Group the runs into cells, and return the cells of the result table in the scenario's order."""
    cells: dict[CellKey, list[ResultRow]] = {}
    for row in rows:
        cells.setdefault(key_of(row), []).append(row)
    return [_cell(key, averaged_runs(members)) for key, members in sorted(cells.items())]


def key_of(row: ResultRow) -> CellKey:
    """Return the key of the cell to which a run belongs."""
    size = row.size_label
    rate = row.rate_per_minute or 0.0
    shape = row.conditions.shape or ""
    place = (row.concurrency, row.nodes, row.slots, row.app or "", shape)
    return CellKey(mean_label_bytes(size), size, row.mode, rate, *place)


def _cell(key: CellKey, averaged: AveragedRuns) -> TableCell:
    return TableCell(key, averaged.runs, averaged.x_sat_runs, averaged.left_out)


def _mean(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
