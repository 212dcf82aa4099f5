"""The task: claim → fetch → probe → transcode → publish → finish, with one final state for every video."""

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
from aforo.telemetry.stages import StageTimer
from core import storage
from core.storage import Storage
from core.video import PASSING_REASONS, TASK_NAME, Outcome, Reason, Stage, VideoFailed, VideoState
from worker import cleanup
from worker.claims import Claim, Ledger, Refusal
from worker.media.profiles import profile_named
from worker.media.transcode import Transcoder
from worker.slot import Slot

logger = logging.getLogger(__name__)

_STORAGE_REASONS: dict[type[storage.StorageError], Reason] = {
    storage.ObjectMissing: Reason.STORAGE_MISSING,
    storage.AccessDenied: Reason.STORAGE_DENIED,
    storage.StorageFull: Reason.DISK_FULL,
    storage.StorageUnavailable: Reason.STORAGE_UNAVAILABLE,
}


class GivenBack(Reject):
    """The delivery has ended and its message comes again; `outcome` is what the metrics count."""

    def __init__(self, outcome: str, why: str = "") -> None:
        super().__init__(why, requeue=True)
        self.args = outcome, why  # what it is made of again where it was pickled
        self.outcome = outcome


@dataclass
class Workshop:
    """What one slot works with; made in the process that uses it, because clients and engines do not cross a fork."""

    slot: Slot
    ledger: Ledger
    storage: Storage
    transcoder: Transcoder
    heartbeat: Callable[[ReceivedMessage, Callable[[], bool]], VisibilityHeartbeat]
    work_path: Path

    def discard_outputs(self, run_id: str, video_id: str, executions: Iterable[int]) -> None:
        """Remove what executions that cannot win any more published, or began to."""
        cleanup.discard(self.storage, (self.ledger.output_key(run_id, video_id, number) for number in executions))


def register(app: Celery, workshop: Callable[[], Workshop]) -> None:
    """Add the task to `app`; `workshop()` returns the calling process's workshop.

    The task raises VideoFailed when the video has failed for good: Celery then deletes the message. Whatever else goes
    wrong becomes a Reject: the message comes again.
    """

    @app.task(name=TASK_NAME, bind=True, shared=False, throws=(VideoFailed,), resultrepr_maxsize=4096)
    def process_video(self: Task, video_id: str, run_id: str, version: int) -> dict[str, Any]:
        """Process one delivery of a video; the version is there for whoever reads the queue."""
        started_at = time.time()
        with _message_kept():
            message = ReceivedMessage.from_request(self.request)
            return {"aforo": _deliver(workshop(), video_id, run_id, message, started_at)}


@contextmanager
def _message_kept() -> Iterator[None]:
    """Turn what nobody foresaw, such as a database that is away, into a Reject, which the metrics call `rejected`."""
    try:
        yield
    except (VideoFailed, Reject):
        raise
    except Exception as error:
        logger.exception("a delivery went wrong; its message will come again")
        raise Reject(str(error), requeue=True) from error


def _deliver(
    shop: Workshop, video_id: str, run_id: str, message: ReceivedMessage | None, started_at: float
) -> dict[str, Any]:
    timer = StageTimer()
    with timer(Stage.CLAIM):
        claim = shop.ledger.claim(video_id, shop.slot, message.receive_count if message else None, started_at)
    if isinstance(claim, Refusal):
        return _turn_away(shop, claim, video_id, run_id)
    execution = Execution(shop, claim, timer)
    if message is None:
        return execution.run()
    with shop.heartbeat(message, lambda: shop.ledger.renew(claim)):
        return execution.run()


