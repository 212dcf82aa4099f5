"""Write claims, executions, final states and worker heartbeats to the database.

A claim is the right of one execution to work on a video and to write its final state. A claim increments
`videos.execution_number`. Every later write of the execution to the video requires that number. An execution that lost
its claim cannot change the video.
"""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, delete, func, or_, select, true, update
from sqlalchemy.orm import Session

from aforo.process_identity import WorkerProcess, may_live
from core.database import Sessions
from core.models import ExecutionRow, RunRow, VideoRow, WorkerRow
from core.run import RunStatus
from core.video import FINAL_STATES, Outcome, Reason, VideoState
from worker.slot import Slot

#: interval of a worker's heartbeats, and the age of the last one at which a worker counts as dead
BEAT_SECONDS = 20.0
SILENCE_SECONDS = 90.0
_UNOWNED = {"owner": None, "lease_until": None}


class ClaimDenied(StrEnum):
    """Reason why a claim on a video was denied, such as `held`: another execution holds the claim."""

    FINAL = "final"  # the video has its final state
    HELD = "held"  # another live execution holds the claim
    UNKNOWN = "unknown"  # no such video in the database
    EXHAUSTED = "exhausted"  # no execution is left; the video was failed just now


@dataclass(frozen=True)
class Claim:
    """A claim: one execution's right to work on a video, with the facts that the work needs.

    `execution_number` is the fencing token. `row` is the id of the execution's row in the database.
    """

    video_id: str
    run_id: str
    execution_number: int
    row: int
    source_key: str
    source_sha256: str
    profile: str
    #: the content of a profile of the user's own; None for a profile with a name of ours
    profile_content: dict[str, Any] | None
    output_key: str


@dataclass(frozen=True)
class _Ending:
    """Values that are written when an execution ends."""

    measured: dict[str, Any]
    reason: Reason | None
    at: float = field(default_factory=time.time)
    started: float = field(default_factory=time.perf_counter)

    def columns(self) -> dict[str, Any]:
        """Return the column values to write to an execution's row when the execution ends.

        The column `finish_seconds` does not include the commit.
        """
        finish_seconds = time.perf_counter() - self.started
        return self.measured | {"reason": self.reason, "ended_at": self.at, "finish_seconds": finish_seconds}


