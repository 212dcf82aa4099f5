"""Group runs into the history of each cell, and find the runs at which its throughput changed.

A cell is one combination of video size, slots, workers, mode, rate, load shape and app.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from capacity.estimators.change_points import FEWEST_RUNS, Change, Segmentation, change_points
from capacity.estimators.interval import Interval
from capacity.runs.result_row import ResultRow
from capacity.table.averaged_runs import by_age
from capacity.table.cells import CellKey, key_of

#: half width of a 95 % interval in standard errors
STANDARD_ERRORS = 1.96


class Measure(StrEnum):
    """Figures whose changes a history detects: X_sat, and the mean service time.

    X_sat is the throughput with every slot busy.
    """

    X_SAT = "x_sat_per_minute"
    SERVICE = "service_mean_seconds"

    def value_of(self, row: ResultRow) -> float | None:
        """Return this figure of one run, or None if it is unknown.

        X_sat is in videos per minute. The mean service time is in seconds.
        """
        return row.x_sat_per_minute if self is Measure.X_SAT else row.service_mean_seconds

    def error_of(self, row: ResultRow) -> float:
        """Return the relative standard error of this figure in one run, or NaN if it is unknown.

        The relative standard error is the standard error divided by the figure: 0.05 is 5 %.
        """
        if self is Measure.SERVICE:
            return row.service_cv / math.sqrt(row.done) if row.service_cv is not None and row.done else math.nan
        interval = row.x_sat_interval
        if interval is None or not 0 < interval.low <= interval.high < math.inf:
            return math.nan
        return math.log(interval.high / interval.low) / (2 * STANDARD_ERRORS)

    def loss(self, factor: float) -> float:
        """Return the loss of this figure after a change that multiplied it by `factor`. 0.1 is 10 %.

        The loss is 1 - `factor` for X_sat, and `factor` - 1 for the mean service time. A negative loss is an
        improvement.
        """
        return 1 - factor if self is Measure.X_SAT else factor - 1


class Trend(StrEnum):
    """Verdicts on one figure of a cell: whether its newest change is a loss larger than allowed.

    A lower X_sat is a loss. A longer service time is a loss too. `Series.trend` says when each verdict applies.
    """

    WORSE = "worse"
    NOT_WORSE = "not_worse"
    #: a loss of the allowed size would not be seen yet, because of the spread or because of too few runs since a change
    UNCLEAR = "unclear"
    TOO_FEW_RUNS = "too_few_runs"


@dataclass(frozen=True, order=True)
class HistoryKey:
    """Key of a history: its cell, encoding profile, stack, storage, and whether its runs had a warm-up.

    Runs with equal keys belong to one history. An unknown stack or storage is an empty text.
    """

    cell: CellKey
    profile: str
    stack: str
    storage: str
    is_warm: bool


@dataclass(frozen=True)
class LevelChange:
    """A change of a figure's mean in a history: the runs before and after it, the means, and their ratio.

    - `before`, `after`: the last run before the change, and the first run after the change.
    - `from_level`: geometric mean of the figure from the previous change, or from the first run, to this change.
    - `to_level`: geometric mean of the figure from this change to the next change, or to the last run.
    - `factor`, `interval`: `to_level` / `from_level`, and its confidence interval.
    - `conditions`: maps each condition that differs to its values in `before` and `after`.
    """

    before: ResultRow
    after: ResultRow
    from_level: float
    to_level: float
    factor: float
    interval: Interval
    conditions: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Series:
    """One figure of a cell over time: the runs in which it is known, oldest first, and its changes.

    `changes` and `level` are None if there are too few runs to detect a change. `level` is the geometric mean of the
    figure since the newest change. `visible_ratio` is the smallest loss in the newest runs that would probably be
    detected: 0.1 is 10 %. It is None with too few runs since the newest change.
    """

    measure: Measure
    runs: tuple[ResultRow, ...]
    changes: tuple[LevelChange, ...] | None
    level: float | None
    visible_ratio: float | None

    @property
    def runs_missing(self) -> int:
        """Return how many more runs are needed before a change of this figure can be detected.

        Return 0 if there are enough runs.
        """
        return max(0, FEWEST_RUNS - len(self.runs))

    def trend(self, margin: float) -> Trend:
        """Return whether the newest change of this figure is a loss greater than `margin` (0.05 is 5 %).

        - WORSE: yes.
        - NOT_WORSE: no. A loss of `margin` would probably be detected.
        - UNCLEAR: no, but a loss of `margin` could stay undetected.
        - TOO_FEW_RUNS: no change can be detected yet.
        """
        if self.changes is None:
            return Trend.TOO_FEW_RUNS
        if self.changes and self.measure.loss(self.changes[-1].factor) > margin:
            return Trend.WORSE
        is_visible = self.visible_ratio is not None and self.visible_ratio <= margin
        return Trend.NOT_WORSE if is_visible else Trend.UNCLEAR


@dataclass(frozen=True)
class CellHistory:
    """History of one cell: all its runs, oldest first, and one series per figure.

    The series of X_sat comes first, then that of the mean service time. A series leaves out invalid runs, and runs in
    which its figure is unknown. A series without runs is left out.
    """

    key: HistoryKey
    rows: tuple[ResultRow, ...]
    series: tuple[Series, ...]

    @property
    def judged(self) -> Series:
        """Return the series that decides whether the cell became worse.

        This is the series of X_sat (throughput with every slot busy). If no X_sat is known, it is the series of the
        mean service time.
        """
        return self.series[0]

    @property
    def invalid(self) -> tuple[ResultRow, ...]:
        """Return the invalid runs of the cell, which no series includes."""
        return tuple(row for row in self.rows if row.validity.is_invalid)


def histories(rows: Iterable[ResultRow]) -> list[CellHistory]:
    """Group runs into histories, and return each history with the changes of its figures.

    Runs with the same HistoryKey form one history. The result is sorted by this key. A history is left out if no valid
    run has an X_sat or a mean service time.
    """
    cells: dict[HistoryKey, list[ResultRow]] = {}
    for row in rows:
        cells.setdefault(_key(row), []).append(row)
    cell_histories = (_history(key, by_age(members)) for key, members in sorted(cells.items()))
    return [history for history in cell_histories if history.series]


def differences(before: ResultRow, after: ResultRow) -> dict[str, tuple[Any, Any]]:
    """Return the conditions that differ between two runs, with their values.

    The result maps the name of each such condition to its value in `before` and its value in `after`.
    """
    a, b = asdict(before.conditions), asdict(after.conditions)
    return {name: (a[name], b[name]) for name in a if a[name] != b[name]}


def _key(row: ResultRow) -> HistoryKey:
    conditions = row.conditions
    stack, storage = conditions.stack or "", conditions.storage or ""
    return HistoryKey(key_of(row), conditions.profile, stack, storage, conditions.is_warm)


def _history(key: HistoryKey, rows: tuple[ResultRow, ...]) -> CellHistory:
    usable = [row for row in rows if not row.validity.is_invalid]
    series = (_series(measure, [row for row in usable if measure.value_of(row)]) for measure in Measure)
    return CellHistory(key, rows, tuple(one for one in series if one.runs))


def _series(measure: Measure, runs: Sequence[ResultRow]) -> Series:
    values = np.array([measure.value_of(row) for row in runs], dtype=np.float64)
    segmentation = change_points(values, np.array([measure.error_of(row) for row in runs]))
    if segmentation is None:
        return Series(measure, tuple(runs), None, None, None)
    changes = (_level_change(runs, segmentation, number, change) for number, change in enumerate(segmentation.changes))
    return Series(measure, tuple(runs), tuple(changes), segmentation.levels[-1], segmentation.visible_ratio)


def _level_change(runs: Sequence[ResultRow], segmentation: Segmentation, number: int, change: Change) -> LevelChange:
    before, after = runs[change.index - 1], runs[change.index]
    levels = segmentation.levels[number], segmentation.levels[number + 1]
    return LevelChange(before, after, *levels, change.factor, change.interval, differences(before, after))
