"""Which facts about a run forbid trusting its numbers, and which only deserve a word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from scipy import stats

from capacity.estimators.interval import Floats
from capacity.estimators.littles_law import Agreement
from core.language import Text

STEAL_WARNING = 0.02
STEAL_LIMIT = 0.05
STEAL_WINDOW_LIMIT = 0.20
CANARY_LIMIT = 0.05
CLOCK_OFFSET_SECONDS = 0.2
CLOCK_OFFSET_SHARE = 0.01
#: a clock is read over the network: less than this may be the time of the answer
CLOCK_RESOLUTION_SECONDS = 0.05
OTHER_CPU_LIMIT = 0.05
#: coefficient of variation of the CPU seconds that one and the same file costs; 0.02 is usual with full cores
COST_LIMIT = 0.05
COST_VIDEOS = 3
AUTOCORRELATION_LIMIT = 0.3
AUTOCORRELATION_VIDEOS = 30
TREND_LIMIT = 0.10
TREND_CHANCE = 0.01
FEW_GENERATIONS = 3


class Severity(StrEnum):
    """What a flag does to the numbers of its run."""

    WARNING = "warning"
    UNTRUSTWORTHY = "untrustworthy"


@dataclass(frozen=True, slots=True)
class TrustFlag:
    """One fact that weakens a run."""

    name: str
    severity: Severity
    evidence: Text


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known about the conditions of a run; None is unknown and raises no flag. Ratios are of 1."""

    slots: int
    cycle_seconds: Floats = field(default_factory=lambda: np.empty(0))
    service_mean_seconds: float | None = None
    steal_mean_ratio: float | None = None
    steal_worst_window_ratio: float | None = None
    canary_before_seconds: float | None = None
    canary_after_seconds: float | None = None
    canary_usual_seconds: float | None = None
    clock_offset_seconds: float | None = None
    other_cpu_ratio: float | None = None
    ffmpeg_cpu_seconds: Floats = field(default_factory=lambda: np.empty(0))
    skewed_stamps: int = 0
    duplicate_deliveries: int = 0
    unfinished_videos: int = 0
    generator_limited: bool | None = None
    littles_law: Agreement = Agreement.UNKNOWN


def trust_flags(facts: RunFacts) -> tuple[TrustFlag, ...]:
    """Return every flag the facts raise, in the order a reader should meet them."""
    return tuple(flag for check in _CHECKS for flag in check(facts))


def is_trustworthy(flags: tuple[TrustFlag, ...]) -> bool:
    """Return whether no flag forbids trusting the run."""
    return all(flag.severity is not Severity.UNTRUSTWORTHY for flag in flags)


def autocorrelation(values: Floats) -> float:
    """Return the lag-1 autocorrelation; NaN when it is not defined."""
    centred = values - values.mean() if values.size else values
    variance = float(centred @ centred)
    return float(centred[1:] @ centred[:-1]) / variance if values.size > 2 and variance > 0 else float("nan")


def drift(values: Floats) -> tuple[float, float]:
    """Return the change from first to last by a fitted line, relative to the mean, and its p-value.

    The size alone is not enough: at CV 0.3 thirty trendless cycles "change" by more than 10 % in 60 % of runs.
    """
    if values.size < 3 or values.mean() == 0:
        return float("nan"), float("nan")
    line = stats.linregress(np.arange(values.size), values)
    return float(line.slope * values.size / values.mean()), float(line.pvalue)


def _steal(facts: RunFacts) -> Iterator[TrustFlag]:
    """Yield a flag on stolen CPU; exhausted credits of a burstable machine show as nothing else."""
    mean, worst = facts.steal_mean_ratio, facts.steal_worst_window_ratio
    if mean is None and worst is None:
        return
    severe = (mean or 0) >= STEAL_LIMIT or (worst or 0) >= STEAL_WINDOW_LIMIT
    if severe or (mean or 0) >= STEAL_WARNING:
        shown = ", ".join(f"{100 * value:.1f} %" for value in (mean, worst) if value is not None)
        yield _flag("steal", severe, f"CPU robada por el hipervisor: {shown}", f"CPU stolen by the hypervisor: {shown}")


def _canary(facts: RunFacts) -> Iterator[TrustFlag]:
    before, after = facts.canary_before_seconds, facts.canary_after_seconds
    pairs = (("canary_changed", before, after), ("canary_unusual", facts.canary_usual_seconds, before))
    for name, reference, value in pairs:
        if reference and value and abs(value / reference - 1) > CANARY_LIMIT:
            shown = f"{reference:.3f} → {value:.3f} s"
            yield _flag(name, True, f"la misma tarea de CPU tardó {shown}", f"the same CPU work took {shown}")


