"""Differences between the workers of a run, and between their start and their end. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.worker_conditions import IDENTITY


@dataclass(frozen=True)
class FleetDifferences:
    """Conditions in which the workers of a run differed, with the value of each node, and those that changed."""

    mixed: Mapping[str, Mapping[str, Any]]
    changed: tuple[str, ...]


def fleet_differences(environment: Mapping[str, Any]) -> FleetDifferences:
    """Return how the workers of a run differed from each other, and from their start to their end."""
    workers = environment.get("workers", {})
    start, end = workers.get("start", []), workers.get("end", [])
    return FleetDifferences(differing(start), changed(start, end))


def node_name(record: Mapping[str, Any]) -> str:
    """Return the name of the worker's node; without one, its address in Prometheus."""
    return str(record.get("worker", "")).rsplit("|", 2)[0] or str(record.get("instance", ""))


def differing(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the conditions in which workers differ: the value of each node by the condition's name."""
    names = sorted({name for record in records for name in record} - IDENTITY)
    values = {name: [record.get(name) for record in records] for name in names}
    return {name: _by_node(records, each) for name, each in values.items() if len(set(each)) > 1}


def changed(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the conditions that changed. A worker that was restarted alike is no change.

    `workers` means that their number changed. Return nothing if one of the two is unknown.
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
