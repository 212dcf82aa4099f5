"""Which runs a run is compared with: the same videos, made the same way on the same machine, nearest in time first."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from capacity.evidence import Cost
from pipeline.models import RunRow
from pipeline.run import Mode, RunStatus

#: what is usual on a machine needs so many runs
FEWEST_CANARIES = 5


def sibling_costs(run: RunRow, others: Iterable[tuple[RunRow, Cost]]) -> list[Cost]:
    """Return the costs of the finished bursts that `run` may be compared with, nearest in time first."""
    alike = [(abs(other.created_at - run.created_at), cost) for other, cost in others if _are_alike(run, other)]
    return [cost for _, cost in sorted(alike, key=lambda pair: pair[0])]


def usual_canary_seconds(run: RunRow, others: Iterable[RunRow]) -> float | None:
    """Return the median time of the canary before the machine's other runs; None when they are too few to tell."""
    same = [other for other in others if other.id != run.id and _host(other) == _host(run)]
    known = [seconds for other in same if (seconds := other.environment.get("canary_before_seconds")) is not None]
    return statistics.median(known) if len(known) >= FEWEST_CANARIES else None


def _are_alike(run: RunRow, other: RunRow) -> bool:
    is_whole = other.mode == Mode.BURST and other.status == RunStatus.FINISHED
    return is_whole and _work(other) == _work(run) and _host(other) == _host(run)


def _work(run: RunRow) -> tuple[object, ...]:
    return run.size_label, run.profile, run.environment.get("storage"), run.environment.get("ffmpeg")


def _host(run: RunRow) -> tuple[object, ...]:
    host = run.environment.get("host", {})
    return host.get("name"), host.get("cpu_model"), host.get("cpu_count")
