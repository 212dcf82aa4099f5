"""Takes waiting videos of a run back from the queue: what is in work stays, ends and counts (docs/adr/0031).

A video leaves only while we hold its message and nobody has claimed it, so the sum injected = done + failed + waiting +
in flight + dead-lettered holds at every moment, and no worker meets a message without a video.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete

from core.database import Sessions
from core.models import RunRow, VideoRow
from core.video import VideoState

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

#: SQS asks all its servers only on a long poll; after so many that bring nothing of ours, nothing of ours waits
EMPTY_RECEIVES = 2
#: a message that is not ours stays invisible until we have done, or so long after we were killed
HOLD_SECONDS = 120
BATCH_MESSAGES = 10


@dataclass(frozen=True)
class Withdrawal:
    """Takes back videos through one queue."""

    client: SQSClient
    queue_url: str
    sessions: Sessions

    def take_back(self, run_ids: Collection[str]) -> int:
        """Remove the waiting videos of these runs with their messages; return how many they were.

        Other messages are given back at the end only: one that came again in each batch would be received so often that
        SQS takes it for a dead letter.
        """
        total = fruitless = 0
        others: list[str] = []
        try:
            while fruitless < EMPTY_RECEIVES:
                taken = 0
                for message in self._receive():
                    if self._take_back(message, run_ids):
                        taken += 1
                    else:
                        others.append(message["ReceiptHandle"])
                total, fruitless = total + taken, 0 if taken else fruitless + 1
        finally:
            self._give_back(others)
        return total

    def _receive(self) -> Sequence[Any]:
        answer = self.client.receive_message(
            QueueUrl=self.queue_url,
            MaxNumberOfMessages=BATCH_MESSAGES,
            WaitTimeSeconds=1,
            VisibilityTimeout=HOLD_SECONDS,
        )
        return answer.get("Messages", [])

    def _take_back(self, message: Any, run_ids: Collection[str]) -> bool:
        """Remove the video first: killed in between, a worker turns the message away; the other way it would hang."""
        video_id, run_id = named_video(message["Body"])
        if run_id not in run_ids or not self._remove(video_id, run_id):
            return False
        self.client.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return True

    def _give_back(self, receipts: Sequence[str]) -> None:
        """Make the messages visible at once; SQS does so itself for a receipt that it no longer accepts."""
        for first in range(0, len(receipts), BATCH_MESSAGES):
            batch = enumerate(receipts[first : first + BATCH_MESSAGES])
            self.client.change_message_visibility_batch(
                QueueUrl=self.queue_url,
                Entries=[{"Id": str(k), "ReceiptHandle": receipt, "VisibilityTimeout": 0} for k, receipt in batch],
            )

    def _remove(self, video_id: str, run_id: str) -> bool:
        unclaimed = (VideoRow.id == video_id, VideoRow.state == VideoState.UPLOADED, VideoRow.execution_number == 0)
        with self.sessions.begin() as session:
            if not session.execute(delete(VideoRow).where(*unclaimed)).rowcount:  # type: ignore[attr-defined]
                return False
            run = session.get_one(RunRow, run_id, with_for_update=True)
            run.environment = {"asked_count": run.count, **run.environment}
            run.count -= 1
            return True


def named_video(body: str) -> tuple[str, str]:
    """Return video and run of a message as the injector encodes it; empty strings for any other message."""
    try:
        envelope = json.loads(base64.b64decode(body))
        _args, kwargs, _embed = json.loads(base64.b64decode(envelope["body"]))
        return str(kwargs["video_id"]), str(kwargs["run_id"])
    except (ValueError, KeyError, TypeError):
        return "", ""
