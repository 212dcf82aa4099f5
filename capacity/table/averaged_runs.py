"""Choose the runs of a cell that are averaged for its row of the result table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from capacity.runs.result_row import ResultRow


@dataclass(frozen=True)
class AveragedRuns:
    """Runs of one cell whose figures are averaged in the result table.

    `runs` are the runs whose X (videos per minute) and S (mean response time) are averaged. All of them have the same
    number of videos, because X and S depend on that number. `x_sat_runs` are the runs whose X_sat is averaged. X_sat is
    the throughput with every slot busy. It does not depend on the number of videos, so runs with fewer videos are
    included. `left_out` is the number of runs of the cell that are in neither list.
    """

    runs: tuple[ResultRow, ...]
    x_sat_runs: tuple[ResultRow, ...]
    left_out: int


def averaged_runs(rows: Sequence[ResultRow]) -> AveragedRuns:
    """Choose, from all runs of a cell, those whose figures are averaged in the result table.

    `rows` are all runs of the cell. The property `ResultRow.is_complete` says whether a run is complete.

    1. Each run belongs to one of five classes. From best to worst, they are: valid and complete, indicative and
       complete, incomplete, invalid, X unknown. The candidates are the runs of the best class that occurs.
    2. The reference run is the candidate with the most videos. Among several such candidates, it is the newest.
    3. If the candidates are complete, the used runs are all candidates with the same conditions as the reference run.
       Otherwise the reference run is the only used run.
    4. The field `x_sat_runs` of the result has the used runs with a known X_sat. The field `runs` has the used runs
       with as many videos as the reference run.
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
