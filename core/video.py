"""States of a video, outcomes and stages of its executions, and the payload of the video task."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

TASK_NAME = "aforo.process_video"
PAYLOAD_VERSION = 1


class VideoState(StrEnum):
    """State of a video: `uploaded → processing → done | failed`. The last two are final."""

    UPLOADED = "uploaded"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Return True for `done` and `failed`, after which a video's state never changes."""
        return self in FINAL_STATES


FINAL_STATES = frozenset({VideoState.DONE, VideoState.FAILED})


class Outcome(StrEnum):
    """How one execution (one delivery of a task) ended."""

    DONE = "done"  # this execution made the video done
    FAILED = "failed"  # this execution made the video failed
    RETRIED = "retried"  # failed for a temporary reason; the message is delivered again
    PART = "part"  # ended one of several messages of the video, and not the last one
    DUPLICATE = "duplicate"  # the video was final, or another execution holds it: no work was done
    SUPERSEDED = "superseded"  # worked, but another execution finished or claimed the video first
    LOST = "lost"  # its process died before it recorded an outcome


class Stage(StrEnum):
    """Timed steps of the video task, in the order in which they run."""

    CLAIM = "claim"  # make this execution the only one that works on the video
    FETCH = "fetch"  # copy the input file to this machine
    PROBE = "probe"  # read the properties of the input with ffprobe
    TRANSCODE = "transcode"  # encode the output with ffmpeg
    PUBLISH = "publish"  # store the output file; docs/adr/0073 tells why it is not called "store"
    FINISH = "finish"  # write the final state of the video


class Reason(StrEnum):
    """Why a video failed. Every metric, row and report uses this closed list."""

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
    ENCODER_SESSIONS = "encoder_sessions"  # the graphics card encodes as many videos as its driver allows
    FFMPEG_SIGNAL = "ffmpeg_signal"
    FFMPEG_ERROR = "ffmpeg_error"
    WORKER_LOST = "worker_lost"
    DEAD_LETTERED = "dead_lettered"
    INTERNAL = "internal"


#: Temporary reasons: another execution may succeed. Every other reason is final immediately.
PASSING_REASONS = frozenset(
    {
        Reason.TIMEOUT,
        Reason.STALLED,
        Reason.OOM,
        Reason.DISK_FULL,
        Reason.STORAGE_UNAVAILABLE,
        Reason.ENCODER_SESSIONS,
        Reason.FFMPEG_SIGNAL,
        Reason.WORKER_LOST,
        Reason.INTERNAL,
    }
)


class VideoFailed(Exception):
    """Error for a video that cannot be processed.

    `reason` is the cause. `detail` is a text for the log only. `used` says what ffmpeg used before the failure, such as
    CPU seconds, by column name of the table `executions`.
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
    """Arguments in the message of a video task: the ids of video and run, and the payload's version.

    The parameters of the work are in the database.
    """

    video_id: str
    run_id: str
    version: int = PAYLOAD_VERSION

    def as_kwargs(self) -> dict[str, str | int]:
        """Return the payload as keyword arguments of the Celery task."""
        return {"video_id": self.video_id, "run_id": self.run_id, "version": self.version}
