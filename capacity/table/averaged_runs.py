"""Choose the runs of a cell that are averaged for its row of the result table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from capacity.runs.result_row import ResultRow


@dataclass(frozen=True)
class AveragedRuns:
    """Runs of one cell, chosen for its averages.

    `runs` are averaged for X (videos per minute) and S (mean response time). All of them have the same number of
    videos, because X and S depend on that number. `x_sat_runs` are averaged for X_sat, the throughput with every slot
    busy. X_sat does not depend on the number of videos, so runs with fewer videos are included. `left_out` is the
    number of runs of the cell that are in neither list.
    """

    runs: tuple[ResultRow, ...]
    x_sat_runs: tuple[ResultRow, ...]
    left_out: int


def averaged_runs(rows: Sequence[ResultRow]) -> AveragedRuns:
    """Choose from `rows`, all runs of a cell, those that are averaged in the result table.

    A run is complete if `ResultRow.is_complete` is true for it.

    1. Each run is in one of five classes. From best to worst: valid and complete, indicative and complete, incomplete,
       invalid, X unknown. The candidates are the runs in the best class that has any.
    2. The reference run is the candidate with the most videos. Of several with equally many, it is the newest.
    3. In the first two classes, all candidates under the same conditions as the reference run are used. In the other
       classes, only the reference run is used.
    4. X_sat is averaged over the used runs with a known X_sat. X and S are averaged over the used runs with as many
       videos as the reference run.
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
