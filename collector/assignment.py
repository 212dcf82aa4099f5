"""Find out to which video each execution belongs, by the task id of the video's first message.

Further messages of a video hold this task id in their field `root_id`. An execution of an unknown video waits in the
table `other_executions`. When all runs at its time have ended, the execution is recorded as other work: work for no
video of a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from collector.storable import storable
from collector.video_end import finish_videos
from core.database import batched_keys
from core.models import ExecutionRow, OtherExecutionRow, RunRow, VideoRow
from core.run import FINAL_STATUSES
from core.video import Outcome, Stage

#: A record of no run is kept this long, in case its run is imported or its clock is wrong.
KEPT_SECONDS = 3600.0
#: A run has ended for this long before the unassigned executions of its time count as other work.
GRACE_SECONDS = 30.0
UNKNOWN_SLOT = -1
#: Outcomes of Celery → ours. `Ignore` ends a task that did its work; `Reject` and a revoked task end without it.
OUTCOMES: Mapping[str, Outcome] = {
    "succeeded": Outcome.DONE,
    "ignored": Outcome.DONE,
    "failed": Outcome.FAILED,
    "rejected": Outcome.FAILED,
    "revoked": Outcome.FAILED,
    "retried": Outcome.RETRIED,
    "duplicate": Outcome.DUPLICATE,
    "superseded": Outcome.SUPERSEDED,
    "lost": Outcome.LOST,
}
#: Other names that apps give to our stages.
STAGE_OF_NAME: Mapping[str, Stage] = {stage.value: stage for stage in Stage} | {
    "download": Stage.FETCH,
    "upload": Stage.PUBLISH,
}
Record = Mapping[str, Any]


def assign(session: Session, spool: str, node: str, records: Sequence[Record]) -> None:
    """Store new execution records of one spool, each with the video to which it belongs.

    Records that belong to no known video are stored in the table `other_executions`. Then the start times and states of
    the videos are updated. `spool` is the id of the spool. `node` is the worker's name.
    """
    videos = _videos(session, {_root(record) for record in records})
    for record in records:
        video = videos.get(_root(record))
        session.add(_other(spool, node, record) if video is None else _execution(spool, node, record, video))
    session.flush()
    finish_videos(session, {video.id for video in videos.values()})


def assign_waiting(session: Session, now: float) -> None:
    """Assign each execution in the table `other_executions` to its video, if the video is known.

    Then the start times and states of these videos are updated. The remaining executions wait until all runs at their
    time have ended for 30 s. Then they are recorded as other work of the newest of these runs. An execution outside all
    runs is deleted an hour after its end. `now` is in epoch seconds.
    """
    joined = select(OtherExecutionRow, VideoRow).join(VideoRow, VideoRow.task_id == OtherExecutionRow.root_id)
    video_ids = set()
    for other, video in session.execute(joined):
        session.add(_execution(other.spool, other.node, storable(other.record or {}), video))
        session.delete(other)
        video_ids.add(video.id)
    session.flush()
    finish_videos(session, video_ids)
    _close(session, now)


def _close(session: Session, now: float) -> None:
    """Make what still waits other work of the run of its time. Delete it if there was no run."""
    waiting = session.scalars(select(OtherExecutionRow).where(OtherExecutionRow.run_id.is_(None))).all()
    runs = _collected_runs(session, min((other.started_at for other in waiting), default=now))
    for other in waiting:
        overlapping = [run for run in runs if _overlaps(run, other)]
        if any(
            run.status not in FINAL_STATUSES or now - (run.finished_at or now) < GRACE_SECONDS for run in overlapping
        ):
            continue
        if overlapping:
            other.run_id, other.root_id, other.record = overlapping[-1].id, None, None
        elif now - other.ended_at > KEPT_SECONDS:
            session.delete(other)


def _collected_runs(session: Session, since: float) -> Sequence[RunRow]:
    ended_after = RunRow.finished_at.is_(None) | (RunRow.finished_at >= since)
    collected = select(RunRow).where(RunRow.executions_missed.is_not(None), ended_after)
    return session.scalars(collected.order_by(RunRow.created_at)).all()


def _overlaps(run: RunRow, other: OtherExecutionRow) -> bool:
    return run.created_at <= other.ended_at and (run.finished_at is None or other.started_at <= run.finished_at)


def _videos(session: Session, roots: Iterable[str]) -> dict[str, VideoRow]:
    """Return the videos by the task id of their first message."""
    videos: dict[str, VideoRow] = {}
    for some in batched_keys(sorted(roots)):
        rows = session.scalars(select(VideoRow).where(VideoRow.task_id.in_(some)))
        videos |= {video.task_id: video for video in rows}
    return videos


def _root(record: Record) -> str:
    return str(record["root_id"] or record["task_id"])


def _execution(spool: str, node: str, record: Record, video: VideoRow) -> ExecutionRow:
    return ExecutionRow(
        run_id=video.run_id,
        video_id=video.id,
        execution_number=0,
        node=node,
        worker=spool,
        spool_number=record["number"],
        slot=UNKNOWN_SLOT if record["slot"] is None else record["slot"],
        receive_count=record["receive_count"],
        started_at=record["started_at"],
        ended_at=record["ended_at"],
        outcome=OUTCOMES.get(record["outcome"], Outcome.FAILED),
        reason=record["reason"],
        task=record["task"][:255],
        task_id=record["task_id"][:255],
        retries=record["retries"],
        queue_wait_seconds=record["queue_wait_seconds"],
        cpu_seconds=record["cpu_seconds"],
        stage_seconds=record["stages"],
        sent_task_ids=record["sent"],
        **_known_stages(record["stages"]),
    )


def _known_stages(stages: Mapping[str, float]) -> dict[str, float]:
    """Return the columns of the stages that the report knows. Stages that the task named otherwise have none."""
    columns: dict[str, float] = {}
    for name, seconds in stages.items():
        if name in STAGE_OF_NAME:
            column = f"{STAGE_OF_NAME[name]}_seconds"
            columns[column] = columns.get(column, 0.0) + seconds
    return columns


def _other(spool: str, node: str, record: Record) -> OtherExecutionRow:
    return OtherExecutionRow(
        spool=spool,
        number=record["number"],
        root_id=_root(record)[:255],
        record=dict(record),
        node=node,
        slot=record["slot"],
        started_at=record["started_at"],
        ended_at=record["ended_at"],
    )