@dataclass(frozen=True)
class Claims:
    """Database access of a worker: it writes claims, executions, final states and worker heartbeats."""

    sessions: Sessions
    lease_seconds: float
    max_executions: int
    processed_prefix: str
    #: queue of this worker; None if all runs and workers of the database count
    queue: str | None = None

    def claim(self, video_id: str, slot: Slot, receive_count: int | None, started_at: float) -> Claim | ClaimDenied:
        """Try to claim the video for `slot`. Return the claim, or the reason why it is denied.

        `receive_count` is None if unknown. `started_at` is in epoch seconds. If the video is final or claimed, the
        execution is recorded as `duplicate`. Otherwise earlier executions without an outcome become `lost`. If the
        video has had all allowed executions, the video becomes `failed`.
        """
        with self.sessions.begin() as session:
            video = session.get(VideoRow, video_id, with_for_update=True)
            if video is None:
                return ClaimDenied.UNKNOWN
            denial = self._denial(video)
            if denial is not None:
                _record_duplicate(session, video, slot, receive_count, started_at)
                return denial
            _close_lost_executions(session, video)
            if video.execution_number >= self.max_executions:
                _finalise(video, VideoState.FAILED, Reason.WORKER_LOST)
                return ClaimDenied.EXHAUSTED
            return self._grant(session, video, slot, receive_count, started_at)

    def renew(self, claim: Claim) -> bool:
        """Extend the lease of a claim. Return False if the execution has lost the claim, and True otherwise."""
        changed = update(VideoRow).where(*_is_current(claim)).values(lease_until=time.time() + self.lease_seconds)
        with self.sessions.begin() as session:
            return bool(session.execute(changed).rowcount)  # type: ignore[attr-defined]

    def finish(
        self, claim: Claim, state: VideoState, measured: dict[str, Any], reason: Reason | None = None
    ) -> Outcome:
        """End the execution and write the final state of its video. Return the outcome of the execution.

        `reason` says why the video failed. `measured` has values for columns of the execution's row. For a video that
        is `done`, `measured` also has the key `output_bytes`, the size of the output. This method removes that key from
        the dict. If the claim is lost, the video stays unchanged, and the outcome is `superseded`.
        """
        ending = _Ending(measured, reason)
        values: dict[str, Any] = {"state": state, "reason": reason, "updated_at": ending.at, **_UNOWNED}
        if state is VideoState.DONE:
            values |= {"output_key": claim.output_key, "output_bytes": measured.pop("output_bytes")}
        with self.sessions.begin() as session:
            won = session.execute(update(VideoRow).where(*_is_current(claim)).values(values)).rowcount  # type: ignore[attr-defined]
            outcome = Outcome(state) if won else Outcome.SUPERSEDED
            _end_execution(session, claim, outcome, ending)
        return outcome

    def release(self, claim: Claim, reason: Reason, measured: dict[str, Any]) -> Outcome:
        """End the execution and give up its claim, so that the next delivery can process the video.

        The result is the outcome: `retried`, `failed` after the last allowed execution, or `superseded` if the claim
        was lost. `measured` has values for columns of the execution's row.
        """
        if claim.execution_number >= self.max_executions:
            return self.finish(claim, VideoState.FAILED, measured, reason)
        values, ending = {"state": VideoState.UPLOADED, **_UNOWNED}, _Ending(measured, reason)
        with self.sessions.begin() as session:
            won = session.execute(update(VideoRow).where(*_is_current(claim)).values(values)).rowcount  # type: ignore[attr-defined]
            outcome = Outcome.RETRIED if won else Outcome.SUPERSEDED
            _end_execution(session, claim, outcome, ending)
        return outcome

    def output_key(self, run_id: str, video_id: str, execution: int) -> str:
        """Return the storage key for the output of one execution of a video.

        Each execution has its own key, so that a stale worker cannot overwrite the output of the execution that
        completes the video.
        """
        return f"{self.processed_prefix}{run_id}/{video_id}.{execution}.mp4"

    def fail_dead_lettered(self, video_id: str, task_id: str) -> tuple[str, ...] | None:
        """Mark the video of a dead-lettered message as failed. Return the storage keys of its outputs.

        Return None if a running execution holds the claim. Return an empty tuple if the task has no open video. In both
        cases, the video stays unchanged.
        """
        with self.sessions.begin() as session:
            video = session.get(VideoRow, video_id, with_for_update=True)
            if video is None or video.task_id != task_id or VideoState(video.state).is_final:
                return ()
            if _is_held(video):
                return None
            _close_lost_executions(session, video)
            _finalise(video, VideoState.FAILED, Reason.DEAD_LETTERED)
            return tuple(
                self.output_key(video.run_id, video.id, number) for number in range(1, video.execution_number + 1)
            )

    def release_dead_claims(self) -> int:
        """Free the claims that dead processes of this machine still hold. Return the number of these claims.

        Claims of this machine whose lease has expired are counted too. If a claim is not freed, the next delivery of
        its video waits until the lease expires.
        """
        of_this_node = select(VideoRow).where(
            VideoRow.state == VideoState.PROCESSING, VideoRow.owner.startswith(f"{platform.node()}|", autoescape=True)
        )
        with self.sessions.begin() as session:
            dead = [video for video in session.scalars(of_this_node.with_for_update()) if not _is_held(video)]
            for video in dead:
                video.lease_until = 0.0
        return len(dead)

    def write_heartbeat(self, worker: WorkerProcess) -> None:
        """Store the current time as this worker's last heartbeat, so that other workers know that it is alive."""
        with self.sessions.begin() as session:
            session.merge(WorkerRow(owner=worker.owner, seen_at=time.time(), queue=self.queue))

    def remove_worker(self, worker: WorkerProcess) -> bool:
        """Delete the heartbeat row of this worker, and every heartbeat row older than 90 s.

        Return True if no other worker of this queue is alive, and False otherwise. A worker is alive if it has a
        heartbeat row and, on this machine, if its process is alive.
        """
        oldest = time.time() - SILENCE_SECONDS
        with self.sessions.begin() as session:
            session.execute(delete(WorkerRow).where((WorkerRow.owner == worker.owner) | (WorkerRow.seen_at < oldest)))
        # read in a second transaction: if several workers stop at once, at least one of them finds no other
        with self.sessions.begin() as session:
            remaining = select(WorkerRow.owner).where(self._is_of_queue(WorkerRow.queue))
            return not any(may_live(owner) for owner in session.scalars(remaining))

    def interrupt_runs(self) -> int:
        """Mark the unfinished runs of this worker's queue as interrupted. Return the number of these runs.

        A run is unfinished if it is running and has open videos. A run without a recorded queue counts too. Only the
        last worker that stops calls this method.
        """
        ended = select(func.count()).where(
            VideoRow.run_id == RunRow.id, VideoRow.state.in_([state.value for state in FINAL_STATES])
        )
        queue = RunRow.environment["queue"].as_string()
        is_open = (RunRow.status == RunStatus.RUNNING, ended.scalar_subquery() < RunRow.count)
        open_runs = (*is_open, self._is_of_queue(queue))
        interrupted = update(RunRow).where(*open_runs).values(status=RunStatus.INTERRUPTED, finished_at=time.time())
        with self.sessions.begin() as session:
            return int(session.execute(interrupted).rowcount)  # type: ignore[attr-defined]

    def _is_of_queue(self, queue: SQLColumnExpression[str | None]) -> ColumnElement[bool]:
        """Return an SQL expression that is true if the column `queue` names this worker's queue, or none."""
        return true() if self.queue is None else or_(queue.is_(None), queue == self.queue)

    def _denial(self, video: VideoRow) -> ClaimDenied | None:
        if VideoState(video.state).is_final:
            return ClaimDenied.FINAL
        return ClaimDenied.HELD if _is_held(video) else None

    def _grant(
        self, session: Session, video: VideoRow, slot: Slot, receive_count: int | None, started_at: float
    ) -> Claim:
        video.execution_number += 1
        video.state = VideoState.PROCESSING
        video.started_at = started_at  # of the execution that ends the video: queue wait and service add up to S
        video.owner, video.lease_until = slot.process.owner, time.time() + self.lease_seconds
        row = _execution_row(video, slot, receive_count, started_at)
        session.add(row)
        session.flush()
        return Claim(
            video_id=video.id,
            run_id=video.run_id,
            execution_number=video.execution_number,
            row=row.id,
            source_key=video.source_key,
            source_sha256=video.source_sha256,
            profile=video.profile,
            profile_content=_profile_content(session, video.run_id),
            output_key=self.output_key(video.run_id, video.id, video.execution_number),
        )


