"""Find the facts that weaken the figures of a run, or make the run invalid: data-quality warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from capacity.estimators.correlation import autocorrelation, drift, drifts, neighbours_correlate
from capacity.estimators.interval import Floats
from capacity.estimators.littles_law import Agreement
from capacity.estimators.reason import Reason
from capacity.estimators.response_time import CLOCK_RESOLUTION_SECONDS
from capacity.estimators.speed_change import speed_change
from capacity.estimators.throughput import COLD_GENERATIONS, FEWEST_GENERATIONS

STEAL_WARNING = 0.02
STEAL_LIMIT = 0.05
STEAL_WINDOW_LIMIT = 0.20
#: a slower machine only; neighbouring calibrations of an idle machine differed by over 5 % in 11 of 23 pairs
CALIBRATION_LIMIT = 0.10
SPEED_TOLERANCE = 0.05
CLOCK_OFFSET_SECONDS = 0.2
CLOCK_OFFSET_SHARE = 0.01
#: an upload time that differs more from the moment of the insert is not the time of the upload
UPLOAD_OFFSET_SECONDS = 1.0
OTHER_CPU_LIMIT = 0.05
#: coefficient of variation of the CPU seconds that one and the same file costs; 0.02 is usual with full cores
COST_LIMIT = 0.05
COST_VIDEOS = 3
#: largest coefficient of variation of the service time for which the coverage of X_sat's interval is claimed
SERVICE_CV_LIMIT = 0.6


class Severity(StrEnum):
    """What a warning means for the figures of its run: use them with a note, or do not use them."""

    WARNING = "warning"
    INVALID = "untrustworthy"  # the value in --json, older than the name


class Problem(StrEnum):
    """Codes of the problems that weaken a run, such as failed videos or stolen CPU."""

    STEAL = "steal"
    # the values with "canary" are those in --json, older than the names
    CALIBRATION_CHANGED = "canary_changed"
    CALIBRATION_UNUSUAL = "canary_unusual"
    CLOCK_OFFSET = "clock_offset"
    CLOCK_SKEW = "clock_skew"
    CLOCK_DIFFERENCE = "clock_difference"
    MIXED_FLEET = "mixed_fleet"
    CHANGED_FLEET = "changed_fleet"
    AUTOSCALE = "autoscale"
    OTHER_PROCESSES = "other_processes"
    MACHINE_SPEED = "machine_speed"
    SPEED_CHANGED = "speed_changed"
    DUPLICATES = "duplicates"
    UNFINISHED = "unfinished"
    GENERATOR_LIMITED = "generator_limited"
    LITTLES_LAW = "littles_law"
    FEW_VIDEOS = "few_videos"
    AUTOCORRELATION = "autocorrelation"
    DRIFT = "drift"
    OVERLAPPING_EXECUTIONS = "overlapping_executions"
    FASTER_THAN_SERVICE = "faster_than_service"
    IDLE_SLOTS = "idle_slots"
    WORK_DONE_TWICE = "work_done_twice"
    LOST_EXECUTIONS = "lost_executions"
    MISSED_EXECUTIONS = "missed_executions"
    RETRIED_EXECUTIONS = "retried_executions"
    LOST_MESSAGES = "lost_messages"
    OTHER_MESSAGES = "other_messages"
    SURPLUS_MESSAGES = "surplus_messages"
    SOURCES_DISAGREE = "sources_disagree"
    INTERRUPTED = "interrupted"
    FAILED_VIDEOS = "failed_videos"
    COLD_START = "cold_start"
    UNEVEN_SERVICE = "uneven_service"
    COMPLETION_TIMES = "completion_times"
    UPLOAD_TIMES = "upload_times"
    EARLY_UPLOADS = "early_uploads"
    OBSERVED_ENDS = "observed_ends"
    TABLE_DISAGREES = "table_disagrees"


@dataclass(frozen=True, slots=True)
class QualityWarning:
    """Data-quality warning: a problem that weakens a run, its severity, and the numbers that show it."""

    name: Problem
    severity: Severity
    evidence: Reason


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts about a run, from which its data-quality warnings follow.

    An unknown fact is None and causes no warning. A fact named `…_ratio` is a fraction: 1 is 100 %. Arrays list the
    executions in start order.
    """

    slots: int
    #: conditions in which the workers differed, with the value of each node, and conditions that changed during the run
    mixed_conditions: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    changed_conditions: tuple[str, ...] = ()
    #: value of Celery's option `--autoscale`, such as `8,2`, if a worker has it
    autoscale: str | None = None
    cycle_seconds: Floats = field(default_factory=lambda: np.empty(0))
    #: without the first of each slot, which may include a cold start, and the last, of an emptying machine
    settled_cycle_seconds: Floats = field(default_factory=lambda: np.empty(0))
    service_mean_seconds: float | None = None
    #: coefficient of variation of the service times behind an X_sat, within one size of a mix; None without an X_sat
    service_cv: float | None = None
    steal_mean_ratio: float | None = None
    steal_worst_window_ratio: float | None = None
    calibration_before_seconds: float | None = None
    calibration_after_seconds: float | None = None
    calibration_usual_seconds: float | None = None
    clock_offset_seconds: float | None = None
    other_cpu_ratio: float | None = None
    ffmpeg_cpu_seconds: Floats = field(default_factory=lambda: np.empty(0))
    skewed_stamps: int = 0
    duplicate_deliveries: int = 0
    unfinished_videos: int = 0
    generator_limited: bool | None = None
    littles_law: Agreement = Agreement.UNKNOWN
    #: by how much the upload times are too early, if that explains the readings of the queue
    early_uploads_seconds: float | None = None
    #: why the recorded executions are impossible on the declared slots
    impossible: Reason | None = None
    superseded_executions: int = 0
    lost_executions: int = 0
    #: executions that left a worker's full spool before the collector read them
    missed_executions: int = 0
    retried_executions: int = 0
    #: videos without a final state and without a message
    lost_messages: int | None = None
    #: messages that were in the queue before the run, and executions of other runs during it
    earlier_messages: int | None = None
    other_executions: int = 0
    #: most messages at a time beyond the videos present, where executions of other work are not recorded
    surplus_messages: int = 0
    sources_agree: bool | None = None
    is_finished: bool = True
    failed_videos: int = 0
    #: X_sat includes the first video of each slot, although these slots had to start
    includes_cold_start: bool = False
    #: no execution was recorded, so X_sat is from the ends of the videos
    from_completion_times: bool = False
    #: largest difference of an app's own upload time and our clock at the insert, without the offset of its clock
    upload_offset_seconds: float | None = None
    #: largest difference of the clocks of an app's workers, of its database and of this machine
    clock_difference_seconds: float | None = None
    #: videos whose app left the time of the end alone; the collector's own clock was used
    observed_ends: int = 0
    #: videos that the app's table and their last execution end differently
    table_disagreements: int = 0


