"""Find differences between the workers of a run, and changes of the workers during the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.worker_conditions import IDENTITY


@dataclass(frozen=True)
class FleetDifferences:
    """Conditions in which the workers of a run differed from each other, or which changed during the run.

    `mixed` maps the name of a condition to its value on each node. `changed` has the names of conditions.
    """

    mixed: Mapping[str, Mapping[str, Any]]
    changed: tuple[str, ...]


def fleet_differences(environment: Mapping[str, Any]) -> FleetDifferences:
    """Return the conditions in which a run's workers differed, and those that changed during the run.

    `environment` is the column of that name in the run's database row.
    """
    workers = environment.get("workers", {})
    start, end = workers.get("start", []), workers.get("end", [])
    return FleetDifferences(differing(start), changed(start, end))


def node_name(record: Mapping[str, Any]) -> str:
    """Return the name of the node in the record of a worker.

    `record` has the facts about one worker. If it has no node name, return the worker's address in Prometheus.
    """
    return str(record.get("worker", "")).rsplit("|", 2)[0] or str(record.get("instance", ""))


def differing(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the conditions in which workers differ: for each condition, its value on each node.

    `records` has the facts about each worker, one mapping per worker.
    """
    names = sorted({name for record in records for name in record} - IDENTITY)
    values = {name: [record.get(name) for record in records] for name in names}
    return {name: _by_node(records, each) for name, each in values.items() if len(set(each)) > 1}


def changed(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the conditions of the workers that changed during a run.

    `before` has one record per worker from the start of the run, `after` from its end. If the number of workers
    changed, return only the name `workers`. If `before` or `after` is empty, return no names.
    """
    if not before or not after:
        return ()
    if len(before) != len(after):
        return ("workers",)
    names = {name for record in (*before, *after) for name in record} - IDENTITY
    return tuple(sorted(name for name in names if _values(before, name) != _values(after, name)))


def _by_node(records: Sequence[Mapping[str, Any]], values: Sequence[Any]) -> dict[str, Any]:
    """Return the values by node. Workers on one node have their number after its name."""
    nodes = [node_name(record) for record in records]
    labels = [f"{node} ({k + 1})" if nodes.count(node) > 1 else node for k, node in enumerate(nodes)]
    return dict(zip(labels, values, strict=True))


def _values(records: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return sorted(str(record.get(name)) for record in records)
