"""Compare measured values with limits, and combine the comparisons into criteria for a bottleneck.

A criterion whose value was not measured is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Quantity(StrEnum):
    """Codes of the quantities that a bottleneck criterion compares with a limit.

    Most codes end in a unit, such as `_bytes`. The ending `_ratio` means a share: 1 is 100 %. The ending
    `_slowdown_factor` means a duration divided by the same duration in a run with one slot.
    """

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
    TRANSFER_LOSS = "transfer_loss_ratio"
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
    """How a measured value is compared with its limit, such as *at least*."""

    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    ABOVE = "above"
    BELOW = "below"
    BETWEEN = "between"


@dataclass(frozen=True, slots=True)
class Measurement:
    """The measured value of a quantity (None if unknown), and the limit with which it is compared.

    `relation` is the kind of comparison. For `between`, `limit` is the lowest and `upper_limit` the highest allowed
    value. `cores` is the number of cores that a CPU utilisation of 100 % stands for.
    """

    quantity: Quantity
    value: float | None
    relation: Relation | None = None
    limit: float | None = None
    upper_limit: float | None = None
    cores: float | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """A test of a bottleneck: one comparison of a measured value with a limit, or several combined.

    `holds` is the result of the test: True, False, or None if unknown. `measurements` are the comparisons that explain
    `holds`. If `sufficient` is True and the criterion holds, no other criterion of the bottleneck has to hold.
    """

    measurements: tuple[Measurement, ...]
    holds: bool | None
    sufficient: bool = False


def at_least(measured: Measurement, limit: float) -> Criterion:
    """Return the criterion that the measured value is at least `limit`."""
    return _compare(measured, Relation.AT_LEAST, limit)


def at_most(measured: Measurement, limit: float) -> Criterion:
    """Return the criterion that the measured value is at most `limit`."""
    return _compare(measured, Relation.AT_MOST, limit)


def above(measured: Measurement, limit: float) -> Criterion:
    """Return the criterion that the measured value is greater than `limit`."""
    return _compare(measured, Relation.ABOVE, limit)


def below(measured: Measurement, limit: float) -> Criterion:
    """Return the criterion that the measured value is less than `limit`."""
    return _compare(measured, Relation.BELOW, limit)


def between(measured: Measurement, low: float, high: float) -> Criterion:
    """Return the criterion that the measured value lies from `low` to `high`, both included."""
    value = measured.value
    limited = replace(measured, relation=Relation.BETWEEN, limit=low, upper_limit=high)
    return Criterion((limited,), None if value is None else low <= value <= high)


def sufficient(criterion: Criterion) -> Criterion:
    """Return a copy of the criterion, marked as enough evidence for a bottleneck if it holds."""
    return replace(criterion, sufficient=True)


def all_of(*criteria: Criterion) -> Criterion:
    """Combine criteria by AND: the result fails if one of them fails, and holds if all of them hold.

    Otherwise it is unknown.
    """
    states = [criterion.holds for criterion in criteria]
    holds = False if False in states else None if None in states else True
    return Criterion(_measurements(c for c in criteria if c.holds is holds), holds)


def any_of(*criteria: Criterion) -> Criterion:
    """Combine criteria by OR: the result holds if one of them holds, and fails if all of them fail.

    Otherwise it is unknown.
    """
    states = [criterion.holds for criterion in criteria]
    holds = True if True in states else None if None in states else False
    return Criterion(_measurements(c for c in criteria if c.holds is holds), holds)


def jointly(*criteria: Criterion) -> list[Criterion]:
    """Return copies of the criteria in which the field `holds` is the AND of all criteria.

    The AND is None if no criterion fails and at least one is unknown. Each copy keeps the measurements of its
    criterion.
    """
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
