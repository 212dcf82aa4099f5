"""Detect videos that the queue has lost: their messages no longer exist, and no worker works on them.

Messages are lost if an emulator restarts, if the queue is deleted or purged, or if the run is longer than the retention
period of the queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from aforo.sqs.redrive_policy import url_of_arn
from core import sqs_queue
from core.database import Sessions
from core.errors import RunFailed
from core.models import RunRow, VideoRow
from core.video import FINAL_STATES

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

LOOK_SECONDS = 5.0
#: the counts of SQS are late by up to a minute
SHORTEST_SILENCE_SECONDS = 120.0
#: the key of the number of lost videos in `RunRow.environment`
LOST_VIDEOS = "lost_videos"
REMEDY = (
    "see whether the queue was deleted, purged or restarted, or deletes messages before the run is over "
    "(`make doctor`), then inject again"
)


@dataclass(frozen=True)
class Look:
    """Counts at one moment: messages, dead-lettered messages, and a run's open videos and live claims.

    `messages` counts the messages in the queue. `dead_letters` counts those in the dead-letter queue. A claim is live
    until its lease expires.
    """

    messages: int
    dead_letters: int
    open_videos: int
    live_claims: int


class LossWatch:
    """Watch the queue during a run, and decide whether the queue has lost the run's open videos.

    `look` returns the current counts, or None if SQS or the database does not answer. The open videos count as lost
    when all of the following has been true for `silence_seconds` (at least 120 s):

    1. The function `look` returns counts, and the queue holds no message.
    2. No open video ends, and no further message is dead-lettered.
    3. No claim of the run's open videos is live.
    """

    def __init__(
        self,
        look: Callable[[], Look | None],
        silence_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look, self._clock = look, clock
        self._silence_seconds = max(silence_seconds, SHORTEST_SILENCE_SECONDS)
        self._next_at = self._since = clock()
        self._dead_letters = self._open_videos = 0

    def lost_videos(self) -> int:
        """Return how many videos the queue has lost, or 0 while a loss is not certain.

        Call this again and again. It calls the function `look` at most once every 5 s, and returns 0 in between.
        """
        now = self._clock()
        if now < self._next_at:
            return 0
        self._next_at = now + LOOK_SECONDS
        look = self._look()
        if look is None or not self._is_silent(look):
            self._since = now
        return 0 if look is None or now - self._since < self._silence_seconds else look.open_videos

    def _is_silent(self, look: Look) -> bool:
        open_before, self._open_videos = self._open_videos, look.open_videos
        # compared with the last look, so that one dead-lettered message does not end the watch for the whole run
        dead_before, self._dead_letters = self._dead_letters, look.dead_letters
        is_idle = not look.messages and not look.live_claims and look.dead_letters <= dead_before
        return is_idle and look.open_videos == open_before > 0


def look_at(client: SQSClient, queue_url: str, sessions: Sessions, run_id: str) -> Look | None:
    """Count the messages in the queue and the DLQ, and the open videos and live claims of a run.

    Return None if SQS or the database does not answer.
    """
    try:
        messages, dead_letters = _count_messages(client, queue_url)
        return Look(messages, dead_letters, *_count_videos(sessions, run_id))
    except (ClientError, BotoCoreError, SQLAlchemyError):
        return None


def require_no_loss(watch: LossWatch, sessions: Sessions, run_id: str) -> None:
    """Raise RunFailed if the queue has lost videos of the run `run_id`, as `watch` decides.

    The number of lost videos is first stored in the run's row. If no videos are lost, do nothing.
    """
    if not (lost := watch.lost_videos()):
        return
    with sessions.begin() as session:
        run = session.get_one(RunRow, run_id)
        run.environment = {**run.environment, LOST_VIDEOS: lost}
        count = run.count
    raise RunFailed("run", f"{lost} of {count} videos were lost by the queue", REMEDY, value=run_id)


def _count_messages(client: SQSClient, queue_url: str) -> tuple[int, int]:
    """Return the messages of the queue and of its dead-letter queue. A queue that does not exist holds none."""
    try:
        queue = sqs_queue.queue_attributes(client, queue_url)
    except client.exceptions.QueueDoesNotExist:
        return 0, 0
    if queue.dead_letter_arn is None:
        return queue.total, 0
    try:
        dead_letter_url = url_of_arn(client, queue.dead_letter_arn)
        return queue.total, sqs_queue.queue_attributes(client, dead_letter_url).total
    except client.exceptions.QueueDoesNotExist:
        return queue.total, 0


def _count_videos(sessions: Sessions, run_id: str) -> tuple[int, int]:
    is_open = (VideoRow.run_id == run_id, VideoRow.state.not_in([state.value for state in FINAL_STATES]))
    with sessions() as session:
        open_videos = session.scalar(select(func.count()).where(*is_open)) or 0
        live_claims = session.scalar(select(func.count()).where(*is_open, VideoRow.lease_until > time.time())) or 0
    return open_videos, live_claims
