"""Where the time of a video goes, and which rate each resource could carry at most.

Operational laws (Denning and Buzen 1978) over a window T with K completions: X = K/T, U = B/(m T), D = B/K, U = X D/m.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from capacity.estimate import SECONDS_PER_MINUTE, Floats

UNMEASURED_SHARE = 0.02
UNMEASURED_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Mean cycle = wait + stages + other, in seconds; `fully_measured` is false when `other` hides a stage."""

    cycle_seconds: float
    wait_seconds: float
    service_seconds: float
    stage_seconds: Mapping[str, float]
    other_seconds: float
    fully_measured: bool


@dataclass(frozen=True, slots=True)
class Resource:
    """`servers` identical servers (cores, or 1 for a device) that each video occupies `demand_seconds` in all."""

    name: str
    servers: float
    demand_seconds: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most each resource allows, videos a minute, the lowest of them, and the slots from which it binds."""

    per_minute: Mapping[str, float]
    limit_per_minute: float
    limited_by: str
    knee_slots: float


def decompose(uploaded_at: Floats, started_at: Floats, ended_at: Floats, stages: Mapping[str, Floats]) -> Decomposition:
    """Return the mean of every part of the cycle over videos with all three stamps; a stage's NaN counts as 0 s."""
    known = np.isfinite(uploaded_at) & np.isfinite(started_at) & np.isfinite(ended_at)
    if not known.any():
        nan = float("nan")
        return Decomposition(nan, nan, nan, dict.fromkeys(stages, nan), nan, False)
    wait = float((started_at - uploaded_at)[known].mean())
    service = float((ended_at - started_at)[known].mean())
    means = {name: float(np.nan_to_num(seconds[known]).mean()) for name, seconds in stages.items()}
    other = service - sum(means.values())
    allowed = max(UNMEASURED_SHARE * service, UNMEASURED_SECONDS)
    return Decomposition(wait + service, wait, service, means, other, abs(other) < allowed)


def demand(busy_seconds: float, completions: int) -> float:
    """Return D = B / K, seconds of a resource per completed video (core-seconds for the CPU)."""
    return busy_seconds / completions if completions else float("nan")


def utilisation(per_minute: float, resource: Resource) -> float:
    """Return U = X D / m."""
    return per_minute / SECONDS_PER_MINUTE * resource.demand_seconds / resource.servers


def bounds(slots: int, slot_cycle_seconds: float, resources: Sequence[Resource]) -> Bounds:
    """Return asymptotic bounds of a closed system of `slots` customers; the cycle is that of one slot alone, with gap.

    Beyond the knee more slots only lengthen the service, see `service_beyond_knee`.
    """
    caps = {"slots": SECONDS_PER_MINUTE * slots / slot_cycle_seconds}
    caps |= {r.name: SECONDS_PER_MINUTE * r.servers / r.demand_seconds for r in resources if r.demand_seconds > 0}
    limited_by = min(caps, key=lambda name: caps[name])
    widest = min((r.servers / r.demand_seconds for r in resources if r.demand_seconds > 0), default=float("inf"))
    return Bounds(caps, caps[limited_by], limited_by, slot_cycle_seconds * widest)


def service_beyond_knee(slots: int, service_alone_seconds: float, resources: Sequence[Resource]) -> float:
    """Return S(c) = max(S_1, c max(D / m)), the shortest mean service `slots` slots can have."""
    return max(service_alone_seconds, *(slots * r.demand_seconds / r.servers for r in resources))
