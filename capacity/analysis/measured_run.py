"""Figures of a run from its own records alone, each computed once, and its result row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from capacity.estimators import throughput
from capacity.estimators.stability import StabilityVerdict, judge_stability
from capacity.runs.conditions import Conditions, workers_at_start
from capacity.runs.recorded_run import RecordedRun
from capacity.runs.result_row import ResultRow


class ScenarioFigures(NamedTuple):
    """X and S of a run from Prometheus' recording rules. None is unknown."""

    x_per_minute: float | None = None
    s_seconds: float | None = None


UNKNOWN_FIGURES = ScenarioFigures()


@dataclass(frozen=True)
class MeasuredRun:
    """A recorded run with its throughput, service times and stability.

    `stability` is None for a burst.
    """

    recorded: RecordedRun
    figures: ScenarioFigures
    scenario: throughput.Scenario
    cycles: throughput.SlotCycles
    saturated: throughput.SaturatedThroughput | None
    service: throughput.ServiceStatistics
    stability: StabilityVerdict | None

    @cached_property
    def row(self) -> ResultRow:
        """Return the result row with the figures of the run."""
        recorded, run, saturated = self.recorded, self.recorded.run, self.saturated
        return ResultRow(
            run_id=run.id,
            status=run.status,
            mode=run.mode,
            size_label=run.size_label,
            concurrency=run.concurrency,
            slots=run.slots,
            count=run.count,
            rate_per_minute=run.rate_per_minute,
            done=int(recorded.done.sum()),
            failed=recorded.failed,
            duplicates=recorded.duplicates,
            x_per_minute=self.figures.x_per_minute,
            s_seconds=self.figures.s_seconds,
            x_database=_finite(self.scenario.throughput_per_minute),
            s_database=_finite(self.scenario.response_mean_seconds),
            x_sat_per_minute=saturated.per_minute if saturated else None,
            x_sat_interval=saturated.interval if saturated else None,
            service_mean_seconds=_finite(self.service.mean_seconds),
            service_cv=_finite(self.service.cv),
            stability=str(self.stability.verdict.value) if self.stability else None,
            conditions=Conditions.of(run.profile, run.source_sha256, run.environment),
            nodes=run.nodes,
            worker_slots=tuple(sorted(worker["slots"] for worker in workers_at_start(run.environment) or ())),
            created_at=run.created_at,
            asked=run.environment.get("asked_count"),
        )


def measure(recorded: RecordedRun, figures: ScenarioFigures = UNKNOWN_FIGURES) -> MeasuredRun:
    """Compute the figures of a run. `figures` are X and S of the recording rules."""
    executions, slots = recorded.executions, recorded.run.slots
    cycles = throughput.slot_cycles(executions, slots)
    return MeasuredRun(
        recorded=recorded,
        figures=figures,
        scenario=_scenario(recorded),
        cycles=cycles,
        saturated=throughput.saturated_throughput_of_cycles(cycles, slots) if recorded.is_burst else None,
        service=throughput.service_statistics(executions.started_at, executions.ended_at),
        stability=None if recorded.is_burst else _stability(recorded, cycles),
    )


def _scenario(recorded: RecordedRun) -> throughput.Scenario:
    run = recorded.run
    if recorded.is_burst or run.started_at is None or run.window_seconds is None:
        return throughput.scenario_burst(recorded.uploaded_at, recorded.updated_at, recorded.done)
    end = run.started_at + run.window_seconds
    return throughput.scenario_sustained(recorded.uploaded_at, recorded.updated_at, run.started_at, end, recorded.done)


def _stability(recorded: RecordedRun, cycles: throughput.SlotCycles) -> StabilityVerdict:
    return judge_stability(
        recorded.uploaded_at, recorded.started_at, cycles.service_seconds, cycles.cycle_seconds, recorded.run.slots
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