def _clock(facts: RunFacts) -> Iterator[TrustFlag]:
    offset = facts.clock_offset_seconds
    if offset is not None:
        share = CLOCK_OFFSET_SHARE * (facts.service_mean_seconds or np.inf)
        if abs(offset) > max(CLOCK_RESOLUTION_SECONDS, min(CLOCK_OFFSET_SECONDS, share)):
            yield _flag("clock_offset", True, f"reloj desviado {offset:.3f} s", f"clock off by {offset:.3f} s")
    if facts.skewed_stamps:
        count = facts.skewed_stamps
        yield _flag(
            "clock_skew", True, f"{count} intentos con tiempo negativo", f"{count} executions with negative time"
        )


def _company(facts: RunFacts) -> Iterator[TrustFlag]:
    if facts.other_cpu_ratio is not None and facts.other_cpu_ratio > OTHER_CPU_LIMIT:
        shown = f"{100 * facts.other_cpu_ratio:.1f} %"
        yield _flag("other_processes", True, f"otros procesos usan {shown} de CPU", f"other processes use {shown} CPU")


def _cost(facts: RunFacts) -> Iterator[TrustFlag]:
    """Yield a flag when the run's one file did not always cost the same: a neighbour shows in nothing else."""
    cpu = facts.ffmpeg_cpu_seconds
    if cpu.size >= COST_VIDEOS and cpu.std(ddof=1) > COST_LIMIT * cpu.mean():
        shown = f"{cpu.min():.2f} … {cpu.max():.2f} s"
        yield _flag(
            "machine_speed",
            False,
            f"el mismo video costó {shown} de CPU: la máquina cambió de velocidad, repita la celda",
            f"the same video cost {shown} of CPU: the machine changed its speed, repeat the cell",
        )


def _messages(facts: RunFacts) -> Iterator[TrustFlag]:
    if facts.duplicate_deliveries:
        count = facts.duplicate_deliveries
        yield _flag("duplicates", True, f"{count} entregas repetidas", f"{count} duplicate deliveries")
    if facts.unfinished_videos:
        count = facts.unfinished_videos
        yield _flag("unfinished", False, f"{count} videos sin terminar: S es ≥", f"{count} unfinished videos: S is ≥")


def _generator(facts: RunFacts) -> Iterator[TrustFlag]:
    if facts.generator_limited:
        yield _flag("generator_limited", True, "el inyector no sostuvo la tasa", "the injector did not hold the rate")


def _little(facts: RunFacts) -> Iterator[TrustFlag]:
    if facts.littles_law in {Agreement.WARN, Agreement.INVALID}:
        severe = facts.littles_law is Agreement.INVALID
        yield _flag("littles_law", severe, "la cola y el registro no coinciden", "queue counters and log disagree")


def _size(facts: RunFacts) -> Iterator[TrustFlag]:
    count = facts.cycle_seconds.size
    if 0 < count < FEW_GENERATIONS * facts.slots:
        yield _flag(
            "few_videos",
            False,
            f"{count} videos en {facts.slots} slots: menos de 3 generaciones",
            f"{count} videos on {facts.slots} slots: under 3 generations",
        )


def _sequence(facts: RunFacts) -> Iterator[TrustFlag]:
    """Yield flags on the order of the cycles, which an interval of independent values takes for chance."""
    if facts.cycle_seconds.size < AUTOCORRELATION_VIDEOS:
        return
    correlation = autocorrelation(facts.cycle_seconds)
    change, chance = drift(facts.cycle_seconds)
    if correlation > AUTOCORRELATION_LIMIT:
        yield _flag(
            "autocorrelation",
            True,
            f"ciclos vecinos correlacionados ({correlation:.2f}): el intervalo de esta corrida no vale",
            f"neighbouring cycles correlate ({correlation:.2f}): the interval of this run is not valid",
        )
    if abs(change) > TREND_LIMIT and chance < TREND_CHANCE:
        shown = f"{100 * change:+.0f} %"
        yield _flag(
            "drift",
            True,
            f"el ciclo cambia {shown} durante la corrida (temperatura, créditos, disco)",
            f"the cycle changes {shown} along the run (heat, credits, disk)",
        )


def _flag(name: str, severe: bool, es: str, en: str) -> TrustFlag:
    return TrustFlag(name, Severity.UNTRUSTWORTHY if severe else Severity.WARNING, Text(es, en))


_CHECKS = (_steal, _canary, _clock, _company, _cost, _messages, _generator, _little, _size, _sequence)