def _profile_content(session: Session, run_id: str) -> dict[str, Any] | None:
    environment = session.scalar(select(RunRow.environment).where(RunRow.id == run_id)) or {}
    content: dict[str, Any] | None = environment.get("profile")
    return content


def _is_current(claim: Claim) -> tuple[Any, ...]:
    return (
        VideoRow.id == claim.video_id,
        VideoRow.execution_number == claim.execution_number,
        VideoRow.state == VideoState.PROCESSING,
    )


def _is_held(video: VideoRow) -> bool:
    """Return True while a live execution holds the claim.

    The execution is live if its lease is valid and, on this node, its process is alive.
    """
    if video.state != VideoState.PROCESSING or video.owner is None or (video.lease_until or 0.0) < time.time():
        return False
    return may_live(video.owner)


def _execution_row(video: VideoRow, slot: Slot, receive_count: int | None, started_at: float) -> ExecutionRow:
    return ExecutionRow(
        run_id=video.run_id,
        video_id=video.id,
        execution_number=video.execution_number,
        node=slot.process.node,
        worker=slot.worker.owner,
        slot=slot.number,
        receive_count=receive_count,
        started_at=started_at,
    )


def _record_duplicate(
    session: Session, video: VideoRow, slot: Slot, receive_count: int | None, started_at: float
) -> None:
    row = _execution_row(video, slot, receive_count, started_at)
    row.execution_number, row.ended_at, row.outcome = 0, time.time(), Outcome.DUPLICATE
    session.add(row)


def _close_lost_executions(session: Session, video: VideoRow) -> None:
    """Mark executions without an outcome as lost.

    The time at which they died is unknown, so `ended_at` stays empty.
    """
    lost = update(ExecutionRow).where(ExecutionRow.video_id == video.id, ExecutionRow.outcome.is_(None))
    session.execute(lost.values(outcome=Outcome.LOST, reason=Reason.WORKER_LOST))


def _finalise(video: VideoRow, state: VideoState, reason: Reason) -> None:
    video.state, video.reason, video.updated_at = state, reason, time.time()
    video.owner = video.lease_until = None


def _end_execution(session: Session, claim: Claim, outcome: Outcome, ending: _Ending) -> None:
    """Write how the execution ended.

    A stale worker may write this even after its execution was marked as lost.
    """
    values = {"outcome": outcome, **ending.columns()}
    open_execution = (ExecutionRow.id == claim.row, ExecutionRow.ended_at.is_(None))
    session.execute(update(ExecutionRow).where(*open_execution).values(values))
