"""Analysis of one recorded run: figures, checks, bottleneck and data quality."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capacity.analysis.baseline_costs import VideoCost
from capacity.analysis.bottleneck_evidence import cell_evidence
from capacity.analysis.measured_run import MeasuredRun
from capacity.analysis.run_windows import run_window
from capacity.diagnosis.bottleneck import BottleneckVerdict, find_bottleneck
from capacity.diagnosis.data_quality import QualityWarning, RunFacts, quality_warnings
from capacity.estimators import throughput
from capacity.estimators.interval import Floats
from capacity.estimators.littles_law import LittleCheck, check_littles_law
from capacity.estimators.response_time import Decomposition, decompose
from capacity.estimators.stability import OfferedRate, offered_rate
from capacity.runs.fleet_differences import fleet_differences
from capacity.runs.recorded_run import RecordedRun
from capacity.runs.resource_samples import Resources

#: the queue is read every 5 s; over a shorter time its mean has too few samples to be compared
LITTLE_MINIMUM_SECONDS = 100.0


@dataclass(frozen=True)
class RunAnalysis(MeasuredRun):
    """A measured run with the results that need resource samples and comparable runs.

    `offered` is None for a burst.
    """

    resources: Resources
    parts: Decomposition
    little: LittleCheck
    offered: OfferedRate | None
    bottleneck: BottleneckVerdict
    warnings: tuple[QualityWarning, ...]


def analyse(
    measured: MeasuredRun,
    resources: Resources,
    comparable: Sequence[VideoCost] = (),
    usual_calibration_seconds: float | None = None,
) -> RunAnalysis:
    """Analyse a run.

    `comparable` are bursts of the same videos with other numbers of slots, nearest in time first.
    """
    recorded = measured.recorded
    little, offered = _little(recorded, resources), _offered(recorded)
    return RunAnalysis(
        **{field.name: getattr(measured, field.name) for field in dataclasses.fields(MeasuredRun)},
        resources=resources,
        parts=_parts(recorded),
        little=little,
        offered=offered,
        bottleneck=find_bottleneck(cell_evidence(measured, resources, comparable)),
        warnings=quality_warnings(_facts(measured, resources, little, offered, usual_calibration_seconds)),
    )


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
    start, end = run_window(recorded)
    polled = resources.during(start, end).samples.get("messages", np.empty(0))
    counted = polled if end - start >= LITTLE_MINIMUM_SECONDS else polled[:0]
    return check_littles_law(counted, recorded.uploaded_at, recorded.updated_at)


def _offered(recorded: RecordedRun) -> OfferedRate | None:
    rate = recorded.run.rate_per_minute
    return offered_rate(recorded.uploaded_at, recorded.intended_at, rate) if rate and not recorded.is_burst else None


def _facts(
    measured: MeasuredRun,
    resources: Resources,
    little: LittleCheck,
    offered: OfferedRate | None,
    usual_calibration_seconds: float | None,
) -> RunFacts:
    recorded, row = measured.recorded, measured.row
    environment, window = recorded.run.environment, run_window(recorded)
    during = resources.during(*window)
    steal_mean, steal_worst = during.steal_ratios()
    differences = fleet_differences(environment)
    return RunFacts(
        slots=row.slots,
        mixed_conditions=differences.mixed,
        changed_conditions=differences.changed,
        cycle_seconds=measured.cycles.cycle_seconds,
        service_mean_seconds=row.service_mean_seconds,
        steal_mean_ratio=steal_mean,
        steal_worst_window_ratio=steal_worst,
        calibration_before_seconds=environment.get("canary_before_seconds"),
        # the key keeps the old name of the CPU calibration, so that old runs can be read
        calibration_after_seconds=environment.get("canary_after_seconds"),
        calibration_usual_seconds=usual_calibration_seconds,
        clock_offset_seconds=during.clock_offset(),
        other_cpu_ratio=resources.other_cpu_ratio(*window),
        ffmpeg_cpu_seconds=_counted_cpu_seconds(recorded),
        skewed_stamps=throughput.skewed_stamps(measured.cycles),
        duplicate_deliveries=row.duplicates,
        unfinished_videos=recorded.video_counts.waiting + recorded.video_counts.in_flight,
        generator_limited=offered.generator_limited if offered else None,
        littles_law=little.agreement,
    )


def _counted_cpu_seconds(recorded: RecordedRun) -> Floats:
    """Return ffmpeg's CPU seconds of each counted execution, without the unknown values."""
    seconds = recorded.ffmpeg_cpu_seconds[recorded.executions.counted]
    return seconds[np.isfinite(seconds)]
