"""The video task: claim → fetch → probe → transcode → publish → finish.

Every video gets exactly one final state.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import Celery, Task
from celery.exceptions import Reject, SoftTimeLimitExceeded

from aforo.sqs import ReceivedMessage, VisibilityHeartbeat
from aforo.telemetry.task_result import record_result
from core import storage
from core.errors import FULL
from core.ffmpeg.profiles import Profile, profile_named
from core.storage import Storage
from core.video import PASSING_REASONS, TASK_NAME, Outcome, Reason, Stage, VideoFailed, VideoState
from worker import cleanup
from worker.claims import Claim, ClaimDenied, Claims
from worker.media.transcode import Transcoder
from worker.outage_log import DATABASE_AWAY, Consequence, OutageLog
from worker.slot import Slot
from worker.stage_timer import StageTimer

logger = logging.getLogger(__name__)

_STORAGE_REASONS: dict[type[storage.StorageError], Reason] = {
    storage.ObjectMissing: Reason.STORAGE_MISSING,
    storage.AccessDenied: Reason.STORAGE_DENIED,
    storage.StorageFull: Reason.DISK_FULL,
    storage.StorageUnavailable: Reason.STORAGE_UNAVAILABLE,
}


class ReturnedToQueue(Reject):
    """Exception that ends an execution and returns its message to the queue.

    The attribute `outcome` is the outcome of the execution, such as `retried`. The worker's metrics use this value as
    the label `outcome`.
    """

    def __init__(self, outcome: str, why: str = "") -> None:
        super().__init__(why, requeue=True)
        self.outcome, self.why = outcome, why

    def __reduce__(self) -> tuple[type[ReturnedToQueue], tuple[str, str]]:
        """Return the constructor call for pickle, because `Reject` would pickle other arguments."""
        return type(self), (self.outcome, self.why)


@dataclass
class TaskContext:
    """What the video task needs in one process: database, storage, transcoder, heartbeat and work folder.

    The field `slot` is a function that returns the slot of the calling thread. Create one context in each process after
    the fork.
    """

    slot: Callable[[], Slot]
    claims: Claims
    storage: Storage
    transcoder: Transcoder
    heartbeat: Callable[[ReceivedMessage, Callable[[], bool | None]], VisibilityHeartbeat]
    work_path: Path

    def delete_outputs(self, run_id: str, video_id: str, executions: Iterable[int]) -> None:
        """Delete the outputs of some executions of a video.

        `executions` are the numbers of these executions. The caller must not give the number of an execution that
        completed the video or can still complete it.
        """
        cleanup.delete_outputs(
            self.storage, (self.claims.output_key(run_id, video_id, number) for number in executions)
        )


def register(app: Celery, context: Callable[[], TaskContext], outages: OutageLog) -> None:
    """Add the video task to the Celery application `app`.

    `context()` returns the task context of the calling process. `outages` logs failures of the database. The task
    raises VideoFailed if the video has failed for good. Any other error returns the message to the queue.
    """

    @app.task(name=TASK_NAME, bind=True, shared=False, throws=(VideoFailed,))
    def process_video(self: Task, video_id: str, run_id: str, version: int) -> None:
        """Process one delivery of a video. This is the Celery task.

        `version` is the version of the task's arguments. It is not used here, because a message with an unsupported
        version never reaches the task.
        """
        started_at = time.time()
        with _unexpected_errors_rejected(outages):
            message = ReceivedMessage.from_request(self.request)
            record_result(**_deliver(context(), video_id, run_id, message, started_at, outages))


@contextmanager
def _unexpected_errors_rejected(outages: OutageLog) -> Iterator[None]:
    """Convert an unexpected error, such as an unreachable database, into a Reject.

    The metrics count the outcome `rejected`.
    """
    try:
        yield
    except (VideoFailed, Reject):
        raise
    except DATABASE_AWAY as error:
        outages.note(Consequence.DELIVERIES_RETURN, error)
        raise Reject("the database failed", requeue=True) from error
    except Exception as error:
        logger.exception("a delivery failed; its message returns to the queue")
        raise Reject(str(error), requeue=True) from error


def _deliver(
    context: TaskContext,
    video_id: str,
    run_id: str,
    message: ReceivedMessage | None,
    started_at: float,
    outages: OutageLog,
) -> dict[str, Any]:
    timer = StageTimer()
    with timer(Stage.CLAIM):
        claim = context.claims.claim(video_id, context.slot(), message.receive_count if message else None, started_at)
    if isinstance(claim, ClaimDenied):
        return _end_denied(context, claim, video_id, run_id)
    execution = Execution(context, claim, timer)
    if message is None:
        return execution.run()
    with context.heartbeat(message, lambda: _renew(context.claims, claim, outages)):
        return execution.run()


def _renew(claims: Claims, claim: Claim, outages: OutageLog) -> bool | None:
    """Extend the lease of the claim. Return False if the claim is lost, and None if the database fails."""
    try:
        return claims.renew(claim)
    except DATABASE_AWAY as error:
        outages.note(Consequence.LEASES_END, error)
        return None


def _end_denied(context: TaskContext, denial: ClaimDenied, video_id: str, run_id: str) -> dict[str, Any]:
    """End a delivery with a denied claim.

    If another execution holds the video, the message returns to the queue, in case the holder dies. The message of an
    unknown video also returns, because the video may be in another database. The queue's redrive policy ends these
    retries.
    """
    if denial is ClaimDenied.HELD:
        raise ReturnedToQueue(Outcome.DUPLICATE, f"{video_id}: {denial}")
    if denial is ClaimDenied.UNKNOWN:
        raise Reject(f"{video_id}: {denial}", requeue=True)
    if denial is ClaimDenied.EXHAUSTED:
        context.delete_outputs(run_id, video_id, range(1, context.claims.max_executions + 1))
        raise VideoFailed(Reason.WORKER_LOST, f"{video_id}: no execution is left")
    return {"outcome": Outcome.DUPLICATE.value}


def _profile(claim: Claim) -> Profile:
    return profile_named(claim.profile) if claim.profile_content is None else Profile.from_dict(claim.profile_content)


@dataclass
class Execution:
    """One execution of the video task, after its claim was granted.

    The method `run` runs the other stages and records the outcome in the database.
    """

    context: TaskContext
    claim: Claim
    timer: StageTimer
    measured: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    output_bytes: int = 0

    def run(self) -> dict[str, Any]:
        """Run the stages of the execution. Return figures for the worker's metrics, such as downloaded bytes.

        Raise VideoFailed if the video has failed for good. Raise ReturnedToQueue if the message returns to the queue.
        """
        try:
            self._work()
        except Exception as error:
            failure = self._reason_for(error)
            outcome = self._record_failure(failure)
            raise (failure if outcome is Outcome.FAILED else ReturnedToQueue(outcome, str(failure))) from error
        return self._end_in_success()

    def _reason_for(self, error: Exception) -> VideoFailed:
        """Convert the error into a VideoFailed with its reason."""
        if isinstance(error, VideoFailed):
            return error
        if isinstance(error, storage.StorageError):
            return VideoFailed(_STORAGE_REASONS.get(type(error), Reason.STORAGE_UNAVAILABLE), error.detail)
        if isinstance(error, OSError) and error.errno in FULL:  # of the work folder: bytes, inodes or a quota
            return VideoFailed(Reason.DISK_FULL, f"{error.strerror}: {error.filename}")
        if isinstance(error, SoftTimeLimitExceeded):
            return VideoFailed(Reason.TIMEOUT, "the task hung")
        logger.exception("video %s", self.claim.video_id)
        return VideoFailed(Reason.INTERNAL, repr(error))

    def _work(self) -> None:
        context, claim, timer = self.context, self.claim, self.timer
        self._delete_earlier_outputs()
        context.work_path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=context.work_path, prefix="video-") as folder:
            source, target = Path(folder, "in.bin"), Path(folder, "out.mp4")
            with timer(Stage.FETCH):
                fetched = context.storage.fetch(claim.source_key, source)
                if fetched.sha256 != claim.source_sha256:
                    raise VideoFailed(Reason.CORRUPT, "the stored file is not the one that was uploaded")
            profile = _profile(claim)
            with timer(Stage.PROBE):
                media = context.transcoder.probe(source)
            with timer(Stage.TRANSCODE):
                done = context.transcoder.transcode(source, target, profile, media)
            self.measured |= done.columns()
            with timer(Stage.PUBLISH):
                uploaded = context.storage.upload(target, claim.output_key)
        self.figures |= done.figures() | {"bytes": {"in": fetched.size_bytes, "out": uploaded.size_bytes}}
        self.output_bytes = uploaded.size_bytes

    def _end_in_success(self) -> dict[str, Any]:
        measured = self.measured | self.timer.columns() | {"output_bytes": self.output_bytes}
        with self.timer(Stage.FINISH):
            outcome = self.context.claims.finish(self.claim, VideoState.DONE, measured)
        if outcome is Outcome.DONE:
            self._delete_earlier_outputs()
            return self.figures
        self.context.delete_outputs(self.claim.run_id, self.claim.video_id, [self.claim.execution_number])
        raise ReturnedToQueue(outcome, "another execution holds the claim; the message returns in case it dies")

    def _record_failure(self, failure: VideoFailed) -> Outcome:
        """Record how the execution ended. A temporary reason frees the claim for another delivery."""
        logger.warning("video %s execution %d: %s", self.claim.video_id, self.claim.execution_number, failure)
        columns = self.measured | self.timer.columns() | failure.used
        if failure.reason in PASSING_REASONS:
            outcome = self.context.claims.release(self.claim, failure.reason, columns)
        else:
            outcome = self.context.claims.finish(self.claim, VideoState.FAILED, columns, failure.reason)
        if outcome is Outcome.FAILED:
            self._delete_earlier_outputs()
        return outcome

    def _delete_earlier_outputs(self) -> None:
        """Delete the outputs of earlier executions.

        The task calls this before and after the work, because a stale worker may upload its output during the work.
        """
        self.context.delete_outputs(self.claim.run_id, self.claim.video_id, range(1, self.claim.execution_number))
