"""Gives videos their final state whose messages were given up: by the transport, unread, or by SQS, received too often.

It reads the dead-letter queue, so it does not matter who moved a message there, or when. The letters stay for people.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.exc import SQLAlchemyError

from aforo.telemetry import event_channel
from aforo.telemetry.event_channel import Action
from core import sqs_queue
from core.errors import EnvironmentFault
from worker.claims import Ledger
from worker.payload import video_and_task_of

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

logger = logging.getLogger(__name__)
#: how long other readers do not see a letter that is being read: time for the longest look, of some 40,000 letters
READING_SECONDS = 60
#: the ids of a video and of its task; None of a letter that names none
Named = tuple[str, str] | None
#: a letter that came while another was removed leaves the count as it was
REREAD_SECONDS = 300.0


@dataclass
class DeadLetterWatch:
    """Looks whether there are new letters, in a thread of its own; `discard` removes outputs nobody will want.

    The database is never open while this process forks: a child that inherits an open SQLite file shares its locks.
    """

    client: SQSClient
    queue_url: str
    ledger: Ledger
    discard: Callable[[Iterable[str]], None]
    _settled: set[str] = field(default_factory=set)
    _settled_count: int = 0
    _read_at: float = field(default_factory=time.monotonic)
    _database: threading.Lock = field(default_factory=threading.Lock)

    def start(self, pause_seconds: float) -> None:
        """Look every so often, for as long as this process lives."""
        release = self._database.release
        os.register_at_fork(before=self._database.acquire, after_in_parent=release, after_in_child=release)
        threading.Thread(target=self._watch, args=(pause_seconds,), name="dead-letters", daemon=True).start()

    def look(self) -> None:
        """Fail the videos of new letters; where SQS or the database is away, the next look will."""
        try:
            self._look()
        except (EnvironmentFault, ClientError, BotoCoreError, SQLAlchemyError) as error:
            event_channel.count_survived(Action.WATCH_DEAD_LETTERS)
            logger.warning("could not look after dead letters: %s", error)

    def _watch(self, pause_seconds: float) -> None:
        while True:
            time.sleep(pause_seconds)
            self.look()

    def _look(self) -> None:
        arn = sqs_queue.read_attributes(self.client, self.queue_url).dead_letter_arn
        if arn is None:
            return
        url = sqs_queue.url_of_arn(self.client, arn)
        waiting = sqs_queue.read_attributes(self.client, url).total
        if waiting == self._settled_count and time.monotonic() - self._read_at < REREAD_SECONDS:
            return
        letters = self._read(url, waiting)
        settled = {number for number, named in letters.items() if number in self._settled or self._settle(named)}
        is_whole = len(letters) >= waiting or settled == self._settled  # what others hold for long is not waited for
        self._settled_count = waiting if is_whole and len(settled) == len(letters) else -1
        self._settled, self._read_at = settled, time.monotonic()

    def _read(self, url: str, count: int) -> dict[str, Named]:
        """Return what letters name, by message id: some `count`; each is visible again for others when this returns."""
        found: dict[str, Named] = {}
        handles: list[list[str]] = []
        try:
            while len(found) < count and (letters := self._receive(url)):
                handles.append([letter["ReceiptHandle"] for letter in letters])
                if found.keys() >= {letter["MessageId"] for letter in letters}:
                    break  # they come again: this takes too long
                found |= {letter["MessageId"]: video_and_task_of(letter["Body"]) for letter in letters}
        finally:
            for batch in handles:
                self._show(url, batch)
        return found

    def _receive(self, url: str) -> list[MessageTypeDef]:
        return self.client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=READING_SECONDS, WaitTimeSeconds=1
        ).get("Messages", [])

    def _show(self, url: str, handles: list[str]) -> None:
        self.client.change_message_visibility_batch(
            QueueUrl=url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for number, handle in enumerate(handles)
            ],
        )

    def _settle(self, named: Named) -> bool:
        """Fail the video a letter names; say whether there is nothing left to do."""
        if named is None:
            return True
        with self._database:
            lost = self.ledger.bury(*named)
        self.discard(lost or ())
        return lost is not None
