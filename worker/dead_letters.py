"""Gives videos their final state whose messages were given up: by the transport, unread, or by SQS, received too often.

It reads the dead-letter queue, so it does not matter who moved a message there, or when. The letters stay for people.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.exc import SQLAlchemyError

from pipeline import queue
from pipeline.errors import EnvironmentFault
from worker.envelope import video_named_in
from worker.ledger import Ledger

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

logger = logging.getLogger(__name__)
#: how long other readers do not see a letter that is being read, should we end meanwhile
READING_SECONDS = 10
#: a look holds up the event loop: of a queue that nobody cleared, it reads this much and, next time, some other part
MOST_RECEIVES = 20
#: a letter that came while another was removed leaves the count as it was
REREAD_SECONDS = 300.0


@dataclass
class DeadLetterWatch:
    """Looks whether there are new letters; `client` has short timeouts, for this runs in the worker's event loop."""

    client: SQSClient
    queue_url: str
    ledger: Ledger
    _settled_count: int = 0
    _read_at: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Fail the videos of new letters; where SQS or the database is away, the next look will."""
        try:
            self._look()
        except (EnvironmentFault, ClientError, BotoCoreError, SQLAlchemyError) as error:
            logger.warning("could not look after dead letters: %s", error)

    def _look(self) -> None:
        arn = queue.read_facts(self.client, self.queue_url).dead_letter_arn
        if arn is None:
            return
        url = queue.url_of_arn(self.client, arn)
        waiting = queue.read_facts(self.client, url).total
        if waiting == self._settled_count and time.monotonic() - self._read_at < REREAD_SECONDS:
            return
        settled = [self._settle(body) for body in self._read(url)]
        self._settled_count, self._read_at = waiting if all(settled) else -1, time.monotonic()

    def _read(self, url: str) -> list[str]:
        """Return the bodies of letters; each is visible again for others when this returns."""
        batches = []
        for _ in range(MOST_RECEIVES):
            found = self.client.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=READING_SECONDS, WaitTimeSeconds=0
            ).get("Messages", [])
            if not found:
                break
            batches.append(found)
        for batch in batches:
            self._show(url, batch)
        return [letter["Body"] for batch in batches for letter in batch]

    def _show(self, url: str, letters: list[MessageTypeDef]) -> None:
        self.client.change_message_visibility_batch(
            QueueUrl=url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": letter["ReceiptHandle"], "VisibilityTimeout": 0}
                for number, letter in enumerate(letters)
            ],
        )

    def _settle(self, body: str) -> bool:
        named = video_named_in(body)
        return named is None or self.ledger.bury(*named)
