"""Read a recorded run from the database, as numeric arrays of its videos and executions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import Select, case, func, null, or_, select
from sqlalchemy.orm import Session

from capacity.estimators.interval import Booleans, Floats, Integers
from capacity.estimators.slots import Executions
from capacity.runs.column_reader import Array, position_of, read_columns
from core.errors import UsageError
from core.models import ExecutionRow, OtherExecutionRow, RunRow, VideoRow
from core.run import Mode, app_name
from core.size_mix import is_mix
from core.user_files import require_file
from core.video import FINAL_STATES, Outcome, Reason, Stage, VideoState

STATES = list(VideoState)
OUTCOMES = list(Outcome)
#: how many ids of a tasks log identify its run; a burst that stopped early has cancelled some of its videos
LOOKED_UP_TASKS = 100
LONGEST_TASK_ID = 256
#: SQS counts messages approximately; a message sent within this time may not be counted yet
CONSISTENCY_SECONDS = 60.0
#: the reasons that the analysis distinguishes
REASONS = [Reason.DEAD_LETTERED, Reason.OOM]
VIDEO_COLUMNS = ("intended_at", "uploaded_at", "sent_at", "started_at", "updated_at", "state", "reason")
STAGE_COLUMNS = tuple(f"{name}_seconds" for name in (*Stage, "ffmpeg_cpu"))
EXECUTION_COLUMNS = (
    *("outcome", "reason", "worker", "slot", "uploaded_at", "source_bytes", "started_at", "ended_at"),
    *STAGE_COLUMNS,
)
#: columns of the execution's video
OF_VIDEO = frozenset({"uploaded_at", "source_bytes"})
#: the words of a column by their position; any other word is -1
VOCABULARIES: Mapping[str, Sequence[str]] = {"state": STATES, "reason": REASONS, "outcome": OUTCOMES}
#: above any process or thread id, so that worker and slot combine into one number
MOST_IDS = 1 << 47


@dataclass(frozen=True)
class VideoCounts:
    """Number of videos of a run by state.

    `injected` is the number of all videos. The other numbers must add up to it. A dead-lettered video counts in
    `dead_lettered`, and not in `failed`.
    """

    injected: int
    done: int
    failed: int
    waiting: int
    in_flight: int
    dead_lettered: int

    @property
    def open(self) -> int:
        """Return the number of videos that are not yet done or failed."""
        return self.waiting + self.in_flight


@dataclass(frozen=True)
class OtherWork:
    """Executions during a run that belong to none of its videos, such as those of another run.

    `executions` is their number. `seconds` is their total duration within the time of the run.
    """

    executions: int
    seconds: float


@dataclass(frozen=True)
class RecordedRun:
    """The records of one run: its database row, its videos, and its executions that have ended.

    Times are epoch seconds. NaN means that the event has not happened. The fields from `intended_at` to `done` have one
    entry per video. `is_part`, `ffmpeg_cpu_seconds`, `source_bytes` and each array in `stage_seconds` have one entry
    per execution in `executions`. `is_part` is True for an execution that ended one of several tasks of its video, but
    not the last of them.
    """

    run: RunRow
    intended_at: Floats
    uploaded_at: Floats
    started_at: Floats
    updated_at: Floats
    done: Booleans
    video_counts: VideoCounts
    #: executions that did no work, because the video was final or held by another execution
    duplicates: int
    #: executions whose ffmpeg was killed because memory ran out
    oom_kills: int
    #: open videos whose message was in the queue when the messages were counted
    open_sent: int
    #: executions by outcome, including those without an end
    outcomes: Mapping[Outcome, int]
    #: without the duplicates
    executions: Executions
    is_part: Booleans
    stage_seconds: Mapping[str, Floats]
    ffmpeg_cpu_seconds: Floats
    #: size of the execution's video in a run of several sizes; NaN in a run of one size
    source_bytes: Floats
    #: None if unknown: the archive is of a version that did not look for it
    other_work: OtherWork | None = None

    @property
    def is_burst(self) -> bool:
        """Return True if all videos of the run were sent at once."""
        return self.run.mode == Mode.BURST

    @property
    def has_only_ends(self) -> bool:
        """Return True if an app processed the run, and no execution was recorded.

        In such a run, only two times of each video are known: its upload and its end.
        """
        return app_name(self.run.environment) is not None and not self.executions.started_at.size

    @property
    def failed(self) -> int:
        """Return the number of videos that failed, including the dead-lettered ones."""
        return self.video_counts.failed + self.video_counts.dead_lettered


def newest_run_id(session: Session, queue: str) -> str | None:
    """Return the id of the newest run that used `queue`, or None if there is no such run.

    A run whose queue was not recorded counts as a run that used `queue`.
    """
    recorded = RunRow.environment["queue"].as_string()
    of_queue = select(RunRow.id).where(or_(recorded.is_(None), recorded == queue))
    return session.scalars(of_queue.order_by(RunRow.created_at.desc()).limit(1)).first()


def find_run(session: Session, run_id: str | None, tasks_log: str | None = None) -> RunRow:
    """Return the database row of a run, found by its id or by a file of its task ids.

    `tasks_log` is the path of the file. Without id and file, the result is the newest run. Raise UsageError if there is
    no such run.
    """
    query = select(RunRow).order_by(RunRow.created_at.desc())
    if run_id:
        query = query.where(RunRow.id == run_id)
    if tasks_log:
        query = query.join(VideoRow).where(VideoRow.task_id.in_(_first_tasks(tasks_log)))
    run = session.scalars(query.limit(1)).first()
    if run is None:
        raise UsageError("run", "no such run is recorded", "see `make table` for the runs", value=run_id or tasks_log)
    return run


def load_run(session: Session, run: RunRow) -> RecordedRun:
    """Return the records of a run, and how much its nodes worked for other videos during the run.

    The field `other_work` counts the executions that belong to none of the run's videos.
    """
    recorded = load_own_records(session, run)
    return replace(recorded, other_work=_other_work(session, recorded))


def load_own_records(session: Session, run: RunRow) -> RecordedRun:
    """Return the records of a run's own videos and executions. The field `other_work` is None."""
    videos = select(*(_column(VideoRow, name) for name in VIDEO_COLUMNS)).where(VideoRow.run_id == run.id)
    return assemble(run, read_columns(session, videos), read_columns(session, _executions(session, run)))