def _turn_away(shop: Workshop, refusal: Refusal, video_id: str, run_id: str) -> dict[str, Any]:
    """End a delivery that may not work.

    A held video's message comes again, in case its holder dies; so does that of an unknown video, which may be in
    another database: redrive, not we, ends it.
    """
    if refusal is Refusal.HELD:
        raise GivenBack(Outcome.DUPLICATE, f"{video_id}: {refusal}")
    if refusal is Refusal.UNKNOWN:
        raise Reject(f"{video_id}: {refusal}", requeue=True)
    if refusal is Refusal.EXHAUSTED:
        shop.discard_outputs(run_id, video_id, range(1, shop.ledger.max_attempts + 1))
        raise VideoFailed(Reason.WORKER_LOST, f"{video_id}: its executions are used up")
    return {"outcome": Outcome.DUPLICATE.value}


@dataclass
class Execution:
    """One claim being worked on; every way out of `run` has been written to the ledger."""

    shop: Workshop
    claim: Claim
    timer: StageTimer
    measured: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    output_bytes: int = 0

    def run(self) -> dict[str, Any]:
        """Do the stages; return the report, or raise VideoFailed (final) or Reject (the message comes again)."""
        try:
            self._work()
        except VideoFailed as failure:
            raise self._end_in_failure(failure) from failure
        except storage.StorageError as error:
            reason = _STORAGE_REASONS.get(type(error), Reason.STORAGE_UNAVAILABLE)
            raise self._end_in_failure(VideoFailed(reason, error.detail)) from error
        except SoftTimeLimitExceeded as error:
            raise self._end_in_failure(VideoFailed(Reason.TIMEOUT, "the task hung")) from error
        except Exception as error:
            logger.exception("video %s", self.claim.video_id)
            raise self._end_in_failure(VideoFailed(Reason.INTERNAL, repr(error))) from error
        return self._end_in_success()

    def _work(self) -> None:
        shop, claim, timer = self.shop, self.claim, self.timer
        self._discard_earlier()
        with tempfile.TemporaryDirectory(dir=shop.work_path, prefix="video-") as folder:
            source, target = Path(folder, "in.bin"), Path(folder, "out.mp4")
            with timer(Stage.FETCH):
                fetched = shop.storage.fetch(claim.source_key, source)
                if fetched.sha256 != claim.source_sha256:
                    raise VideoFailed(Reason.CORRUPT, "the stored file is not the one that was uploaded")
            profile = profile_named(claim.profile)
            with timer(Stage.PROBE):
                media = shop.transcoder.probe(source)
            with timer(Stage.TRANSCODE):
                done = shop.transcoder.transcode(source, target, profile, media)
            self.measured |= done.columns()
            with timer(Stage.PUBLISH):
                published = shop.storage.publish(target, claim.output_key)
        self.report |= done.report() | {"bytes": {"in": fetched.size_bytes, "out": published.size_bytes}}
        self.output_bytes = published.size_bytes

    def _end_in_success(self) -> dict[str, Any]:
        measured = self.measured | self.timer.columns() | {"output_bytes": self.output_bytes}
        with self.timer(Stage.FINISH):
            outcome = self.shop.ledger.finish(self.claim, VideoState.DONE, measured)
        if outcome is Outcome.DONE:
            self._discard_earlier()
            return self.report
        self.shop.discard_outputs(self.claim.run_id, self.claim.video_id, [self.claim.execution_number])
        raise GivenBack(outcome, "the message may be the winner's, which may yet die")

    def _end_in_failure(self, failure: VideoFailed) -> Exception:
        """Write how the execution ended; return what the task must raise for it."""
        logger.warning("video %s execution %d: %s", self.claim.video_id, self.claim.execution_number, failure)
        columns = self.measured | self.timer.columns() | failure.used
        if failure.reason in PASSING_REASONS:
            outcome = self.shop.ledger.give_back(self.claim, failure.reason, columns)
        else:
            outcome = self.shop.ledger.finish(self.claim, VideoState.FAILED, columns, failure.reason)
        if outcome is not Outcome.FAILED:
            return GivenBack(outcome, str(failure))
        self._discard_earlier()
        return failure

    def _discard_earlier(self) -> None:
        """Delete outputs of earlier executions, before and after the work: a stale worker may upload meanwhile."""
        self.shop.discard_outputs(self.claim.run_id, self.claim.video_id, range(1, self.claim.execution_number))
