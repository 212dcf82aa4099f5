"""Compare the recorded executions of an app's run with the app's own table of videos."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.database import Sessions
from core.models import ExecutionRow, RunRow, SpoolRow, VideoRow
from core.video import FINAL_STATES, Outcome, VideoState

#: outcomes after which no execution of the same message follows
ENDED = {Outcome.DONE: VideoState.DONE, Outcome.FAILED: VideoState.FAILED}


@dataclass(frozen=True)
class Comparison:
    """Two counts of videos for which an app's table and the recorded executions do not agree.

    Only videos that are done or failed in the table are counted.

    - `without_execution`: videos without a recorded execution, or whose last recorded one ended neither as done nor as
      failed.
    - `disagreements`: videos that are done in the table and failed by their last execution, or the reverse.
    """

    without_execution: int
    disagreements: int


def close_app_run(sessions: Sessions, run_id: str) -> None:
    """Store two counts of a run: videos without a recorded end, and videos with contradicting outcomes.

    The state of a video in the app's table is compared with the outcome of its last recorded execution. The first count
    replaces the column `executions_missed` of the run's row if it is higher. The offsets of the workers' clocks are
    stored too. Call this after the collector has read the executions of every worker. Nothing is stored if
    `executions_missed` is null.
    """
    with sessions.begin() as session:
        run = session.get_one(RunRow, run_id)
        if run.executions_missed is None:
            return
        compared = compare(session, run_id)
        # executions that left a full spool may be those that are missing here
        run.executions_missed = max(run.executions_missed, compared.without_execution)
        facts = {
            "disagreements": compared.disagreements,
            "worker_clock_offsets_seconds": clock_offsets(session, run_id),
        }
        run.environment = {**run.environment, "app": {**run.environment["app"], **facts}}


def clock_offsets(session: Session, run_id: str) -> list[float]:
    """Return the lowest and the highest offset of the clocks of a run's workers from ours, in seconds.

    Negative is behind ours. Each offset is widened by half the duration of the request that measured it, because the
    worker's clock was read at an unknown moment of that request. The list is empty if no recorded execution is of a
    worker with a known offset.
    """
    workers = select(ExecutionRow.worker).where(ExecutionRow.run_id == run_id).distinct()
    known = (SpoolRow.id.in_(workers), SpoolRow.clock_offset_seconds.is_not(None))
    spools = session.execute(select(SpoolRow.clock_offset_seconds, SpoolRow.round_trip_seconds).where(*known)).all()
    bounds = [(offset or 0.0) + side * (trip or 0.0) / 2 for offset, trip in spools for side in (-1, 1)]
    return [min(bounds), max(bounds)] if bounds else []


def compare(session: Session, run_id: str) -> Comparison:
    """Compare the state of each done or failed video of a run with the outcome of its last execution.

    Return two counts: videos without a recorded end, and videos whose state and outcome disagree.
    """
    executions = select(ExecutionRow.video_id, ExecutionRow.outcome).where(ExecutionRow.run_id == run_id)
    outcomes = dict(session.execute(executions.order_by(ExecutionRow.ended_at)).tuples().all())
    final = (VideoRow.run_id == run_id, VideoRow.state.in_([state.value for state in FINAL_STATES]))
    ended = session.execute(select(VideoRow.id, VideoRow.state).where(*final)).all()
    ends = [(state, ENDED.get(Outcome(outcome))) for key, state in ended if (outcome := outcomes.get(key))]
    known = [(state, end) for state, end in ends if end is not None]
    return Comparison(len(ended) - len(known), sum(state != end for state, end in known))
