"""Analyse one run: its figures, its bottleneck and its data-quality warnings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from capacity.analysis.baseline_costs import VideoCost
from capacity.analysis.bottleneck_evidence import cell_evidence
from capacity.analysis.measured_run import MeasuredRun
from capacity.analysis.run_facts import conservation, queue_delay_seconds, with_conditions
from capacity.analysis.run_windows import run_window
from capacity.diagnosis.bottleneck import BottleneckVerdict, Cause, Confidence, find_bottleneck
from capacity.diagnosis.conservation import Conservation
from capacity.diagnosis.data_quality import QualityWarning, quality_warnings
from capacity.diagnosis.validity import judge_validity
from capacity.estimators.interval import Floats
from capacity.estimators.littles_law import NO_READINGS, LittleCheck, check_littles_law
from capacity.estimators.response_time import Decomposition, decompose
from capacity.estimators.stability import OfferedRate, offered_rate
from capacity.runs.recorded_run import RecordedRun
from capacity.runs.resource_samples import Resources
from capacity.runs.result_row import ResultRow
from core.run import SHAPE, has_constant_rate


@dataclass(frozen=True)
class RunAnalysis(MeasuredRun):
    """A measured run with all results of its analysis, such as its bottleneck.

    `parts` divides the mean response time into queue wait, stages and the rest. `little` is the check of Little's law.
    `offered` says at which rate and how late the videos were uploaded, or is None for a burst. `resources` has the CPU,
    disk, network and queue samples. `warnings` are the data-quality warnings.
    """

    resources: Resources
    parts: Decomposition
    little: LittleCheck
    offered: OfferedRate | None
    bottleneck: BottleneckVerdict
    warnings: tuple[QualityWarning, ...]

    @cached_property
    def row(self) -> ResultRow:
        """Return the result row of the run. Its validity follows from all data-quality warnings."""
        return replace(self.unjudged_row, validity=judge_validity(self.warnings))

    @property
    def conservation(self) -> Conservation:
        """Return the check that no video of the run is lost: each is done or failed, or has a message."""
        return conservation(self.recorded)


def analyse(
    measured: MeasuredRun,
    resources: Resources,
    comparable: Sequence[VideoCost] = (),
    usual_calibration_seconds: float | None = None,
) -> RunAnalysis:
    """Analyse one run, and return its figures with its bottleneck and data-quality warnings.

    `resources` has the CPU, disk, network and queue samples of the run. `comparable` is the result of the function
    `comparable_costs`. `usual_calibration_seconds` is how long the CPU calibration usually takes on this machine, or
    None if unknown.
    """
    recorded = measured.recorded
    little, offered = _little(recorded, resources), _offered(recorded)
    return RunAnalysis(
        **{field.name: getattr(measured, field.name) for field in dataclasses.fields(MeasuredRun)},
        resources=resources,
        parts=_parts(recorded),
        little=little,
        offered=offered,
        bottleneck=_bottleneck(measured, resources, comparable),
        warnings=quality_warnings(
            with_conditions(measured.facts, recorded, resources, little, offered, usual_calibration_seconds)
        ),
    )


def _bottleneck(measured: MeasuredRun, resources: Resources, comparable: Sequence[VideoCost]) -> BottleneckVerdict:
    """Return the verdict on the bottleneck, which is unclear if the rate of the run changed.

    The means would then mix calm and overload. A verdict that has high confidence only by an invalid comparable run
    gets medium confidence.
    """
    if not has_constant_rate(measured.recorded.run.environment.get(SHAPE)):
        return BottleneckVerdict(Cause.UNCLEAR, Confidence.LOW, (), ())
    verdict = find_bottleneck(cell_evidence(measured, resources, comparable))
    usable = [cost for cost in comparable if not cost.is_invalid]
    if verdict.confidence is not Confidence.HIGH or len(usable) == len(comparable):
        return verdict
    alone = find_bottleneck(cell_evidence(measured, resources, usable))
    is_certain = (alone.cause, alone.confidence) == (verdict.cause, Confidence.HIGH)
    return verdict if is_certain else replace(verdict, confidence=Confidence.MEDIUM)


def _parts(recorded: RecordedRun) -> Decomposition:
    """Return the mean parts of the response time.

    Queue waits are exact per video, so they do not depend on pairing a video with an execution.
    """
    started = np.isfinite(recorded.started_at) & recorded.done
    wait = (recorded.started_at - recorded.uploaded_at)[started]
    executions, counted = recorded.executions, recorded.executions.counted
    start = executions.started_at[counted]
    uploaded = start - (float(wait.mean()) if wait.size else float("nan"))
    stages = {name: seconds[counted] for name, seconds in recorded.stage_seconds.items()}
    return decompose(uploaded, start, executions.ended_at[counted], stages)


def _little(recorded: RecordedRun, resources: Resources) -> LittleCheck:
    """Check Little's law.

    The result is unknown where the times at which messages left the queue are unknown.
    """
    start, end = run_window(recorded)
    left_at = _left_queue_at(recorded)
    readings = NO_READINGS if left_at is None else resources.queue_readings(start, end)
    left_at = recorded.updated_at if left_at is None else left_at
    return check_littles_law(readings, recorded.uploaded_at, left_at, end, queue_delay_seconds(recorded))


def _left_queue_at(recorded: RecordedRun) -> Floats | None:
    """Return when the message of each video left the queue, in epoch seconds. NaN means not yet.

    That is the end of the video, or the start of its execution if messages are acknowledged early. The result is None
    if it is unknown: queued videos were cancelled, or messages are acknowledged early and an ended video has no start,
    or a video has more than one execution.
    """
    environment = recorded.run.environment
    app = environment.get("app")
    if "asked_count" in environment:
        return None
    if app is None or app.get("acks_late"):
        return recorded.updated_at
    started = np.isfinite(recorded.started_at)
    has_one_message_each = recorded.executions.started_at.size == started.sum()
    is_known = (
        app.get("acks_late") is False and has_one_message_each and started[np.isfinite(recorded.updated_at)].all()
    )
    return recorded.started_at if is_known and started.any() else None


def _offered(recorded: RecordedRun) -> OfferedRate | None:
    rate = recorded.run.rate_per_minute
    return offered_rate(recorded.uploaded_at, recorded.intended_at, rate) if rate and not recorded.is_burst else None
