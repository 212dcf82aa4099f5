"""Send batches of tasks to SQS in parallel, and write the rows of their videos to the database.

The rows are inserted before a batch is sent, and get the send time afterwards. Calls to SQS run in threads. Only the
calling thread writes to the database, because SQLite has one writer at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import insert, update

from core.database import Sessions
from core.models import RunRow, VideoRow
from injector.senders import BATCH_SIZE, Batch, NewVideo, Sender

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

#: Calls to SQS at the same time. botocore keeps 10 connections.
MOST_CALLS = 10
#: Interval between heartbeats of the run. A run without one for `core.run.HEARTBEAT_SECONDS` is dead.
HEARTBEAT_INTERVAL_SECONDS = 10.0


class BatchMaker(Protocol):
    """Interface of the classes that make the database rows and the task messages of videos.

    One such class makes them for our reference worker, and another makes them for an app under test.
    """

    @property
    def sender(self) -> Sender:
        """Return the object that sends the messages to the SQS queue."""

    @property
    def sessions(self) -> Sessions:
        """Return the factory of database sessions, for Aforo's own database."""

    def make(self, videos: Sequence[NewVideo]) -> Batch:
        """Return a batch with these videos: the values of their rows in Aforo's database, and their messages.

        The caller of this method inserts the rows.
        """

    def encode(self, batch: Batch) -> dict[str, str]:
        """Return the SQS message body of each video in a batch, by video id.

        Each body contains the current time, which becomes the send time.
        """


@dataclass(frozen=True)
class SentBatch:
    """A batch of tasks that SQS has accepted. `sent_at` is the epoch time at which SQS accepted the batch."""

    batch: Batch
    sent_at: float


class ParallelSender:
    """Context manager that sends batches of tasks, with several SQS calls at the same time.

    `on_sent` is called with the task ids of each batch that SQS has accepted. The methods `send` and `rest` also write
    the heartbeat of the run, at most every 10 s. The end of the block waits for all calls. Then the error of a batch
    that could not be sent is raised.
    """

    def __init__(self, maker: BatchMaker, run_id: str, on_sent: Callable[[list[str]], None]) -> None:
        self._maker, self._run_id, self._on_sent = maker, run_id, on_sent
        self._stopping, self._calls = Event(), set[Future[SentBatch]]()
        self._threads = ThreadPoolExecutor(MOST_CALLS, "send")
        self._heartbeat_at = 0.0

    def __enter__(self) -> ParallelSender:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if kind is not None:
            self._stopping.set()
        self._threads.shutdown(wait=True)
        error = self._confirm()
        if error is not None and kind is None:
            raise error

    def send(self, videos: Sequence[NewVideo]) -> None:
        """Commit the rows of up to ten videos, then start an SQS call for their tasks in a thread.

        If `MOST_CALLS` calls are running, first wait until one ends. Raise an AforoError if an earlier batch could not
        be sent.
        """
        while len(self._calls) >= MOST_CALLS:
            self.rest(None)
        batch = self._maker.make(videos)
        error = self._confirm(batch)
        bodies = self._maker.encode(batch)
        self._calls.add(self._threads.submit(self._call, batch, bodies))
        if error is not None:
            raise error

    def rest(self, seconds: float | None) -> None:
        """Wait up to `seconds` for the end of a running SQS call. Then write the send times of sent batches.

        If `seconds` is None, wait without a limit. If no call is running, sleep for `seconds`, or not at all if
        `seconds` is None. Raise an AforoError if a batch could not be sent.
        """
        if self._calls:
            wait(self._calls, seconds, FIRST_COMPLETED)
        else:
            time.sleep(seconds or 0.0)
        error = self._confirm()
        if error is not None:
            raise error

    def _call(self, batch: Batch, bodies: dict[str, str]) -> SentBatch:
        self._maker.sender.send(bodies, self._stopping)
        return SentBatch(batch, time.time())

    def _confirm(self, new: Batch | None = None) -> BaseException | None:
        """Confirm the batches that are sent and insert the rows of `new`, in one transaction.

        Return the error of a batch that failed.
        """
        ended = {call for call in self._calls if call.done()}
        self._calls -= ended
        errors = [error for call in ended if (error := call.exception()) is not None]
        sent = [call.result() for call in ended if call.exception() is None]
        if new is not None or sent or self._is_heartbeat_due():
            with self._maker.sessions.begin() as session:
                self._write(session, sent, new)
        for each in sent:
            self._on_sent(each.batch.task_ids)
        return errors[0] if errors else None

    def _write(self, session: Session, sent: Sequence[SentBatch], new: Batch | None) -> None:
        for each in sent:
            rows = update(VideoRow).where(VideoRow.id.in_(each.batch.video_ids))
            session.execute(rows.values(sent_at=each.sent_at))
        if new is not None:
            session.execute(insert(VideoRow), new.rows)
            self._store_facts(session, new.app_facts)
        if self._is_heartbeat_due():
            self._heartbeat_at = time.time()
            run = update(RunRow).where(RunRow.id == self._run_id)
            session.execute(run.values(heartbeat_at=self._heartbeat_at))

    def _store_facts(self, session: Session, facts: dict[str, Any]) -> None:
        if facts:
            run = session.get_one(RunRow, self._run_id)
            run.environment = {**run.environment, "app": {**run.environment["app"], **facts}}

    def _is_heartbeat_due(self) -> bool:
        return time.time() - self._heartbeat_at >= HEARTBEAT_INTERVAL_SECONDS


def send_videos(maker: BatchMaker, videos: Sequence[NewVideo]) -> list[str]:
    """Send these videos of one run as fast as possible. Return the ids of their tasks.

    The order of the ids can differ from that of the videos. `maker` makes the rows and messages of the videos. Raise an
    AforoError if SQS rejects a message.
    """
    task_ids: list[str] = []
    with ParallelSender(maker, videos[0].run_id, task_ids.extend) as sender:
        for first in range(0, len(videos), BATCH_SIZE):
            sender.send(videos[first : first + BATCH_SIZE])
    return task_ids
