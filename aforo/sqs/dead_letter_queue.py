"""Move invalid messages to the dead-letter queue, with the reason.

The calls run in the worker's event loop, so they have short timeouts and do not raise.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from aforo.sqs.message import ReceivedMessage
from aforo.sqs.observer import InvalidReason, Observer, Operation
from aforo.sqs.redelivery import ClientOf
from aforo.sqs.redrive_policy import RedrivePolicy, url_of_arn

logger = logging.getLogger(__name__)
#: how long a redrive policy is cached
POLICY_SECONDS = 300.0


@dataclass
class DeadLetterQueue:
    """Dead-letter queues named by the redrive policies of the consumed queues."""

    client_of: ClientOf
    delete: Callable[[ReceivedMessage], None]
    observer: Observer
    _targets: dict[str, tuple[str | None, float]] = field(default_factory=dict)  # queue URL -> its target, when read

    def move(self, message: ReceivedMessage, body: str, reason: InvalidReason) -> bool:
        """Move the message and return True. Without a dead-letter queue, leave the message in its queue.

        Defect: kombu acknowledges a message that it cannot decode. The message is lost even if the queue has a redrive
        policy.
        """
        note = {"aforo_reason": {"DataType": "String", "StringValue": reason.value}}
        try:
            target = self._target(message)
            if target is None:
                return False
            self.client_of(message.queue).send_message(QueueUrl=target, MessageBody=body, MessageAttributes=note)
        except (ClientError, BotoCoreError) as error:
            self.observer.handled_error(Operation.DEAD_LETTER)
            logger.warning("could not dead-letter a message (%s), SQS will redeliver it: %s", reason, error)
            return False
        self.delete(message)
        return True

    def is_configured_for(self, message: ReceivedMessage) -> bool:
        """Return True if SQS moves the messages of this queue to a dead-letter queue.

        Also return True if the redrive policy cannot be read, so that the caller does not delete the message.
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
