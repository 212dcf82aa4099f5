"""Move invalid messages to the dead-letter queue, with the reason as an attribute.

A background thread moves the messages. The redrive policy of the queue names the dead-letter queue.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aforo.sqs.batch_threads import BatchThreads
from aforo.sqs.message import ReceivedMessage
from aforo.sqs.observer import InvalidReason, Observer, Operation
from aforo.sqs.redelivery import ClientOf, batch_error
from aforo.sqs.redrive_policy import RedrivePolicy, url_of_arn

logger = logging.getLogger(__name__)
#: how long a redrive policy is cached
POLICY_SECONDS = 300.0
#: how many messages may wait to be moved; more stay in their queue, whose redrive policy moves them
MOST_WAITING = 100
#: a batch above this size is split: SQS has accepted 256 KiB per call, and 1 MiB since 2025
LARGEST_BATCH_BYTES = 200 * 1024
CLOSE_SECONDS = 5.0


@dataclass(frozen=True)
class _Move:
    """One invalid message on its way to the dead-letter queue."""

    message: ReceivedMessage
    body: str
    reason: InvalidReason

    def entry(self, number: int) -> dict[str, Any]:
        """Return the SendMessageBatch entry that sends this invalid message to the dead-letter queue.

        `number` becomes the id of the entry.
        """
        note = {"aforo_reason": {"DataType": "String", "StringValue": self.reason.value}}
        return {"Id": str(number), "MessageBody": self.body, "MessageAttributes": note}


@dataclass
class DeadLetterQueue:
    """Move each invalid message to the dead-letter queue of its queue.

    The redrive policy of the queue names the dead-letter queue.
    """

    client_of: ClientOf
    delete: Callable[[ReceivedMessage], None]
    observer: Observer
    _targets: dict[str, tuple[str | None, float]] = field(default_factory=dict)  # queue URL -> its target, when read
    _moves: BatchThreads[_Move] = field(init=False)

    def __post_init__(self) -> None:
        self._moves = BatchThreads("dead-letters", self._move, threads=1)

    def move(self, message: ReceivedMessage, body: str, reason: InvalidReason) -> None:
        """Move an invalid message to the dead-letter queue, in the background.

        `body` is the body of the message. The moved message has `reason` in its attribute `aforo_reason`. The message
        stays in its queue if there is no dead-letter queue, if SQS rejects the move, or if 100 moves are waiting.
        """
        # corrects a defect: kombu acknowledges a message that it cannot decode, so SQS deletes the message
        if self._moves.count() >= MOST_WAITING:
            self.observer.handled_error(Operation.DEAD_LETTER)
        else:
            self._moves.add(message.queue_url, _Move(message, body, reason))

    def close(self) -> None:
        """Wait for at most 5 s until the waiting moves to the dead-letter queue are finished.

        Messages that are not moved by then stay in their queue.
        """
        self._moves.wait_until_empty(CLOSE_SECONDS)

    def _move(self, _url: str, moves: list[_Move]) -> None:
        for batch in _split(moves):
            try:
                moved = self._send(batch)
            except Exception as error:  # also a client that cannot be created: the thread goes on
                self._keep(batch, error)
                continue
            for move in moved:
                self.delete(move.message)

    def _send(self, batch: list[_Move]) -> list[_Move]:
        """Send the batch to the dead-letter queue. Return the moves that SQS accepted."""
        message = batch[0].message
        target = self._target(message)
        if target is None:
            return []
        entries = [move.entry(number) for number, move in enumerate(batch)]
        answer = self.client_of(message.queue).send_message_batch(QueueUrl=target, Entries=entries)
        failed = {int(entry["Id"]): entry for entry in answer.get("Failed") or ()}
        for number, entry in failed.items():
            self._keep([batch[number]], batch_error(entry, "SendMessageBatch"))
        return [move for number, move in enumerate(batch) if number not in failed]

    def _keep(self, batch: list[_Move], error: Exception) -> None:
        self.observer.handled_error(Operation.DEAD_LETTER)
        others = f" and {len(batch) - 1} more" if len(batch) > 1 else ""
        reason = batch[0].reason
        logger.warning("could not dead-letter a message (%s)%s, SQS will redeliver it: %s", reason, others, error)

    def is_configured_for(self, message: ReceivedMessage) -> bool:
        """Return True if the queue of this message has a dead-letter queue.

        Ask SQS for the redrive policy of the queue, unless the answer of the last 5 minutes is known. If the call
        fails, log and count the error, and return True: the caller deletes a message only after False.
        """
        try:
            return self._target(message) is not None
        except (ClientError, BotoCoreError) as error:
            self.observer.handled_error(Operation.REJECT)
            logger.warning("could not read the redrive policy, a rejected message stays in its queue: %s", error)
            return True

    def _target(self, message: ReceivedMessage) -> str | None:
        target, read_at = self._targets.get(message.queue_url, (None, -math.inf))
        if time.monotonic() - read_at > POLICY_SECONDS:
            target = self._read_target(message)
            self._targets[message.queue_url] = target, time.monotonic()
        return target

    def _read_target(self, message: ReceivedMessage) -> str | None:
        client = self.client_of(message.queue)
        answer = client.get_queue_attributes(QueueUrl=message.queue_url, AttributeNames=["RedrivePolicy"])
        policy = RedrivePolicy.of(answer.get("Attributes", {}))
        return None if policy is None else url_of_arn(client, policy.dead_letter_arn)


def _split(moves: list[_Move]) -> Iterator[list[_Move]]:
    """Yield the moves in batches whose bodies fit into one call."""
    batch: list[_Move] = []
    size_bytes = 0
    for move in moves:
        body_bytes = len(move.body.encode("utf-8", "replace"))
        if batch and size_bytes + body_bytes > LARGEST_BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
        batch.append(move)
        size_bytes += body_bytes
    if batch:
        yield batch
