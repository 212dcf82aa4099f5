"""Dead-letter watch: mark the videos of messages in the dead-letter queue as failed.

The messages stay in the dead-letter queue, and people can examine them.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aforo.sqs.redrive_policy import url_of_arn
from aforo.telemetry import event_channel
from aforo.telemetry.label_values import Operation
from core import sqs_queue
from core.storage import StorageError
from worker.claims import Claims
from worker.outage_log import DATABASE_AWAY, Consequence, OutageLog
from worker.payload import video_and_task_of

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

logger = logging.getLogger(__name__)
#: how long a message is invisible while it is read: enough for the longest scan, of some 40,000 messages
READING_SECONDS = 60
#: ids of a video and of its task; None for a message without them
VideoAndTask = tuple[str, str] | None
#: errors of a service that is away, after which the next check retries the message
AWAY = (*DATABASE_AWAY, StorageError, OSError)
#: the queue is read again after this time even if its depth is the same: one message may have replaced another
REREAD_SECONDS = 300.0


@dataclass
class DeadLetterWatch:
    """Mark the videos of messages in the dead-letter queue as failed, in a thread of the main process.

    The field `queue_url` is the URL of the worker's queue. The field `delete_outputs` is a function that deletes the
    outputs with the given storage keys.
    """

    client: SQSClient
    queue_url: str
    claims: Claims
    delete_outputs: Callable[[Iterable[str]], None]
    outages: OutageLog
    _handled: set[str] = field(default_factory=set)
    _handled_depth: int = 0
    _read_at: float = field(default_factory=time.monotonic)
    _database: threading.Lock = field(default_factory=threading.Lock)

    def start(self, pause_seconds: float) -> None:
        """Start the thread that checks the dead-letter queue every `pause_seconds`."""
        release = self._database.release
        # a fork while the thread uses the database would leave the child an open SQLite file and its locks
        os.register_at_fork(before=self._database.acquire, after_in_parent=release, after_in_child=release)
        threading.Thread(target=self._watch, args=(pause_seconds,), name="dead-letters", daemon=True).start()

    def check(self) -> None:
        """Read the dead-letter queue once and mark the videos of new messages as failed.

        The outputs of these videos are deleted. While the number of messages stays the same, the messages are read only
        every 5 minutes. A message whose video is claimed is handled by a later check. An error is logged and counted.
        The next check tries again.
        """
        try:
            self._check()
        except Exception as error:  # the watch must not end: without it, dead-lettered videos never end
            event_channel.handled_error(Operation.WATCH_DEAD_LETTERS)
            is_database = isinstance(error, DATABASE_AWAY)
            self.outages.note(Consequence.VIDEOS_STAY_OPEN if is_database else Consequence.DEAD_LETTERS_UNREAD, error)

    def _watch(self, pause_seconds: float) -> None:
        while True:
            time.sleep(pause_seconds)
            self.check()

    def _check(self) -> None:
        arn = sqs_queue.read_attributes(self.client, self.queue_url).dead_letter_arn
        if arn is None:
            return
        url = url_of_arn(self.client, arn)
        depth = sqs_queue.read_attributes(self.client, url).total
        if depth == self._handled_depth and time.monotonic() - self._read_at < REREAD_SECONDS:
            return
        messages = self._read(url, depth)
        handled = {one for one, ids in messages.items() if one in self._handled or self._is_handled(one, ids)}
        is_complete = len(messages) >= depth  # otherwise another reader holds messages, which the next check reads
        self._handled_depth = depth if is_complete and len(handled) == len(messages) else -1
        self._handled, self._read_at = handled, time.monotonic()

    def _read(self, url: str, count: int) -> dict[str, VideoAndTask]:
        """Read about `count` messages and make them visible again.

        Return the video and the task of each message id.
        """
        ids: dict[str, VideoAndTask] = {}
        receipt_handles: list[list[str]] = []
        try:
            while len(ids) < count and (messages := self._receive(url)):
                receipt_handles.append([message["ReceiptHandle"] for message in messages])
                if ids.keys() >= {message["MessageId"] for message in messages}:
                    break  # READING_SECONDS have passed: the first messages are delivered again
                ids |= {message["MessageId"]: video_and_task_of(message["Body"]) for message in messages}
        finally:
            for batch in receipt_handles:
                self._make_visible(url, batch)
        return ids

    def _receive(self, url: str) -> list[MessageTypeDef]:
        return self.client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=READING_SECONDS, WaitTimeSeconds=1
        ).get("Messages", [])

    def _make_visible(self, url: str, receipt_handles: list[str]) -> None:
        self.client.change_message_visibility_batch(
            QueueUrl=url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for number, handle in enumerate(receipt_handles)
            ],
        )

    def _is_handled(self, message_id: str, ids: VideoAndTask) -> bool:
        """Fail the video of a message. Return False if a later check must retry.

        A message that cannot be handled is skipped, because it would block the messages after it.
        """
        try:
            return self._fail(ids)
        except AWAY:
            raise
        except Exception as error:
            event_channel.handled_error(Operation.WATCH_DEAD_LETTERS)
            logger.warning("skipped the dead-lettered message %s: %r", message_id, error)
            return True

    def _fail(self, ids: VideoAndTask) -> bool:
        """Fail the video of a dead-lettered message.

        Return False while a live execution holds the claim.
        """
        if ids is None:
            return True
        with self._database:
            output_keys = self.claims.fail_dead_lettered(*ids)
        self.delete_outputs(output_keys or ())
        return output_keys is not None
