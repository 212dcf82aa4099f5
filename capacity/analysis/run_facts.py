"""Collect the facts about a run that can weaken its figures, such as failed videos or stolen CPU.

The module `capacity.diagnosis.data_quality` turns them into data-quality warnings.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from capacity.analysis.run_windows import run_window
from capacity.diagnosis.conservation import Conservation, MessageCounts, lost_messages
from capacity.diagnosis.data_quality import UPLOAD_OFFSET_SECONDS, RunFacts
from capacity.estimators.interval import Floats
from capacity.estimators.littles_law import LittleCheck, QueueReadings, videos_present
from capacity.estimators.reason import Reason
from capacity.estimators.response_time import reversed_times
from capacity.estimators.slots import most_workers_at_once, working_slots
from capacity.estimators.stability import OfferedRate
from capacity.estimators.throughput import (
    FEWEST_GENERATIONS,
    FirstVideos,
    NoCapacity,
    SaturatedThroughput,
    SlotCycles,
)
from capacity.runs.fleet_differences import fleet_differences
from capacity.runs.recorded_run import RecordedRun
from capacity.runs.resource_samples import Resources
from capacity.runs.result_row import ResultRow
from core.run import FINAL_STATUSES, REAL_SQS, RunStatus
from core.size_mix import is_mix
from core.video import Outcome
from core.worker_conditions import autoscale

#: other work in the slots, as a share of the run's own, that changes X and S by more than their precision
OTHER_WORK_RATIO = 0.02
#: largest delay between a change of the queue and its counters: an emulator's, with the time of the calls
EMULATOR_DELAY_SECONDS = 0.25
#: AWS calls its counters approximate and states no delay; this is an assumption
AWS_DELAY_SECONDS = 15.0


def recorded_facts(
    recorded: RecordedRun, row: ResultRow, cycles: SlotCycles, saturated: SaturatedThroughput | None
) -> RunFacts:
    """Return the facts about a run that can weaken its figures, such as failed videos.

    `cycles` and `saturated` are the run's slot cycles and X_sat. Facts that need resource samples or other runs stay
    unknown.
    """
    differences, option = fleet_differences(recorded.run.environment), autoscale_at_start(recorded)
    return RunFacts(
        slots=row.slots,
        mixed_conditions=differences.mixed,
        autoscale=option,
        changed_conditions=tuple(name for name in differences.changed if option is None or name != "slots")
        or _more_workers(recorded),
        cycle_seconds=cycles.cycle_seconds,
        settled_cycle_seconds=np.empty(0) if option else cycles.settled(row.slots),
        service_mean_seconds=row.service_mean_seconds,
        service_cv=None if row.x_sat_per_minute is None else _service_cv(recorded, row),
        calibration_before_seconds=recorded.run.environment.get("canary_before_seconds"),
        # the key keeps the old name of the CPU calibration, so that old runs can be read
        calibration_after_seconds=recorded.run.environment.get("canary_after_seconds"),
        ffmpeg_cpu_seconds=_counted_cpu_seconds(recorded),
        skewed_stamps=_skewed_stamps(recorded),
        duplicate_deliveries=row.duplicates,
        unfinished_videos=row.unfinished,
        impossible=_impossible(recorded, cycles, saturated),
        superseded_executions=recorded.outcomes[Outcome.SUPERSEDED],
        lost_executions=recorded.outcomes[Outcome.LOST],
        missed_executions=recorded.run.executions_missed or 0,
        retried_executions=recorded.outcomes[Outcome.RETRIED],
        lost_messages=conservation(recorded).lost_messages,
        earlier_messages=_earlier_messages(recorded),
        other_executions=_other_executions(recorded, cycles),
        # while a run is in progress, Prometheus is a few seconds behind the database
        sources_agree=row.agrees if row.status in FINAL_STATUSES else None,
        is_finished=row.status == RunStatus.FINISHED,
        failed_videos=row.failed,
        includes_cold_start=saturated is not None and saturated.first_videos is FirstVideos.INCLUDED,
        from_completion_times=recorded.has_only_ends,
        upload_offset_seconds=_upload_offset(recorded),
        clock_difference_seconds=clock_difference(recorded),
        observed_ends=recorded.run.environment.get("app", {}).get("observed_ends", 0),
        table_disagreements=recorded.run.environment.get("app", {}).get("disagreements", 0),
    )


def with_conditions(
    facts: RunFacts,
    recorded: RecordedRun,
    resources: Resources,
    little: LittleCheck,
    offered: OfferedRate | None,
    usual_calibration_seconds: float | None,
) -> RunFacts:
    """Return a copy of `facts`, with the facts from resource samples and from other runs added.

    Examples of the added facts are stolen CPU, clock offsets and the check of Little's law.
    """
    window = run_window(recorded)
    during = resources.during(*window)
    steal_mean, steal_worst = during.steal_ratios()
    return replace(
        facts,
        steal_mean_ratio=steal_mean,
        steal_worst_window_ratio=steal_worst,
        calibration_usual_seconds=usual_calibration_seconds,
        clock_offset_seconds=during.clock_offset(),
        other_cpu_ratio=resources.other_cpu_ratio(
            *window, recorded.executions.started_at, recorded.executions.ended_at
        ),
        generator_limited=offered.generator_limited if offered else None,
        surplus_messages=_surplus_messages(recorded, resources.queue_readings(*window), queue_delay_seconds(recorded)),
        littles_law=little.agreement,
        early_uploads_seconds=little.early_seconds,
    )


def autoscale_at_start(recorded: RecordedRun) -> str | None:
    """Return the value of Celery's option `--autoscale`, such as `8,2`, with which a worker of the run was started.

    Return None if no worker is known to have the option.
    """
    return autoscale(recorded.run.environment.get("workers", {}).get("start", ()))


def clock_difference(recorded: RecordedRun) -> float | None:
    """Return by how many seconds the clocks of an app's workers, of its database and of this machine differ at most.

    S may be wrong by as much, because the upload and the end of a video may be times of different clocks. None means
    that no other clock was compared with that of this machine.
    """
    app = recorded.run.environment.get("app", {})
    database = app.get("database_clock_offset_seconds")
    offsets = [*app.get("worker_clock_offsets_seconds", ()), *([] if database is None else [database])]
    return max(0.0, *offsets) - min(0.0, *offsets) if offsets else None


def conservation(recorded: RecordedRun) -> Conservation:
    """Return the counts that show whether a video of the run was lost, or an execution was in vain.

    The counts are: videos to send, videos sent, unfinished videos without a message (`lost_messages`, None if unknown),
    superseded executions (`repeated`), and executions whose process died (`lost`). The class VideoCounts has the videos
    by state.
    """
    counts, counted = recorded.video_counts, recorded.run.environment.get("messages")
    messages = MessageCounts(counted["in_queue"], counted["dead_lettered"]) if counted else None
    return Conservation(
        requested=recorded.run.count,
        injected=counts.injected,
        lost_messages=lost_messages(recorded.open_sent, counts.dead_lettered, messages),
        repeated=recorded.outcomes[Outcome.SUPERSEDED],
        lost=recorded.outcomes[Outcome.LOST],
    )


def _more_workers(recorded: RecordedRun) -> tuple[str, ...]:
    """Return `workers` if more of them worked at the same time than there were at the start.

    Autoscaled workers can be gone again at the end, so that their number is that of the start.
    """
    at_start = len(recorded.run.environment.get("workers", {}).get("start", ()))
    return ("workers",) if at_start and most_workers_at_once(recorded.executions) > at_start else ()


def _impossible(recorded: RecordedRun, cycles: SlotCycles, saturated: SaturatedThroughput | None) -> Reason | None:
    """Return why the executions are impossible on the declared slots, or None."""
    if saturated is not None:
        reason = saturated.reason
        return reason if reason is not None and isinstance(reason.code, NoCapacity) and _is_ours(reason.code) else None
    if autoscale_at_start(recorded) is not None:
        return None  # the slots at the start are not those of the run
    run, executions = recorded.run, recorded.executions
    working = working_slots(executions, run.slots, run.concurrency)
    waited = np.nanmax(recorded.started_at - recorded.uploaded_at, initial=0.0)
    service = cycles.service_seconds
    if working == run.slots or service.size < FEWEST_GENERATIONS * run.slots or waited <= service.mean():
        return None
    return Reason(NoCapacity.IDLE_SLOTS, {"working": working, "slots": run.slots, "working_per_minute": None})


def _is_ours(code: NoCapacity) -> bool:
    """Return True for an impossible record that no other check reports."""
    return code.is_impossible and code is not NoCapacity.CLOCK_SKEW


def _earlier_messages(recorded: RecordedRun) -> int | None:
    messages = recorded.run.environment.get("messages_before")
    if messages is None:
        return None
    return messages if messages > OTHER_WORK_RATIO * recorded.run.count else 0


def _upload_offset(recorded: RecordedRun) -> float | None:
    app = recorded.run.environment.get("app", {})
    offset = app.get("upload_offset_seconds")
    return None if offset is None else offset - (app.get("database_clock_offset_seconds") or 0.0)


def _other_executions(recorded: RecordedRun, cycles: SlotCycles) -> int:
    other = recorded.other_work
    if other is None or other.seconds <= OTHER_WORK_RATIO * float(cycles.service_seconds.sum()):
        return 0
    return other.executions


def queue_delay_seconds(recorded: RecordedRun) -> float:
    """Return how late the message counts of the run's queue may be, in seconds."""
    environment = recorded.run.environment
    # a run that did not record it is of an earlier version
    is_aws = environment.get(REAL_SQS, environment.get("stack") == "aws")
    return AWS_DELAY_SECONDS if is_aws else EMULATOR_DELAY_SECONDS


