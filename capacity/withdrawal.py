"""Takes waiting videos of a run back from the queue: what is in work stays, ends and counts (docs/adr/0031).

A video leaves only while we hold its message and nobody has claimed it, so the sum injected = done + failed + waiting +
in flight + dead-lettered holds at every moment, and no worker meets a message without a video.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete

from pipeline.database import Sessions
from pipeline.models import RunRow, VideoRow
from pipeline.video import VideoState

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

#: SQS asks all its servers only on a long poll; after so many that bring nothing of ours, nothing of ours waits
EMPTY_RECEIVES = 2
HOLD_SECONDS = 30


@dataclass(frozen=True)
class Withdrawal:
    """Takes back videos through one queue."""

    client: SQSClient
    queue_url: str
    sessions: Sessions

    def take_back(self, run_ids: Collection[str]) -> int:
        """Remove the waiting videos of these runs with their messages; return how many they were."""
        total = fruitless = 0
        while fruitless < EMPTY_RECEIVES:
            taken = sum(self._take_back(message, run_ids) for message in self._receive())
            total, fruitless = total + taken, 0 if taken else fruitless + 1
        return total

    def _receive(self) -> Iterable[Any]:
        answer = self.client.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=HOLD_SECONDS
        )
        return answer.get("Messages", [])

    def _take_back(self, message: Any, run_ids: Collection[str]) -> bool:
        """Remove the video first: killed in between, a worker turns the message away; the other way it would hang."""
        receipt = message["ReceiptHandle"]
        video_id, run_id = named_video(message["Body"])
        if run_id in run_ids and self._remove(video_id, run_id):
            self.client.delete_message(QueueUrl=self.queue_url, ReceiptHandle=receipt)
            return True
        self.client.change_message_visibility(QueueUrl=self.queue_url, ReceiptHandle=receipt, VisibilityTimeout=0)
        return False

    def _remove(self, video_id: str, run_id: str) -> bool:
        unclaimed = (VideoRow.id == video_id, VideoRow.state == VideoState.UPLOADED, VideoRow.attempt == 0)
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