def quality_warnings(facts: RunFacts) -> tuple[QualityWarning, ...]:
    """Return the data-quality warnings of a run: one for each problem that `facts` show.

    The result is empty if `facts` show no problem.
    """
    return tuple(warning for check in _CHECKS for warning in check(facts))


def is_valid(warnings: tuple[QualityWarning, ...]) -> bool:
    """Return True if all of these data-quality warnings have a severity other than INVALID.

    The figures of the run can then be used. If there are any warnings, the figures need a note.
    """
    return all(warning.severity is not Severity.INVALID for warning in warnings)


def _steal(facts: RunFacts) -> Iterator[QualityWarning]:
    """Check for stolen CPU, the only sign of exhausted credits on a burstable machine."""
    mean, worst = facts.steal_mean_ratio, facts.steal_worst_window_ratio
    severe = (mean or 0) >= STEAL_LIMIT or (worst or 0) >= STEAL_WINDOW_LIMIT
    if severe or (mean or 0) >= STEAL_WARNING:
        yield _warning(Problem.STEAL, severe, mean_ratio=mean, worst_window_ratio=worst)


def _calibration(facts: RunFacts) -> Iterator[QualityWarning]:
    """Check for a CPU calibration that became slower.

    It ran outside the run, so it says nothing certain about the run.
    """
    before, after = facts.calibration_before_seconds, facts.calibration_after_seconds
    pairs = (
        (Problem.CALIBRATION_CHANGED, before, after),
        (Problem.CALIBRATION_UNUSUAL, facts.calibration_usual_seconds, before),
    )
    for name, reference, value in pairs:
        if reference and value and value / reference - 1 > CALIBRATION_LIMIT:
            yield _warning(name, False, reference_seconds=reference, measured_seconds=value)