def _surplus_messages(recorded: RecordedRun, readings: QueueReadings, delay_seconds: float) -> int:
    """Return the most messages at a time beyond the videos present, in a run whose worker records no executions.

    A video present has at most one message, whenever the app acknowledges. 0 means no more than the usual share of
    other work. Uploads and ends may be recorded a second apart from those of the messages.
    """
    if recorded.run.environment.get("app", {}).get("instrumented") is not False or not readings.at.size:
        return 0
    slack = delay_seconds + UPLOAD_OFFSET_SECONDS
    left_at = np.where(np.isfinite(recorded.updated_at), recorded.updated_at + slack, np.inf)
    surplus = int((readings.messages - videos_present(recorded.uploaded_at - slack, left_at, readings.at)).max())
    return surplus if surplus > max(1, OTHER_WORK_RATIO * recorded.run.count) else 0


def _skewed_stamps(recorded: RecordedRun) -> int:
    """Count the videos that start or end before their upload, and executions that end before they start.

    A video has these times in this order on every clock that is right. The order of different executions is no
    evidence: it depends on slots, and those of killed, added or threaded workers differ from the declared ones.
    """
    began = np.fmin(recorded.started_at, recorded.updated_at)
    executions = recorded.executions
    return reversed_times(recorded.uploaded_at, began) + reversed_times(executions.started_at, executions.ended_at)


