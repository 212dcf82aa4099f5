"""Choice of the runs of a cell that are averaged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
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


def averaged_runs(rows: Sequence[ResultRow], invalid: Collection[str]) -> AveragedRuns:
    """Return the runs of the best quality class that have the conditions of the reference run.

    The reference run is the newest of the runs with the most videos. `invalid` has the ids of invalid runs.
    """
    best = min(_quality(row, invalid) for row in rows)
    equals = by_age(row for row in rows if _quality(row, invalid) == best)
    most = max(row.count for row in equals)
    reference = [row for row in equals if row.count == most][-1]
    comparable = [row for row in equals if row.conditions == reference.conditions] if best < 2 else [reference]
    longest = tuple(row for row in comparable if row.count == most)
    with_capacity = tuple(row for row in comparable if row.x_sat_per_minute)
    used = {row.run_id for row in (*longest, *with_capacity)}
    return AveragedRuns(longest, with_capacity, len(rows) - len(used))


def _quality(row: ResultRow, invalid: Collection[str]) -> int:
    """Return the quality class of a run. The best class is 0.

    Class 0 is a complete and valid run, 1 an invalid run, 2 an incomplete run, and 3 a run without X.
    """
    if row.x is None:
        return 3
    if not row.is_complete:
        return 2
    return 1 if row.run_id in invalid else 0


def by_age(rows: Iterable[ResultRow]) -> tuple[ResultRow, ...]:
    """Return the runs, oldest first."""
    return tuple(sorted(rows, key=lambda row: (row.created_at, row.run_id)))