def _clock(facts: RunFacts) -> Iterator[QualityWarning]:
    share = CLOCK_OFFSET_SHARE * (facts.service_mean_seconds or np.inf)
    limit = max(CLOCK_RESOLUTION_SECONDS, min(CLOCK_OFFSET_SECONDS, share))
    offset, difference = facts.clock_offset_seconds, facts.clock_difference_seconds
    if offset is not None and abs(offset) > limit:
        yield _warning(Problem.CLOCK_OFFSET, True, offset_seconds=offset)
    if difference is not None and difference > limit:
        yield _warning(Problem.CLOCK_DIFFERENCE, False, difference_seconds=difference)
    if facts.skewed_stamps:
        yield _warning(Problem.CLOCK_SKEW, True, executions=facts.skewed_stamps)


def _fleet(facts: RunFacts) -> Iterator[QualityWarning]:
    """Check that the workers were alike and stayed as they were.

    The figures of a mixed fleet hold for that fleet.
    """
    if facts.mixed_conditions:
        mixed = {name: dict(values) for name, values in facts.mixed_conditions.items()}
        yield QualityWarning(Problem.MIXED_FLEET, Severity.WARNING, Reason(Problem.MIXED_FLEET, {"conditions": mixed}))
    if facts.changed_conditions:
        values = {"names": list(facts.changed_conditions)}
        yield QualityWarning(Problem.CHANGED_FLEET, Severity.INVALID, Reason(Problem.CHANGED_FLEET, values))
    if facts.autoscale is not None:
        reason = Reason(Problem.AUTOSCALE, {"autoscale": facts.autoscale})
        yield QualityWarning(Problem.AUTOSCALE, Severity.WARNING, reason)


def _other_processes(facts: RunFacts) -> Iterator[QualityWarning]:
    if facts.other_cpu_ratio is not None and facts.other_cpu_ratio > OTHER_CPU_LIMIT:
        yield _warning(Problem.OTHER_PROCESSES, True, cpu_ratio=facts.other_cpu_ratio)


def _cost(facts: RunFacts) -> Iterator[QualityWarning]:
    """Check that the same file costs the same CPU seconds in every execution.

    No other check shows the load of other virtual machines on the same host.
    """
    cpu = facts.ffmpeg_cpu_seconds
    if cpu.size >= COST_VIDEOS and cpu.std(ddof=1) > COST_LIMIT * cpu.mean():
        least, most = float(cpu.min()), float(cpu.max())
        yield _warning(Problem.MACHINE_SPEED, False, least_cpu_seconds=least, most_cpu_seconds=most)


def _speed(facts: RunFacts) -> Iterator[QualityWarning]:
    """Check that the machine kept its speed from the first half of the run to the second.

    As for X_sat, the last executions are left out, because they run in an emptying machine.
    """
    cpu, slots = facts.ffmpeg_cpu_seconds, facts.slots
    change = speed_change(cpu[: cpu.size - slots] if cpu.size >= FEWEST_GENERATIONS * slots else cpu)
    if change is not None and change.exceeds(SPEED_TOLERANCE):
        values = {"ratio": change.ratio, "low_ratio": change.interval.low, "high_ratio": change.interval.high}
        yield _warning(Problem.SPEED_CHANGED, True, **values)


def _messages(facts: RunFacts) -> Iterator[QualityWarning]:
    if facts.duplicate_deliveries:
        yield _warning(Problem.DUPLICATES, True, deliveries=facts.duplicate_deliveries)
    if facts.unfinished_videos:
        yield _warning(Problem.UNFINISHED, False, videos=facts.unfinished_videos)


def _generator(facts: RunFacts) -> Iterator[QualityWarning]:
    if facts.generator_limited:
        yield _warning(Problem.GENERATOR_LIMITED, True)


def _little(facts: RunFacts) -> Iterator[QualityWarning]:
    if facts.littles_law in {Agreement.WARN, Agreement.INVALID}:
        yield _warning(Problem.LITTLES_LAW, facts.littles_law is Agreement.INVALID)
    early = facts.early_uploads_seconds
    if early is not None and early > UPLOAD_OFFSET_SECONDS:
        yield _warning(Problem.EARLY_UPLOADS, False, early_seconds=early)


def _size(facts: RunFacts) -> Iterator[QualityWarning]:
    count = facts.cycle_seconds.size
    if 0 < count < FEWEST_GENERATIONS * facts.slots:
        values = {"videos": count, "slots": facts.slots, "generations_needed": FEWEST_GENERATIONS}
        yield _warning(Problem.FEW_VIDEOS, False, **values)


