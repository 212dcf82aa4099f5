"""Criteria: measured quantities compared with limits. A quantity without a measurement is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Quantity(StrEnum):
    """Measured quantities. A ratio of 1 is 100 %. Slowdown factors are relative to one slot."""

    CPU_UTILISATION = "cpu_utilisation_ratio"
    DISK_UTILISATION = "disk_utilisation_ratio"
    NETWORK_UTILISATION = "network_utilisation_ratio"
    HIGHEST_UTILISATION = "highest_utilisation_ratio"
    UTILISATION_LEAD = "utilisation_lead_ratio"
    CPU_PRESSURE = "cpu_pressure_some_ratio"
    IO_PRESSURE_SOME = "io_pressure_some_ratio"
    IO_PRESSURE_FULL = "io_pressure_full_ratio"
    MEMORY_PRESSURE = "memory_pressure_full_ratio"
    HIGHEST_PRESSURE = "highest_pressure_some_ratio"
    THROTTLED_PERIODS = "throttled_periods_ratio"
    HOST_IDLE = "host_idle_ratio"
    SWAPPED_IN = "swapped_in_bytes"
    OWN_OOM_KILLS = "own_oom_kills"
    FFMPEG_SLOWDOWN = "ffmpeg_slowdown_factor"
    DOWNLOAD_SLOWDOWN = "download_slowdown_factor"
    TRANSFER_SLOWDOWN = "transfer_slowdown_factor"
    DATABASE_SLOWDOWN = "database_slowdown_factor"
    CPU_WORK_SLOWDOWN = "cpu_work_slowdown_factor"
    FFMPEG_SHARE = "ffmpeg_share_ratio"
    TRANSFER_SHARE = "transfer_share_ratio"
    DATABASE_SHARE = "database_share_ratio"
    DATABASE_LOSS = "database_loss_ratio"
    IDLE_GAP = "idle_gap_ratio"
    WAIT_SHARE = "wait_share_ratio"
    FFMPEG_CORES = "ffmpeg_cores"
    FFMPEG_CORES_KEPT = "ffmpeg_cores_kept_ratio"
    CPU_BOUND = "cpu_bound_ratio"
    EFFICIENCY = "efficiency_ratio"
    GAIN_UP_TO_HERE = "gain_up_to_here_ratio"
    GAIN_FROM_HERE = "gain_from_here_ratio"
    GAIN = "gain_ratio"


class Relation(StrEnum):
    """Relation of a value to its limit."""

    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    ABOVE = "above"
    BELOW = "below"
    BETWEEN = "between"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A quantity, its value (None when not measured), and the limit that it is compared with, if any.

    `upper_limit` belongs to `between`. `cores` is the number of cores that a CPU utilisation is a share of.
    """

    quantity: Quantity
    value: float | None
    relation: Relation | None = None
    limit: float | None = None
    upper_limit: float | None = None
    cores: float | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """Measurements compared with limits.

    `holds` is None when unknown. `sufficient` is true if the criterion makes the verdict certain alone. If the
    criterion holds, `measurements` are all of its measurements. Otherwise they are only those that fail or are unknown.
    """

    measurements: tuple[Measurement, ...]
    holds: bool | None
    sufficient: bool = False


def at_least(measured: Measurement, limit: float) -> Criterion:
    """Return the criterion value >= limit."""
    return _compare(measured, Relation.AT_LEAST, limit)


def at_most(measured: Measurement, limit: float) -> Criterion:
    """Return the criterion value <= limit."""
    return _compare(measured, Relation.AT_MOST, limit)


def above(measured: Measurement, limit: float) -> Criterion:
    """Return the criterion value > limit."""
    return _compare(measured, Relation.ABOVE, limit)


def below(measured: Measurement, limit: float) -> Criterion:
    """Return the criterion value < limit."""
    return _compare(measured, Relation.BELOW, limit)


def between(measured: Measurement, low: float, high: float) -> Criterion:
    """Return the criterion low <= value <= high."""
    value = measured.value
    limited = replace(measured, relation=Relation.BETWEEN, limit=low, upper_limit=high)
    return Criterion((limited,), None if value is None else low <= value <= high)


def sufficient(criterion: Criterion) -> Criterion:
    """Return the criterion marked as sufficient. A sufficient criterion makes the verdict certain alone."""
    return replace(criterion, sufficient=True)


def all_of(*criteria: Criterion) -> Criterion:
    """Return a criterion that holds when all of `criteria` hold, and fails when one of them fails.

    Otherwise the criterion is unknown.
    """
    states = [criterion.holds for criterion in criteria]
    holds = False if False in states else None if None in states else True
    return Criterion(_measurements(c for c in criteria if c.holds is holds), holds)


def any_of(*criteria: Criterion) -> Criterion:
    """Return a criterion that holds when any of `criteria` holds, and fails when all of them fail.

    Otherwise the criterion is unknown.
    """
    states = [criterion.holds for criterion in criteria]
    holds = True if True in states else None if None in states else False
    return Criterion(_measurements(c for c in criteria if c.holds is holds), holds)


def jointly(*criteria: Criterion) -> list[Criterion]:
    """Return `criteria` changed so that each one holds only when all of them hold."""
    holds = all_of(*criteria).holds
    return [replace(criterion, holds=holds) for criterion in criteria]


def _compare(measured: Measurement, relation: Relation, limit: float) -> Criterion:
    limited = replace(measured, relation=relation, limit=limit)
    return Criterion((limited,), None if measured.value is None else _holds(measured.value, relation, limit))


def _holds(value: float, relation: Relation, limit: float) -> bool:
    if relation is Relation.AT_LEAST:
        return value >= limit
    if relation is Relation.AT_MOST:
        return value <= limit
    return value > limit if relation is Relation.ABOVE else value < limit


def _measurements(criteria: Iterable[Criterion]) -> tuple[Measurement, ...]:
    return tuple(measurement for criterion in criteria for measurement in criterion.measurements)
