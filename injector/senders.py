"""Create the rows and messages of tasks, and send up to ten messages in one SQS call.

A row is written before its message is sent. The row's column `sent_at` stays empty until SQS has confirmed the message.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from celery import Celery

from core.database import Sessions
from core.errors import EnvironmentFault
from core.task_message import TaskMessage, encode_task
from core.video import TASK_NAME, Payload, VideoState

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

logger = logging.getLogger(__name__)
BATCH_SIZE = 10
SEND_ATTEMPTS = 5
#: wait before the second attempt; each later wait is as much longer
RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class NewVideo:
    """A video to be sent. `sequence` is its number in the run, from 0.

    `intended_at` is the scheduled time of the video in epoch seconds, or None in a burst.
    """

    run_id: str
    sequence: int
    source_key: str
    source_bytes: int
    source_sha256: str
    profile: str
    user_id: str | None
    intended_at: float | None


@dataclass(frozen=True)
class Sender:
    """Send encoded task messages to one SQS queue."""

    client: SQSClient
    queue_url: str

    def send(self, messages: Mapping[str, str], stopping: Event | None = None) -> None:
        """Send up to ten messages to the queue. Repeat each message that SQS does not confirm.

        `messages` maps an id to a message body. There are at most five attempts, with pauses of 0.5, 1, 1.5 and 2 s
        between them. Raise EnvironmentFault if a message is unconfirmed after the last attempt. If `stopping` is set,
        no further attempt is made.
        """
        unsent, stopping = dict(messages), stopping or Event()
        reasons: dict[str, str] = {}
        for attempt in range(SEND_ATTEMPTS):
            if attempt and stopping.wait(RETRY_SECONDS * attempt):
                break
            reasons = self._try_send(unsent)
            if not reasons:
                return
            unsent = {key: messages[key] for key in reasons}
        raise EnvironmentFault(
            "SQS",
            f"{len(unsent)} of {len(messages)} tasks were rejected {attempt + 1} times "
            f"({', '.join(sorted(set(reasons.values())))})",
            "check the queue and its policy; their rows stay",
            value=self.queue_url,
        )

    def _try_send(self, messages: dict[str, str]) -> dict[str, str]:
        """Send the messages. Return the reason of each one that SQS did not confirm, by its id."""
        entries = [{"Id": key, "MessageBody": body} for key, body in messages.items()]
        try:
            answer = self.client.send_message_batch(QueueUrl=self.queue_url, Entries=entries)  # type: ignore[arg-type]
        except (ClientError, BotoCoreError) as error:
            logger.warning("sending %d tasks failed: %s", len(entries), error)
            return dict.fromkeys(messages, type(error).__name__)
        return {failed["Id"]: failed["Code"] for failed in answer.get("Failed", [])}


@dataclass(frozen=True)
class Batch:
    """Up to ten videos to send: their rows in Aforo's table, and their task messages in the same order.

    `app_facts` has figures of the app under test for the run's row. It is empty for our reference worker.
    """

    rows: list[dict[str, object]]
    messages: list[TaskMessage]
    app_facts: dict[str, Any] = field(default_factory=dict)

    @property
    def video_ids(self) -> list[str]:
        """Return the ids of the videos in this batch, in order."""
        return [str(row["id"]) for row in self.rows]

    @property
    def task_ids(self) -> list[str]:
        """Return the task ids of the messages in this batch, in order."""
        return [message.task_id for message in self.messages]


@dataclass(frozen=True)
class VideoSender:
    """Create the rows of a run's videos, and the messages that ask our reference worker to process them."""

    app: Celery
    sender: Sender
    sessions: Sessions

    def make(self, videos: Sequence[NewVideo]) -> Batch:
        """Return a batch with the row values and the messages of these videos. The upload time is now.

        The caller inserts the rows.
        """
        rows = [own_row(video, time.time()) for video in videos]
        return Batch(rows, [self._message(row) for row in rows])

    def encode(self, batch: Batch) -> dict[str, str]:
        """Return the SQS message bodies of a batch, by video id."""
        return encode_batch(self.app, batch)

    def _message(self, row: dict[str, object]) -> TaskMessage:
        payload = Payload(video_id=str(row["id"]), run_id=str(row["run_id"]))
        return TaskMessage(TASK_NAME, str(row["task_id"]), self.sender.queue_url, kwargs=payload.as_kwargs())


def encode_batch(app: Celery, batch: Batch) -> dict[str, str]:
    """Return the SQS message bodies of a batch, by video id. `app` is the Celery application."""
    pairs = zip(batch.video_ids, batch.messages, strict=True)
    return {video_id: encode_task(app, message) for video_id, message in pairs}


def write_tasks_log(lines: Iterable[str], file: object) -> None:
    """Append task ids to the open text file `file`, one per line. The scenario requires this log.

    `lines` has the task ids.
    """
    print(*lines, sep="\n", file=file, flush=True)  # type: ignore[call-overload]


def own_row(video: NewVideo, now: float) -> dict[str, object]:
    """Return the column values of a new video in Aforo's table, with new random ids for video and task.

    `now` is the upload time in epoch seconds.
    """
    return {
        "id": uuid.uuid4().hex,
        "run_id": video.run_id,
        "sequence": video.sequence,
        "task_id": str(uuid.uuid4()),
        "user_id": video.user_id,
        "state": VideoState.UPLOADED,
        "source_key": video.source_key,
        "source_bytes": video.source_bytes,
        "source_sha256": video.source_sha256,
        "profile": video.profile,
        "intended_at": video.intended_at,
        "uploaded_at": now,
        "updated_at": now,
        "execution_number": 0,
    }
