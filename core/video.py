"""What a video is: its states, the ways an execution ends, and the payload of its task."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

TASK_NAME = "aforo.process_video"
PAYLOAD_VERSION = 1


class VideoState(StrEnum):
    """Life of a video: `uploaded → processing → done | failed`; the last two are final."""

    UPLOADED = "uploaded"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Say whether no later event may change this state."""
        return self in FINAL_STATES


FINAL_STATES = frozenset({VideoState.DONE, VideoState.FAILED})


class Outcome(StrEnum):
    """How one execution (one delivery of a task) ended."""

    DONE = "done"  # this execution made the video done
    FAILED = "failed"  # this execution made the video failed
    RETRIED = "retried"  # gave up for a passing reason; the message will come again
    DUPLICATE = "duplicate"  # the video was final, or another execution holds it: no work was done
    SUPERSEDED = "superseded"  # worked, but another execution finished or claimed the video first
    LOST = "lost"  # its process died before it could say anything


class Stage(StrEnum):
    """The timed steps of a task, in order."""

    CLAIM = "claim"
    FETCH = "fetch"
    PROBE = "probe"
    TRANSCODE = "transcode"
    PUBLISH = "publish"
    FINISH = "finish"


class Reason(StrEnum):
    """Why a video failed: the closed list every metric, row and report uses."""

    NOT_MEDIA = "not_media"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    OOM = "oom"
    DISK_FULL = "disk_full"
    STORAGE_MISSING = "storage_missing"
    STORAGE_DENIED = "storage_denied"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    FFMPEG_SIGNAL = "ffmpeg_signal"
    FFMPEG_ERROR = "ffmpeg_error"
    WORKER_LOST = "worker_lost"
    DEAD_LETTERED = "dead_lettered"
    INTERNAL = "internal"


#: Reasons that another execution may cure; every other reason is final at once.
PASSING_REASONS = frozenset(
    {
        Reason.TIMEOUT,
        Reason.STALLED,
        Reason.OOM,
        Reason.DISK_FULL,
        Reason.STORAGE_UNAVAILABLE,
        Reason.FFMPEG_SIGNAL,
        Reason.WORKER_LOST,
        Reason.INTERNAL,
    }
)


class VideoFailed(Exception):
    """A video cannot be processed: `reason` is counted, `detail` is for the log only.

    `used` is what ffmpeg had used by then, under the names of the executions table's columns.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.used: dict[str, float] = {}

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else str(self.reason)


@dataclass(frozen=True)
class Payload:
    """What a task message carries: identifiers only; the database row says what to do."""

    video_id: str
    run_id: str
    version: int = PAYLOAD_VERSION

    def as_kwargs(self) -> dict[str, str | int]:
        """Return the keyword arguments of the Celery task."""
        return {"video_id": self.video_id, "run_id": self.run_id, "version": self.version}
