"""Which runs a run is seen beside: the same videos under the same conditions, nearest in time first."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from capacity.analysis.run_analysis import Cost
from capacity.runs.result_row import ResultRow
from core.models import RunRow
from core.run import Mode, RunStatus

#: what is usual on a machine needs so many runs
FEWEST_CANARIES = 5


def sibling_costs(row: ResultRow, others: Iterable[tuple[ResultRow, Cost]]) -> list[Cost]:
    """Return the costs of the finished bursts that a run may be compared with, nearest in time first."""
    alike = [(abs(other.created_at - row.created_at), cost) for other, cost in others if _are_alike(row, other)]
    return [cost for _, cost in sorted(alike, key=lambda pair: pair[0])]


def usual_canary_seconds(run: RunRow, others: Iterable[RunRow]) -> float | None:
    """Return the median time of the canary before the machine's other runs; None when they are too few to tell."""
    same = [other for other in others if other.id != run.id and _host(other) == _host(run)]
    known = [seconds for other in same if (seconds := other.environment.get("canary_before_seconds")) is not None]
    return statistics.median(known) if len(known) >= FEWEST_CANARIES else None


def _are_alike(row: ResultRow, other: ResultRow) -> bool:
    is_over = other.mode == Mode.BURST and other.status == RunStatus.FINISHED
    return is_over and other.size_label == row.size_label and other.conditions == row.conditions


def _host(run: RunRow) -> tuple[object, ...]:
    host = run.environment.get("host", {})
    return host.get("name"), host.get("cpu_model"), host.get("cpu_count")