def _other_work(session: Session, recorded: RecordedRun) -> OtherWork:
    """Return the executions of other runs on the run's nodes.

    They ended between the run's first upload and its last end.
    """
    run, ends = recorded.run, recorded.executions.ended_at
    if not recorded.uploaded_at.size or not ends.size:
        return OtherWork(0, 0.0)
    start, end = float(recorded.uploaded_at.min()), float(ends.max())
    nodes = select(ExecutionRow.node).where(ExecutionRow.run_id == run.id)
    others = _times(ExecutionRow).where(
        ExecutionRow.run_id != run.id,
        ExecutionRow.ended_at.between(start, end),
        ExecutionRow.outcome != Outcome.DUPLICATE,
        ExecutionRow.node.in_(nodes),
    )
    began, ended = read_columns(session, others)
    unassigned = OtherExecutionRow.run_id.is_(None) & OtherExecutionRow.ended_at.between(start, end)
    theirs = _times(OtherExecutionRow).where((OtherExecutionRow.run_id == run.id) | unassigned)
    their_start, their_end = read_columns(session, theirs)
    began, ended = np.concatenate([began, their_start]), np.concatenate([ended, their_end])
    return OtherWork(began.size, float((np.fmin(ended, end) - np.fmax(began, start)).clip(min=0).sum()))


def _times(table: type[ExecutionRow | OtherExecutionRow]) -> Select[Any]:
    return select(*(getattr(table, name) for name in ("started_at", "ended_at")))


def _executions(session: Session, run: RunRow) -> Select[Any]:
    """Return the query of a run's executions.

    For a burst of one size the query needs no columns of the videos, which saves a join. Executions that the collector
    read are joined with their videos: what an app's table says of a video is its result, whatever its task returned.
    """
    name = func.coalesce(ExecutionRow.worker, ExecutionRow.node)
    names = session.scalars(select(name).where(ExecutionRow.run_id == run.id).distinct()).all()
    worker = position_of(name, sorted(names)) if names else null()
    columns = {name: worker if name == "worker" else _column(ExecutionRow, name) for name in EXECUTION_COLUMNS}
    has_one_size = not is_mix(run.size_label)
    if has_one_size:
        columns["source_bytes"] = null()
    if run.executions_missed is not None:
        columns |= _collected_columns()
    elif run.mode == Mode.BURST and has_one_size:
        return select(*(columns | {"uploaded_at": null()}).values()).where(ExecutionRow.run_id == run.id)
    joined = select(*columns.values()).outerjoin(VideoRow, VideoRow.id == ExecutionRow.video_id)
    return joined.where(ExecutionRow.run_id == run.id)


def _collected_columns() -> dict[str, Any]:
    """Return the columns that differ in executions from an app's worker. An unknown slot is null."""
    not_done = (ExecutionRow.outcome == Outcome.DONE) & (VideoRow.state == VideoState.FAILED)
    outcome = case((not_done, Outcome.FAILED.value), else_=ExecutionRow.outcome)
    return {
        "outcome": position_of(outcome, OUTCOMES),
        "slot": case((ExecutionRow.slot >= 0, ExecutionRow.slot), else_=null()),
        "ffmpeg_cpu_seconds": ExecutionRow.cpu_seconds,
    }