def _sequence(facts: RunFacts) -> Iterator[QualityWarning]:
    """Check the order of the slot cycles for autocorrelation and trend.

    A machine that becomes slower ends with a capacity below X_sat, and one that becomes faster above it.
    """
    cycles = facts.settled_cycle_seconds
    if neighbours_correlate(cycles):
        yield _warning(Problem.AUTOCORRELATION, False, correlation=autocorrelation(cycles))
    if drifts(cycles):
        change, p_value = drift(cycles)
        yield _warning(Problem.DRIFT, change > 0, change_ratio=change, p_value=p_value)


def _impossible(facts: RunFacts) -> Iterator[QualityWarning]:
    if facts.impossible is not None:
        problem = Problem(facts.impossible.code.value)
        yield QualityWarning(problem, Severity.INVALID, Reason(problem, facts.impossible.values))


def _executions(facts: RunFacts) -> Iterator[QualityWarning]:
    """Check for executions that took slot time and gave no video."""
    if facts.superseded_executions:
        yield _warning(Problem.WORK_DONE_TWICE, True, executions=facts.superseded_executions)
    if facts.lost_executions:
        yield _warning(Problem.LOST_EXECUTIONS, True, executions=facts.lost_executions)
    if facts.missed_executions:
        yield _warning(Problem.MISSED_EXECUTIONS, True, executions=facts.missed_executions)
    if facts.retried_executions:
        yield _warning(Problem.RETRIED_EXECUTIONS, False, executions=facts.retried_executions)


def _conservation(facts: RunFacts) -> Iterator[QualityWarning]:
    if facts.lost_messages:
        yield _warning(Problem.LOST_MESSAGES, True, videos=facts.lost_messages)
    if facts.earlier_messages or facts.other_executions:
        values = {"messages": facts.earlier_messages, "executions": facts.other_executions}
        yield _warning(Problem.OTHER_MESSAGES, True, **values)
    if facts.surplus_messages:
        yield _warning(Problem.SURPLUS_MESSAGES, False, messages=facts.surplus_messages)
    if facts.sources_agree is False:
        yield _warning(Problem.SOURCES_DISAGREE, True)


def _completeness(facts: RunFacts) -> Iterator[QualityWarning]:
    if not facts.is_finished:
        yield _warning(Problem.INTERRUPTED, False)
    if facts.failed_videos:
        yield _warning(Problem.FAILED_VIDEOS, False, videos=facts.failed_videos)
    if facts.includes_cold_start and facts.cycle_seconds.size >= FEWEST_GENERATIONS * facts.slots:
        videos, needed = facts.cycle_seconds.size, COLD_GENERATIONS * facts.slots
        yield _warning(Problem.COLD_START, False, videos=videos, slots=facts.slots, videos_needed=needed)


def _spread(facts: RunFacts) -> Iterator[QualityWarning]:
    """Check that the service times are as even as the claim on X_sat's interval assumes."""
    if facts.service_cv is not None and facts.service_cv > SERVICE_CV_LIMIT:
        yield _warning(Problem.UNEVEN_SERVICE, False, cv=facts.service_cv, limit=SERVICE_CV_LIMIT)


def _app(facts: RunFacts) -> Iterator[QualityWarning]:
    """Check what an app that is not ours tells of its videos."""
    if facts.from_completion_times:
        yield _warning(Problem.COMPLETION_TIMES, False)
    offset = facts.upload_offset_seconds
    if offset is not None and abs(offset) > UPLOAD_OFFSET_SECONDS:
        yield _warning(Problem.UPLOAD_TIMES, True, offset_seconds=offset)
    if facts.observed_ends:
        yield _warning(Problem.OBSERVED_ENDS, False, videos=facts.observed_ends)
    if facts.table_disagreements:
        yield _warning(Problem.TABLE_DISAGREES, False, videos=facts.table_disagreements)


def _warning(name: Problem, severe: bool, **values: float | None) -> QualityWarning:
    return QualityWarning(name, Severity.INVALID if severe else Severity.WARNING, Reason(name, values))


_CHECKS = (
    _impossible,
    _steal,
    _calibration,
    _clock,
    _fleet,
    _other_processes,
    _speed,
    _cost,
    _messages,
    _generator,
    _little,
    _size,
    _sequence,
    _spread,
    _executions,
    _conservation,
    _completeness,
    _app,
)
