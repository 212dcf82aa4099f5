"""Compute the figures of one run from its records: throughput, times, stability and result row."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from capacity.analysis.run_facts import autoscale_at_start, recorded_facts
from capacity.diagnosis.data_quality import RunFacts, quality_warnings
from capacity.diagnosis.validity import Level, Validity, combined, judge_validity
from capacity.estimators import throughput
from capacity.estimators.completion_times import saturated_from_completions
from capacity.estimators.reason import Reason
from capacity.estimators.stability import StabilityVerdict, judge_backlog, judge_stability
from capacity.estimators.tails import Tail, response_times, tail
from capacity.runs.conditions import Conditions, workers_at_start
from capacity.runs.recorded_run import RecordedRun
from capacity.runs.result_row import ResultRow
from core.run import POISSON, SHAPE, RunStatus, app_name, has_constant_rate


class ScenarioFigures(NamedTuple):
    """X (videos per minute) and S (mean response time) of a run, as Prometheus computed them.

    A figure that Prometheus does not have is None.
    """

    x_per_minute: float | None = None
    s_seconds: float | None = None


UNKNOWN_FIGURES = ScenarioFigures()


@dataclass(frozen=True)
class MeasuredRun:
    """A recorded run with the figures that are computed from its records.

    - `figures`: X and S as Prometheus computed them.
    - `scenario`: X and S, computed from the records.
    - `cycles`: the slot cycles.
    - `saturated`: X_sat, or the reason why it is unknown. None for a sustained run.
    - `service`: service times of the done videos, each from the start of the execution that ended the video to the end
      of the video. Failed and repeated executions do not count.
    - `stability`: the stability verdict. None for a burst, and for a run whose sending rate changed on purpose.
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
        """Return the result row of the run: its figures and their validity.

        The validity is the worse of two: that of the run's records, and that of the last report on the run.
        """
        recorded = judge_validity(quality_warnings(self.facts))
        return replace(self.unjudged_row, validity=combined([recorded, _stored_validity(self.recorded)]))

    @cached_property
    def facts(self) -> RunFacts:
        """Return the facts about the run that can weaken its figures, such as failed videos.

        Facts that the records of the run do not show stay unknown.
        """
        return recorded_facts(self.recorded, self.unjudged_row, self.cycles, self.saturated)

    @cached_property
    def unjudged_row(self) -> ResultRow:
        """Return the result row of the run: its figures and conditions, without their validity.

        The property `row` returns the same result row with the validity.
        """
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
            unfinished=recorded.video_counts.open + cancelled_videos(recorded)[0],
            first_videos=saturated.first_videos.value if saturated and saturated.first_videos else None,
            video_megabytes=run.size_bytes / 1e6 if run.size_bytes else None,
            response=_response(recorded),
            queue_wait=tail(
                (recorded.started_at - recorded.uploaded_at)[recorded.done], is_sustained=not recorded.is_burst
            ),
            app=app_name(run.environment),
            missed_executions=run.executions_missed or 0,
            x_sat_source=saturated.source.value if saturated and saturated.per_minute else None,
        )


def measure(recorded: RecordedRun, figures: ScenarioFigures = UNKNOWN_FIGURES) -> MeasuredRun:
    """Compute throughput, service times and stability of a run from its records.

    `figures` has X (videos per minute) and S (mean response time) of the run, as Prometheus computed them. These
    figures are stored in the result unchanged.
    """
    executions, slots = recorded.executions, recorded.run.slots
    cycles = throughput.slot_cycles(executions, slots, recorded.run.concurrency)
    return MeasuredRun(
        recorded=recorded,
        figures=figures,
        scenario=_scenario(recorded),
        cycles=cycles,
        saturated=_saturated(recorded, cycles) if recorded.is_burst else None,
        service=throughput.service_statistics(recorded.started_at[recorded.done], recorded.updated_at[recorded.done]),
        stability=_stability(recorded, cycles),
    )


def cancelled_videos(recorded: RecordedRun) -> tuple[int, float]:
    """Return how many videos of an interrupted or failed run were cancelled, and their mean upload time.

    The time is in epoch seconds, or NaN if unknown. For a burst, an unknown time is replaced by the earliest upload. A
    run of another status, or without cancelled videos, gives (0, NaN).
    """
    run = recorded.run
    cancelled = (run.environment.get("asked_count") or run.count) - run.count
    if run.status not in {RunStatus.INTERRUPTED, RunStatus.FAILED} or cancelled <= 0:
        return 0, float("nan")
    first = float(np.nanmin(recorded.uploaded_at)) if recorded.is_burst and recorded.uploaded_at.size else float("nan")
    return cancelled, run.environment.get("cancelled_uploaded_at_mean") or first


def _scenario(recorded: RecordedRun) -> throughput.Scenario:
    run, (cancelled, uploaded_mean) = recorded.run, cancelled_videos(recorded)
    uploaded = np.append(recorded.uploaded_at, np.full(cancelled, uploaded_mean))
    updated = np.append(recorded.updated_at, np.full(cancelled, np.nan))
    done = np.append(recorded.done, np.zeros(cancelled, dtype=bool))
    if recorded.is_burst or run.started_at is None or run.window_seconds is None:
        scenario = throughput.scenario_burst(uploaded, updated, done)
    else:
        end = run.started_at + run.window_seconds
        scenario = throughput.scenario_sustained(uploaded, updated, run.started_at, end, done)
    is_unknown = cancelled and math.isnan(uploaded_mean)
    return replace(scenario, response_mean_seconds=float("nan")) if is_unknown else scenario


def _response(recorded: RecordedRun) -> Tail:
    seconds, has_open = response_times(recorded.uploaded_at, recorded.updated_at, recorded.done)
    is_lower_bound = has_open or cancelled_videos(recorded)[0] > 0
    return tail(seconds, is_lower_bound=is_lower_bound, is_sustained=not recorded.is_burst)


def _saturated(recorded: RecordedRun, cycles: throughput.SlotCycles) -> throughput.SaturatedThroughput:
    """Return X_sat from the executions, or from the ends of the videos if no execution was recorded.

    It is unknown if the worker changed its number of slots.
    """
    if (autoscale := autoscale_at_start(recorded)) is not None:
        return throughput.SaturatedThroughput(
            None, None, Reason(throughput.NoCapacity.AUTOSCALE, {"autoscale": autoscale})
        )
    if recorded.has_only_ends:
        return saturated_from_completions(recorded.updated_at, recorded.done, recorded.run.slots)
    run, is_warm = recorded.run, bool(recorded.run.environment.get("is_warm"))
    return throughput.saturated_throughput(
        recorded.executions, run.slots, run.concurrency, is_warm=is_warm, cycles=cycles
    )


def _stored_validity(recorded: RecordedRun) -> Validity:
    level, reasons = recorded.run.validity, recorded.run.validity_reasons
    return Validity(Level(level), tuple(reasons or ())) if level else Validity()


def _stability(recorded: RecordedRun, cycles: throughput.SlotCycles) -> StabilityVerdict | None:
    shape = recorded.run.environment.get(SHAPE)
    if recorded.is_burst or not has_constant_rate(shape):
        return None
    if recorded.has_only_ends or autoscale_at_start(recorded) is not None:
        return judge_backlog(recorded.uploaded_at, recorded.updated_at, recorded.run.slots)
    return judge_stability(
        recorded.uploaded_at,
        recorded.started_at,
        cycles.service_seconds,
        cycles.cycle_seconds,
        recorded.run.slots,
        arrival_cv=1.0 if shape == POISSON else 0.0,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
