"""Choose the runs of a cell that are averaged for its row of the result table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from capacity.runs.result_row import ResultRow


@dataclass(frozen=True)
class AveragedRuns:
    """Runs of one cell whose figures are averaged in the result table.

    X and S are averaged over `runs`. All `runs` have the same number of videos. X_sat is averaged over `x_sat_runs`.
    `left_out` is the number of the cell's runs in neither field.
    """

    runs: tuple[ResultRow, ...]
    x_sat_runs: tuple[ResultRow, ...]
    left_out: int


def averaged_runs(rows: Sequence[ResultRow]) -> AveragedRuns:
    """Choose, from all runs of a cell, those whose figures are averaged in the result table.

    Candidates are the runs of the best class that occurs: valid, indicative, incomplete, invalid, X unknown. Of the
    candidates with the most videos, the newest is the reference run. Complete candidates are used if their conditions
    equal those of the reference run. If no candidate is complete, only the reference run is used.
    """
    best = min(_quality(row) for row in rows)
    equals = by_age(row for row in rows if _quality(row) == best)
    most = max(row.count for row in equals)
    reference = [row for row in equals if row.count == most][-1]
    comparable = [row for row in equals if row.conditions == reference.conditions] if best < 2 else [reference]
    longest = tuple(row for row in comparable if row.count == most)
    with_capacity = tuple(row for row in comparable if row.x_sat_per_minute)
    used = {row.run_id for row in (*longest, *with_capacity)}
    return AveragedRuns(longest, with_capacity, len(rows) - len(used))


def _quality(row: ResultRow) -> int:
    """Return the quality class of a run; 0 is the best.

    0 is a valid and complete run, 1 an indicative complete run, 2 an incomplete run, 3 an invalid run, 4 a run without
    X.
    """
    if row.x is None:
        return 4
    if row.validity.is_invalid:
        return 3
    return row.validity.level.rank if row.is_complete else 2


def by_age(rows: Iterable[ResultRow]) -> tuple[ResultRow, ...]:
    """Sort runs by the time at which they were created, oldest first."""
    return tuple(sorted(rows, key=lambda row: (row.created_at, row.run_id)))