def _service_cv(recorded: RecordedRun, row: ResultRow) -> float | None:
    """Return the coefficient of variation of the service times, in a run of several sizes within one size.

    Only executions that completed a video count. The shares of a mix are exact, so the differences between its sizes
    add nothing to the variance of X_sat.
    """
    executions, counted = recorded.executions, recorded.executions.counted
    if not is_mix(row.size_label) or not counted.any():
        return row.service_cv
    seconds, sizes = (executions.ended_at - executions.started_at)[counted], recorded.source_bytes[counted]
    kinds = np.unique(sizes[np.isfinite(sizes)])
    residuals = np.concatenate([seconds[sizes == size] - seconds[sizes == size].mean() for size in kinds])
    freedom = residuals.size - kinds.size
    return float(np.sqrt((residuals**2).sum() / freedom) / seconds.mean()) if freedom > 0 else None


def _counted_cpu_seconds(recorded: RecordedRun) -> Floats:
    """Return ffmpeg's CPU seconds of each counted execution in start order; unknown values are left out.

    In a run of several sizes they are relative to the mean of their size, so that only the same file is compared.
    """
    by_start = np.argsort(recorded.executions.started_at, kind="stable")
    chosen = by_start[recorded.executions.counted[by_start] & np.isfinite(recorded.ffmpeg_cpu_seconds[by_start])]
    seconds, sizes = recorded.ffmpeg_cpu_seconds[chosen], recorded.source_bytes[chosen]
    for size in np.unique(sizes[np.isfinite(sizes)]):
        seconds[sizes == size] /= seconds[sizes == size].mean()
    return seconds
