"""Senders of tasks: write the rows, send ten tasks per SQS call, then confirm the rows.

The rows are an outbox. A row exists before its task is sent, and `sent_at` stays empty until SQS has confirmed the
task. So a failed send can be repeated. If a task is sent twice, the worker ends the second delivery as a duplicate.
"""

from __future__ import annotations

import base64
import json
import logging
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from celery import Celery
from sqlalchemy import insert, update

from aforo.telemetry.task_start import SENT_AT
from core.database import Sessions
from core.errors import EnvironmentFault
from core.models import VideoRow
from core.video import TASK_NAME, Payload, VideoState

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

logger = logging.getLogger(__name__)
BATCH_SIZE = 10
SEND_ATTEMPTS = 5


@dataclass(frozen=True)
class NewVideo:
    """A video to inject. `intended_at` is in epoch seconds. It is None in a burst."""

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
    """Send encoded tasks to one queue."""

    client: SQSClient
    queue_url: str

    def send(self, messages: Mapping[str, str]) -> None:
        """Send up to ten messages, keyed by id, and retry until SQS has confirmed each message.

        If a response of SQS is lost, a message may be sent twice. Aforo's task tolerates that. Ids consist of letters,
        digits, '-' and '_'. Raise EnvironmentFault when SQS rejects messages SEND_ATTEMPTS times.
        """
        unsent = dict(messages)
        for attempt in range(SEND_ATTEMPTS):
            time.sleep(0.5 * attempt)
            unsent = self._try_send(unsent)
            if not unsent:
                return
        raise EnvironmentFault(
            "SQS",
            f"{len(unsent)} of {len(messages)} tasks were rejected {SEND_ATTEMPTS} times",
            "check the queue and its policy; their rows stay",
            value=self.queue_url,
        )

    def _try_send(self, messages: dict[str, str]) -> dict[str, str]:
        entries = [{"Id": key, "MessageBody": body} for key, body in messages.items()]
        try:
            answer = self.client.send_message_batch(QueueUrl=self.queue_url, Entries=entries)  # type: ignore[arg-type]
        except (ClientError, BotoCoreError) as error:
            logger.warning("sending %d tasks failed: %s", len(entries), error)
            return messages
        return {failed["Id"]: messages[failed["Id"]] for failed in answer.get("Failed", [])}


@dataclass(frozen=True)
class VideoSender:
    """Record and send the videos of one run."""

    app: Celery
    client: SQSClient
    queue_url: str
    sessions: Sessions

    def record_and_send(self, videos: Sequence[NewVideo]) -> list[str]:
        """Record and send `videos`, and return their task ids.

        Raise EnvironmentFault when SQS rejects the tasks.
        """
        task_ids: list[str] = []
        remaining = iter(videos)
        while batch := list(islice(remaining, BATCH_SIZE)):
            task_ids += self._send_batch(batch)
        return task_ids

    def _send_batch(self, batch: Sequence[NewVideo]) -> list[str]:
        rows = [own_row(video, time.time()) for video in batch]
        with self.sessions.begin() as session:
            session.execute(insert(VideoRow), rows)
        Sender(self.client, self.queue_url).send({str(row["id"]): self._message(row) for row in rows})
        sent = update(VideoRow).where(VideoRow.id.in_([row["id"] for row in rows]))
        with self.sessions.begin() as session:
            session.execute(sent.values(sent_at=time.time()))
        return [str(row["task_id"]) for row in rows]

    def _message(self, row: dict[str, object]) -> str:
        payload = Payload(video_id=str(row["id"]), run_id=str(row["run_id"]))
        message = TaskMessage(TASK_NAME, str(row["task_id"]), self.queue_url, kwargs=payload.as_kwargs())
        return encode_task(self.app, message)


@dataclass(frozen=True)
class TaskMessage:
    """One task to send: its arguments, the headers added to Celery's own, and its version of Celery's protocol."""

    name: str
    task_id: str
    queue_url: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    protocol: int = 2
    priority: int = 0


def encode_task(app: Celery, task: TaskMessage) -> str:
    """Return the SQS message body that kombu would send for this task, as JSON in base64.

    A header holds the send time, because kombu before 5.5 does not request that of SQS.
    """
    encode = app.amqp.as_task_v2 if task.protocol == 2 else app.amqp.as_task_v1
    message = encode(task.task_id, task.name, args=list(task.args), kwargs=dict(task.kwargs))
    body = json.dumps(message.body).encode()
    queue_name = task.queue_url.rsplit("/", 1)[-1]
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {**message.headers, **task.headers, SENT_AT: time.time()},
        "properties": {
            **message.properties,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue_name},
            "priority": task.priority,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    return base64.b64encode(json.dumps(envelope).encode()).decode()


def write_tasks_log(lines: Iterable[str], file: object) -> None:
    """Append task ids to the log, one per line. The scenario requires this format."""
    print(*lines, sep="\n", file=file, flush=True)  # type: ignore[call-overload]


def own_row(video: NewVideo, now: float) -> dict[str, object]:
    """Return the columns of a new video in our table, with fresh ids."""
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
