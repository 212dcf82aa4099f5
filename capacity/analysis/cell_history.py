"""History of each cell: its runs in time order, and the runs at which its throughput changed.

A cell is one combination of video size, slots, workers, mode, rate and app.
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
    """The two figures that a history watches for changes: X_sat and the mean service time.

    X_sat is the throughput with every slot busy.
    """

    X_SAT = "x_sat_per_minute"
    SERVICE = "service_mean_seconds"

    def value_of(self, row: ResultRow) -> float | None:
        """Return the value that this figure has in a run. None means unknown."""
        return row.x_sat_per_minute if self is Measure.X_SAT else row.service_mean_seconds

    def error_of(self, row: ResultRow) -> float:
        """Return the relative standard error of this figure in one run, such as 0.05. NaN means unknown.

        It is the standard error divided by the figure.
        """
        if self is Measure.SERVICE:
            return row.service_cv / math.sqrt(row.done) if row.service_cv is not None and row.done else math.nan
        interval = row.x_sat_interval
        if interval is None or not 0 < interval.low <= interval.high < math.inf:
            return math.nan
        return math.log(interval.high / interval.low) / (2 * STANDARD_ERRORS)

    def loss(self, factor: float) -> float:
        """Return the loss of this figure, after a change that multiplied it by `factor`.

        The loss is 1 - `factor` for X_sat, and `factor` - 1 for the mean service time. 0.1 is a loss of 10 %. A
        negative loss is an improvement.
        """
        return 1 - factor if self is Measure.X_SAT else factor - 1


class Trend(StrEnum):
    """Verdict on a figure: whether its newest change made it worse by more than the user allows."""

    WORSE = "worse"
    NOT_WORSE = "not_worse"
    #: a loss of the allowed size would not be seen yet, because of the spread or because of too few runs since a change
    UNCLEAR = "unclear"
    TOO_FEW_RUNS = "too_few_runs"


@dataclass(frozen=True, order=True)
class HistoryKey:
    """What identifies a history: the cell, and the options that the user chose for its runs.

    These are the encoding profile, the stack, the storage and the warm-up. An option that is unknown is an empty text.
    """

    cell: CellKey
    profile: str
    stack: str
    storage: str
    is_warm: bool


@dataclass(frozen=True)
class LevelChange:
    """A change of a figure in a history: the last run before it, the first run after it, and its factor.

    `before` and `after` are these two runs. `from_level` is the geometric mean of the figure between the previous
    change and this change. `to_level` is the geometric mean between this change and the next change. `factor` is
    `to_level` / `from_level`. `interval` is the confidence interval of `factor`. `conditions` has the conditions that
    differ between `before` and `after`. It maps the name of each condition to its values in `before` and in `after`.
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

    `changes` is None if there are too few runs to detect a change.
    """

    measure: Measure
    runs: tuple[ResultRow, ...]
    changes: tuple[LevelChange, ...] | None
    #: geometric mean of the runs since the newest change, None with too few runs
    level: float | None
    #: loss that would probably be seen after two or three more runs, None with too few
    visible_ratio: float | None

    @property
    def runs_missing(self) -> int:
        """Return how many more runs are needed before a change of this figure can be detected, or 0."""
        return max(0, FEWEST_RUNS - len(self.runs))

    def trend(self, margin: float) -> Trend:
        """Return whether the newest change of this figure made it worse by more than `margin`.

        `margin` is the allowed loss: 0.05 is 5 %. `Measure.loss` says what a loss is. The first case that applies is
        returned:

        1. TOO_FEW_RUNS: there are too few runs to detect a change.
        2. WORSE: the newest change is a loss greater than `margin`.
        3. NOT_WORSE: the runs vary so little that a loss of `margin` would probably be detected.
        4. UNCLEAR: any other case.
        """
        if self.changes is None:
            return Trend.TOO_FEW_RUNS
        if self.changes and self.measure.loss(self.changes[-1].factor) > margin:
            return Trend.WORSE
        is_visible = self.visible_ratio is not None and self.visible_ratio <= margin
        return Trend.NOT_WORSE if is_visible else Trend.UNCLEAR


@dataclass(frozen=True)
class CellHistory:
    """All runs of a cell in time order, and the series of each figure over these runs.

    `rows` has every run. `series` leaves out the invalid runs.
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
    """Return the history of each cell to which these runs belong, in the order of the result table.

    A cell is left out if neither X_sat nor the service time is known in any of its runs. Figures of invalid runs count
    as unknown.
    """
    cells: dict[HistoryKey, list[ResultRow]] = {}
    for row in rows:
        cells.setdefault(_key(row), []).append(row)
    found = (_history(key, by_age(members)) for key, members in sorted(cells.items()))
    return [history for history in found if history.series]


def differences(before: ResultRow, after: ResultRow) -> dict[str, tuple[Any, Any]]:
    """Return the conditions that differ between two runs: each name, with the value in both runs."""
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
    found = change_points(values, np.array([measure.error_of(row) for row in runs]))
    if found is None:
        return Series(measure, tuple(runs), None, None, None)
    changes = (_level_change(runs, found, number, change) for number, change in enumerate(found.changes))
    return Series(measure, tuple(runs), tuple(changes), found.levels[-1], found.visible_ratio)


def _level_change(runs: Sequence[ResultRow], found: Segmentation, number: int, change: Change) -> LevelChange:
    before, after = runs[change.index - 1], runs[change.index]
    levels = found.levels[number], found.levels[number + 1]
    return LevelChange(before, after, *levels, change.factor, change.interval, differences(before, after))
