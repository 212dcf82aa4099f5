"""Determine the start, the end and the final state of a video from its executions.

A video can have several messages. The video starts with the first execution whose task returned. The video ends when
each message has been executed and no retry follows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.database import batched_keys
from core.models import ExecutionRow, RunRow, VideoRow
from core.run import END_OF_VIDEO, EndOfVideo
from core.video import Outcome, VideoState

#: After one of these, no execution of the message follows unless it is delivered once more.
FINAL_OUTCOMES = frozenset({Outcome.DONE, Outcome.PART, Outcome.FAILED})


def finish_videos(session: Session, video_ids: Iterable[str]) -> None:
    """Set the start time and the state of these videos, and correct the outcomes of their executions.

    If the app has a database table of videos, the state is not set here.
    """
    for some in batched_keys(sorted(video_ids)):
        _finish_some(session, some)


def _finish_some(session: Session, video_ids: Sequence[str]) -> None:
    of_video: dict[str, list[ExecutionRow]] = defaultdict(list)
    of_these = select(ExecutionRow).where(ExecutionRow.video_id.in_(video_ids)).order_by(ExecutionRow.ended_at)
    for execution in session.scalars(of_these):
        of_video[execution.video_id].append(execution)
    videos = session.scalars(select(VideoRow).where(VideoRow.id.in_(video_ids))).all()
    decided_here = _decided_here(session, {video.run_id for video in videos})
    for video in videos:
        executions = of_video[video.id]
        correct_outcomes(executions)
        video.started_at = _start(executions)
        if video.run_id in decided_here:
            _set_state(video, executions)


def _start(executions: Sequence[ExecutionRow]) -> float:
    """Return when the first execution whose task returned was started.

    Before any task has returned, return the first start. A failed or repeated execution is no part of the service time.
    """
    returned = [execution for execution in executions if execution.outcome in {Outcome.DONE, Outcome.PART}]
    return min(execution.started_at for execution in returned or executions)


def _decided_here(session: Session, run_ids: Iterable[str]) -> set[str]:
    """Return the runs whose videos end by their executions, because no table says more."""
    runs = session.scalars(select(RunRow).where(RunRow.id.in_(sorted(run_ids))))
    return {run.id for run in runs if run.environment.get(END_OF_VIDEO) == EndOfVideo.EXECUTIONS}


def _set_state(video: VideoRow, executions: Sequence[ExecutionRow]) -> None:
    state = final_state(video.task_id, executions)
    last = executions[-1]
    if state is None:
        video.state, video.updated_at = VideoState.PROCESSING, executions[0].started_at
        return
    video.state, video.updated_at = state, last.ended_at or last.started_at
    failed = [execution for execution in executions if execution.outcome == Outcome.FAILED]
    video.reason = (failed[-1].reason or None) if state is VideoState.FAILED and failed else None


def correct_outcomes(executions: Sequence[ExecutionRow]) -> None:
    """Correct the outcomes of a video's executions in place, so that at most one of them is `done`.

    `executions` are all executions of the video, in the order of their ends. The outcome of a successful execution
    becomes `done` if it is the last execution of the video. Otherwise it becomes `part`, because a later task ended the
    video. The outcome of a failed execution becomes `retried` if its message was executed again.
    """
    for number, execution in enumerate(executions):
        later = {other.task_id for other in executions[number + 1 :]}
        if execution.outcome == Outcome.FAILED and execution.task_id in later:
            execution.outcome = Outcome.RETRIED
        elif execution.outcome in {Outcome.DONE, Outcome.PART}:
            execution.outcome = Outcome.PART if later else Outcome.DONE


def final_state(task_id: str, executions: Sequence[ExecutionRow]) -> VideoState | None:
    """Return the final state of a video, DONE or FAILED. Return None if the video has not ended.

    `task_id` is the task id of the video's first message. `executions` are all executions of the video, in the order of
    their ends. The result is FAILED if the last execution of any message failed.
    """
    outcomes = {str(execution.task_id): execution.outcome for execution in executions}
    messages = {task_id}.union(*(execution.sent_task_ids or [] for execution in executions))
    if not all(outcomes.get(message) in FINAL_OUTCOMES for message in messages):
        return None
    return VideoState.FAILED if Outcome.FAILED in outcomes.values() else VideoState.DONE
