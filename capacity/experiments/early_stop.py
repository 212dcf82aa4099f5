"""Stop a burst early: detect that X_sat is known precisely enough, and cancel the queued videos.

No video is ever both cancelled and processed (docs/adr/0031).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import delete, select

from capacity.estimators.interval import Floats, t_half_width
from capacity.estimators.slots import Executions
from capacity.estimators.throughput import COLD_GENERATIONS, slot_cycles
from core.database import Sessions
from core.models import RunRow, VideoRow
from core.video import VideoState

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

MINIMUM_VIDEOS = 12
TARGET_PRECISION = 0.05
#: stop after this many receives without a message of these runs; only a long poll asks all servers of SQS
EMPTY_RECEIVES = 2
#: visibility timeout of other messages while we hold them; also their delay if we are killed
HOLD_SECONDS = 120
BATCH_MESSAGES = 10


def knows_enough(executions: Executions, slots: int, unfinished_since: float | None) -> bool:
    """Return True if the X_sat of a running burst is known precisely enough to stop the burst.

    `executions` holds the burst's executions so far, on `slots` slots. `unfinished_since` is the start of the earliest
    running execution in epoch seconds, or None if no execution is running.
    """
    cycles = slot_cycles(executions, slots)
    # of the later starts only short executions have ended; the first of each slot may be cold
    before = executions.finished().started_at < (math.inf if unfinished_since is None else unfinished_since)
    fewest = max(MINIMUM_VIDEOS, (COLD_GENERATIONS - 2) * slots)
    return may_stop(cycles.cycle_seconds[before & ~cycles.is_first], fewest)


def may_stop(cycle_seconds: Floats, minimum: int = MINIMUM_VIDEOS, target: float = TARGET_PRECISION) -> bool:
    """Return True if there are at least `minimum` finished slot cycles, with a precisely known mean.

    `cycle_seconds` is in the order of the starts, with NaN for an unfinished cycle. Cycles after the first NaN are
    ignored. A `target` of 0.05 allows a 95 % interval of ±5 %.
    """
    prefix = finished_prefix(cycle_seconds)
    return prefix.size >= minimum and precision(prefix) <= target


def finished_prefix(cycle_seconds: Floats) -> Floats:
    """Return the slot cycles that started before the first unfinished slot cycle.

    `cycle_seconds` is in the order of the starts, with NaN for an unfinished cycle.
    """
    unfinished = np.flatnonzero(np.isnan(cycle_seconds))
    # of the later cycles only short ones have finished, so their mean would be too low
    return cycle_seconds[: unfinished[0]] if unfinished.size else cycle_seconds


def precision(cycle_seconds: Floats) -> float:
    """Return how precisely the mean of these slot cycles is known: 0.05 is a 95 % interval of ±5 %.

    Return NaN for fewer than two cycles.
    """
    return t_half_width(cycle_seconds) / float(cycle_seconds.mean()) if cycle_seconds.size > 1 else float("nan")


@dataclass(frozen=True)
class QueuedVideos:
    """Access to an SQS queue and the database, to cancel videos that wait in the queue."""

    client: SQSClient
    queue_url: str
    sessions: Sessions

    def cancel(self, run_ids: Collection[str]) -> int:
        """Cancel the queued videos of these runs. Return the number of cancelled videos.

        The message and the database row of each cancelled video are deleted, and the `count` of its run is reduced by
        one. A video that a worker has claimed is not cancelled. Messages of other videos stay hidden from the workers
        until this method ends.
        """
        total = fruitless = 0
        others: list[str] = []
        try:
            while fruitless < EMPTY_RECEIVES:
                cancelled = 0
                for message in self._receive():
                    if self._cancel_one(message, run_ids):
                        cancelled += 1
                    else:
                        # hidden until the end: else this loop receives it until SQS moves it to the dead-letter queue
                        others.append(message["ReceiptHandle"])
                total, fruitless = total + cancelled, 0 if cancelled else fruitless + 1
        finally:
            self._make_visible(others)
        return total

    def _receive(self) -> Sequence[Any]:
        answer = self.client.receive_message(
            QueueUrl=self.queue_url,
            MaxNumberOfMessages=BATCH_MESSAGES,
            WaitTimeSeconds=1,
            VisibilityTimeout=HOLD_SECONDS,
        )
        return answer.get("Messages", [])

    def _cancel_one(self, message: Any, run_ids: Collection[str]) -> bool:
        """Delete the video's row, then its message. Return True if the video was cancelled.

        If this process is killed between the two steps, a worker rejects the message. In the reverse order the video
        would wait forever.
        """
        video_id, run_id = video_of(message["Body"])
        if run_id not in run_ids or not self._remove(video_id, run_id):
            return False
        self.client.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return True

    def _make_visible(self, receipt_handles: Sequence[str]) -> None:
        """Make the messages visible immediately.

        A message whose receipt handle has expired is visible already.
        """
        for first in range(0, len(receipt_handles), BATCH_MESSAGES):
            batch = enumerate(receipt_handles[first : first + BATCH_MESSAGES])
            self.client.change_message_visibility_batch(
                QueueUrl=self.queue_url,
                Entries=[{"Id": str(k), "ReceiptHandle": handle, "VisibilityTimeout": 0} for k, handle in batch],
            )

    def _remove(self, video_id: str, run_id: str) -> bool:
        unclaimed = (VideoRow.id == video_id, VideoRow.state == VideoState.UPLOADED, VideoRow.execution_number == 0)
        with self.sessions.begin() as session:
            uploaded_at = session.scalar(select(VideoRow.uploaded_at).where(*unclaimed))
            if not session.execute(delete(VideoRow).where(*unclaimed)).rowcount:  # type: ignore[attr-defined]
                return False
            run = session.get_one(RunRow, run_id, with_for_update=True)
            run.environment = _after_cancelling(run, uploaded_at or run.created_at)
            run.count -= 1
            return True


def _after_cancelling(run: RunRow, uploaded_at: float) -> dict[str, Any]:
    """Return the run's environment with the requested count and the mean upload time of cancelled videos.

    S of an interrupted run needs the upload times: its cancelled videos have waited, too.
    """
    environment = {"asked_count": run.count, **run.environment}
    before = environment["asked_count"] - run.count
    mean = environment.get("cancelled_uploaded_at_mean", uploaded_at)
    return environment | {"cancelled_uploaded_at_mean": mean + (uploaded_at - mean) / (before + 1)}


def video_of(body: str) -> tuple[str, str]:
    """Return the video id and the run id in the body of a Celery message that the injector sent.

    Both are empty strings if the injector did not send the message.
    """
    try:
        envelope = json.loads(base64.b64decode(body))
        _args, kwargs, _embed = json.loads(base64.b64decode(envelope["body"]))
        return str(kwargs["video_id"]), str(kwargs["run_id"])
    except (ValueError, KeyError, TypeError):
        return "", ""