def _column(table: type[VideoRow | ExecutionRow], name: str) -> Any:
    if name in VOCABULARIES:
        return position_of(getattr(table, name), VOCABULARIES[name])
    return getattr(VideoRow if name in OF_VIDEO else table, name)


def unfinished_since(session: Session, run_id: str) -> float | None:
    """Return when the run's oldest unfinished execution started, in epoch seconds.

    Return None if every execution of the run has ended.
    """
    open_executions = (ExecutionRow.run_id == run_id, ExecutionRow.ended_at.is_(None), ExecutionRow.outcome.is_(None))
    return session.scalar(select(func.min(ExecutionRow.started_at)).where(*open_executions))


def assemble(run: RunRow, videos: Sequence[Array], executions: Sequence[Array]) -> RecordedRun:
    """Build a recorded run from its database row, and from the columns of its videos and executions.

    `videos` has one array per name in VIDEO_COLUMNS, `executions` one per name in EXECUTION_COLUMNS, in that order.
    """
    intended, uploaded, sent, started, updated, states, reasons = videos
    outcomes, execution_reasons, workers, slots, *times_and_sizes = executions
    execution_uploaded, source_bytes, execution_started, ended, *spent = times_and_sizes
    final = np.isin(states, [STATES.index(state) for state in FINAL_STATES])
    work = np.isfinite(ended) & (outcomes != OUTCOMES.index(Outcome.DUPLICATE))
    stages = {name: values[work] for name, values in zip((*Stage, "ffmpeg_cpu"), spent, strict=True)}
    return RecordedRun(
        run=run,
        intended_at=intended,
        uploaded_at=uploaded,
        started_at=started,
        updated_at=np.where(final, updated, np.nan),
        done=states == STATES.index(VideoState.DONE),
        video_counts=_video_counts(states, dead=reasons == REASONS.index(Reason.DEAD_LETTERED)),
        duplicates=int((outcomes == OUTCOMES.index(Outcome.DUPLICATE)).sum()),
        oom_kills=int((execution_reasons == REASONS.index(Reason.OOM)).sum()),
        open_sent=int((~final & (sent <= _counted_at(run) - CONSISTENCY_SECONDS)).sum()),
        outcomes={outcome: int((outcomes == code).sum()) for code, outcome in enumerate(OUTCOMES)},
        executions=Executions(
            started_at=execution_started[work],
            ended_at=ended[work],
            counted=outcomes[work] == OUTCOMES.index(Outcome.DONE),
            slot=_slot_codes(workers[work], slots[work]),
            uploaded_at=execution_uploaded[work],
            worker=workers[work].astype(np.int64),
        ),
        is_part=outcomes[work] == OUTCOMES.index(Outcome.PART),
        stage_seconds={stage.value: stages[stage] for stage in Stage},
        ffmpeg_cpu_seconds=stages["ffmpeg_cpu"],
        source_bytes=source_bytes[work],
    )


def _counted_at(run: RunRow) -> float:
    """Return when the messages of the run were last counted; infinite if they were not."""
    return float(run.environment.get("messages", {}).get("at", np.inf))


def _slot_codes(workers: Array, slots: Array) -> Integers | None:
    """Return one number per worker and slot; None if a slot was not recorded."""
    if np.isnan(slots).any():
        return None
    return workers.astype(np.int64) * MOST_IDS + slots.astype(np.int64)


def _video_counts(states: Array, dead: Booleans) -> VideoCounts:
    counts = {state: int((states == code).sum()) for code, state in enumerate(STATES)}
    dead_lettered = int(dead.sum())
    return VideoCounts(
        injected=int(states.size),
        done=counts[VideoState.DONE],
        failed=counts[VideoState.FAILED] - dead_lettered,
        waiting=counts[VideoState.UPLOADED],
        in_flight=counts[VideoState.PROCESSING],
        dead_lettered=dead_lettered,
    )


def _first_tasks(tasks_log: str) -> list[str]:
    """Return the first task ids of the tasks log."""
    remedy = "give results/worker_tasks_….log"
    file = require_file("tasks log", tasks_log, remedy)
    try:
        with file.open(encoding="utf-8") as lines:
            ids = [lines.readline(LONGEST_TASK_ID).strip() for _ in range(LOOKED_UP_TASKS)]
            return [task_id for task_id in ids if task_id]
    except UnicodeDecodeError:
        raise UsageError("tasks log", "it is not text", remedy, value=tasks_log) from None
