"""Who may work on a video: claims and final states as compare-and-set with a fencing token.

A claim increments `videos.execution_number`. Every later write names that number, so an execution that lost its claim
changes nothing.
"""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from core.database import Sessions
from core.models import ExecutionRow, RunRow, VideoRow, WorkerRow
from core.run import RunStatus
from core.video import FINAL_STATES, Outcome, Reason, VideoState
from worker.slot import Slot, may_live

#: a worker says this often that it lives, and is taken for dead when it has not for so long
BEAT_SECONDS = 20.0
SILENCE_SECONDS = 90.0
_UNOWNED = {"owner": None, "lease_until": None}


class Refusal(StrEnum):
    """Why a delivery may not work."""

    FINAL = "final"  # the video has its final state
    HELD = "held"  # another live execution has it
    UNKNOWN = "unknown"  # no such video in the database
    EXHAUSTED = "exhausted"  # this delivery found the executions used up and made the video failed


@dataclass(frozen=True)
class Claim:
    """The right to work on a video: `execution` is the fencing token, `row` the execution's row id."""

    video_id: str
    run_id: str
    execution_number: int
    row: int
    source_key: str
    source_sha256: str
    profile: str
    output_key: str


@dataclass(frozen=True)
class _Ending:
    """What is written of an execution that ends now."""

    measured: dict[str, Any]
    reason: Reason | None
    at: float = field(default_factory=time.time)
    begun: float = field(default_factory=time.perf_counter)

    def columns(self) -> dict[str, Any]:
        """Return the columns of the execution; `finish_seconds` lacks the commit, which cannot tell its own time."""
        own = {"reason": self.reason, "ended_at": self.at, "finish_seconds": time.perf_counter() - self.begun}
        return self.measured | own


