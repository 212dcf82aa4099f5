"""Choice of the runs of a cell that are averaged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from capacity.runs.result_row import ResultRow


@dataclass(frozen=True)
class AveragedRuns:
    """The runs averaged for X and S, the runs averaged for X_sat, and the number of unused runs.

    X and S depend on the number of videos, so their runs have the same number of videos. X_sat does not depend on it,
    so its runs include shorter ones.
    """

    runs: tuple[ResultRow, ...]
    x_sat_runs: tuple[ResultRow, ...]
    left_out: int


def averaged_runs(rows: Sequence[ResultRow]) -> AveragedRuns:
    """Return the runs to average: those of the best quality class with the reference run's conditions.

    The reference run is the newest of those with the most videos. Incomplete and invalid runs are not averaged: their
    class is represented by the reference run alone.
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
    """Return the runs, oldest first."""
    return tuple(sorted(rows, key=lambda row: (row.created_at, row.run_id)))