@dataclass(frozen=True)
class Ledger:
    """The database as the worker writes it."""

    sessions: Sessions
    lease_seconds: float
    max_attempts: int
    processed_prefix: str

    def claim(self, video_id: str, slot: Slot, receive_count: int | None, started_at: float) -> Claim | Refusal:
        """Take the video for `slot`, or say why not; a refused delivery leaves an executions row too."""
        with self.sessions.begin() as session:
            video = session.get(VideoRow, video_id, with_for_update=True)
            if video is None:
                return Refusal.UNKNOWN
            refusal = self._refusal(video)
            if refusal is not None:
                _record_duplicate(session, video, slot, receive_count, started_at)
                return refusal
            _close_lost_executions(session, video)
            if video.execution_number >= self.max_attempts:
                _settle(video, VideoState.FAILED, Reason.WORKER_LOST)
                return Refusal.EXHAUSTED
            return self._take(session, video, slot, receive_count, started_at)

    def renew(self, claim: Claim) -> bool:
        """Extend the claim's lease; False when the claim is no longer ours."""
        changed = update(VideoRow).where(*_ours(claim)).values(lease_until=time.time() + self.lease_seconds)
        with self.sessions.begin() as session:
            return bool(session.execute(changed).rowcount)  # type: ignore[attr-defined]

    def finish(
        self, claim: Claim, state: VideoState, measured: dict[str, Any], reason: Reason | None = None
    ) -> Outcome:
        """Give the video its final state unless the claim was lost; return how this execution really ended."""
        ending = _Ending(measured, reason)
        values: dict[str, Any] = {"state": state, "reason": reason, "updated_at": ending.at, **_UNOWNED}
        if state is VideoState.DONE:
            values |= {"output_key": claim.output_key, "output_bytes": measured.pop("output_bytes")}
        with self.sessions.begin() as session:
            won = session.execute(update(VideoRow).where(*_ours(claim)).values(values)).rowcount  # type: ignore[attr-defined]
            outcome = Outcome(state) if won else Outcome.SUPERSEDED
            _end_execution(session, claim, outcome, ending)
        return outcome

    def give_back(self, claim: Claim, reason: Reason, measured: dict[str, Any]) -> Outcome:
        """End this execution so that the next delivery may claim at once; failed when it was the last one allowed."""
        if claim.execution_number >= self.max_attempts:
            return self.finish(claim, VideoState.FAILED, measured, reason)
        values, ending = {"state": VideoState.UPLOADED, **_UNOWNED}, _Ending(measured, reason)
        with self.sessions.begin() as session:
            won = session.execute(update(VideoRow).where(*_ours(claim)).values(values)).rowcount  # type: ignore[attr-defined]
            outcome = Outcome.RETRIED if won else Outcome.SUPERSEDED
            _end_execution(session, claim, outcome, ending)
        return outcome

    def output_key(self, run_id: str, video_id: str, execution: int) -> str:
        """Return where an execution publishes: a place of its own, so that no zombie overwrites the winner's output."""
        return f"{self.processed_prefix}{run_id}/{video_id}.{execution}.mp4"

    def bury(self, video_id: str, task_id: str) -> tuple[str, ...] | None:
        """Fail the video whose message was dead-lettered; None, nothing done, while a live execution has it.

        Return the keys under which its executions may have published: none of them can win any more.
        """
        with self.sessions.begin() as session:
            video = session.get(VideoRow, video_id, with_for_update=True)
            if video is None or video.task_id != task_id or VideoState(video.state).is_final:
                return ()
            if _is_held(video):
                return None
            _close_lost_executions(session, video)
            _settle(video, VideoState.FAILED, Reason.DEAD_LETTERED)
            return tuple(
                self.output_key(video.run_id, video.id, number) for number in range(1, video.execution_number + 1)
            )

    def release_dead(self) -> int:
        """Free the claims of this node's dead processes, which others would respect for a lease; return how many."""
        ours = select(VideoRow).where(
            VideoRow.state == VideoState.PROCESSING, VideoRow.owner.startswith(f"{platform.node()}|", autoescape=True)
        )
        with self.sessions.begin() as session:
            dead = [video for video in session.scalars(ours.with_for_update()) if not _is_held(video)]
            for video in dead:
                video.lease_until = 0.0
        return len(dead)

    def sign_in(self, worker: Slot) -> None:
        """Say that this worker lives."""
        with self.sessions.begin() as session:
            session.merge(WorkerRow(owner=worker.owner, seen_at=time.time()))

    def sign_out(self, worker: Slot) -> bool:
        """Strike this worker and dead ones off; say whether none is left.

        Two transactions: of workers that leave at once, the one that looks last sees that all have gone.
        """
        oldest = time.time() - SILENCE_SECONDS
        with self.sessions.begin() as session:
            session.execute(delete(WorkerRow).where((WorkerRow.owner == worker.owner) | (WorkerRow.seen_at < oldest)))
        with self.sessions.begin() as session:
            return not any(may_live(owner) for owner in session.scalars(select(WorkerRow.owner)))

    def interrupt_runs(self) -> int:
        """Mark the runs that still wait for videos, which nobody is left to process; return how many."""
        ended = select(func.count()).where(
            VideoRow.run_id == RunRow.id, VideoRow.state.in_([state.value for state in FINAL_STATES])
        )
        open_runs = (RunRow.status == RunStatus.RUNNING, ended.scalar_subquery() < RunRow.count)
        interrupted = update(RunRow).where(*open_runs).values(status=RunStatus.INTERRUPTED, finished_at=time.time())
        with self.sessions.begin() as session:
            return int(session.execute(interrupted).rowcount)  # type: ignore[attr-defined]

    def _refusal(self, video: VideoRow) -> Refusal | None:
        if VideoState(video.state).is_final:
            return Refusal.FINAL
        return Refusal.HELD if _is_held(video) else None

    def _take(
        self, session: Session, video: VideoRow, slot: Slot, receive_count: int | None, started_at: float
    ) -> Claim:
        video.execution_number += 1
        video.state = VideoState.PROCESSING
        video.started_at = video.started_at or started_at
        video.owner, video.lease_until = slot.owner, time.time() + self.lease_seconds
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
            output_key=self.output_key(video.run_id, video.id, video.execution_number),
        )


def _ours(claim: Claim) -> tuple[Any, ...]:
    return (
        VideoRow.id == claim.video_id,
        VideoRow.execution_number == claim.execution_number,
        VideoRow.state == VideoState.PROCESSING,
    )


def _is_held(video: VideoRow) -> bool:
    """Say whether a live execution has the video: its lease runs and its process, if it is of this node, lives."""
    if video.state != VideoState.PROCESSING or video.owner is None or (video.lease_until or 0.0) < time.time():
        return False
    return may_live(video.owner)


def _execution_row(video: VideoRow, slot: Slot, receive_count: int | None, started_at: float) -> ExecutionRow:
    return ExecutionRow(
        run_id=video.run_id,
        video_id=video.id,
        execution_number=video.execution_number,
        node=slot.node,
        slot=slot.pid,
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
    """Mark executions that never said how they ended; when they died is not known, so `ended_at` stays empty."""
    lost = update(ExecutionRow).where(ExecutionRow.video_id == video.id, ExecutionRow.outcome.is_(None))
    session.execute(lost.values(outcome=Outcome.LOST, reason=Reason.WORKER_LOST))


def _settle(video: VideoRow, state: VideoState, reason: Reason) -> None:
    video.state, video.reason, video.updated_at = state, reason, time.time()
    video.owner = video.lease_until = None


def _end_execution(session: Session, claim: Claim, outcome: Outcome, ending: _Ending) -> None:
    """Write how the execution ended; one that was taken for lost, and was only asleep, may still say so."""
    values = {"outcome": outcome, **ending.columns()}
    open_execution = (ExecutionRow.id == claim.row, ExecutionRow.ended_at.is_(None))
    session.execute(update(ExecutionRow).where(*open_execution).values(values))
