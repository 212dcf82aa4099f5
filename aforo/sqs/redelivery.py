"""What becomes of a message nobody could work on: visible again, or in the dead-letter queue with a reason.

Every call here runs in the worker's event loop, so each has short timeouts and none raises.
"""

from __future__ import annotations

import json
import logging
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from aforo.telemetry import event_channel
from aforo.telemetry.label_values import Operation
from core.sqs_queue import url_of_arn

logger = logging.getLogger(__name__)
SHORT = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
REDRIVE_READ_SECONDS = 300.0

LONGEST_BACK_OFF_SECONDS = 300.0

#: Refusals of one message that no second try will change: it is gone, or its receipt is too old.
_HOPELESS = {"ReceiptHandleIsInvalid", "InvalidParameterValue", "InvalidIdFormat", "MessageNotInflight"}
#: The client of a queue, by the name kombu knows it by.
Clients = Callable[[str], Any]


@dataclass(frozen=True)
class Delivery:
    """A received message as SQS identifies it."""

    queue: str
    queue_url: str
    handle: str


@dataclass
class DeadLetters:
    """Moves messages to the dead-letter queue that a queue's redrive policy names."""

    clients: Clients
    delete: Callable[[Delivery], None]
    _targets: dict[str, tuple[str | None, float]] = field(default_factory=dict)

    def take(self, delivery: Delivery, body: str, reason: str) -> bool:
        """Move the message and say whether it worked; without a dead-letter queue SQS's own rules apply.

        Defect: kombu acknowledges what it cannot decode, so it is lost, redrive policy or not.
        """
        note = {"aforo_reason": {"DataType": "String", "StringValue": reason}}
        try:
            target = self._target(delivery)
            if target is None:
                return False
            self.clients(delivery.queue).send_message(QueueUrl=target, MessageBody=body, MessageAttributes=note)
        except (ClientError, BotoCoreError) as error:
            event_channel.handled_error(Operation.DEAD_LETTER)
            logger.warning("could not dead-letter a message (%s), SQS will redeliver it: %s", reason, error)
            return False
        self.delete(delivery)
        return True

    def catches(self, delivery: Delivery) -> bool:
        """Say whether SQS moves what it delivered often enough; where it cannot be asked, a delete is not risked."""
        try:
            return self._target(delivery) is not None
        except (ClientError, BotoCoreError) as error:
            event_channel.handled_error(Operation.REJECT)
            logger.warning("could not read the redrive policy, a rejected message stays in its queue: %s", error)
            return True

    def _target(self, delivery: Delivery) -> str | None:
        known = self._targets.get(delivery.queue_url)
        if known is None or time.monotonic() - known[1] > REDRIVE_READ_SECONDS:
            known = self._targets[delivery.queue_url] = (self._find(delivery), time.monotonic())
        return known[0]

    def _find(self, delivery: Delivery) -> str | None:
        client = self.clients(delivery.queue)
        found = client.get_queue_attributes(QueueUrl=delivery.queue_url, AttributeNames=["RedrivePolicy"])
        policy = json.loads(found.get("Attributes", {}).get("RedrivePolicy") or "{}")
        if "deadLetterTargetArn" not in policy:
            return None
        return url_of_arn(client, policy["deadLetterTargetArn"])


def back_off_seconds(receive_count: int, first_seconds: float, jitter: float | None = None) -> int:
    """Return how long a message that was given back stays away: doubling by delivery, capped, half of it by chance."""
    share = random.random() if jitter is None else jitter  # noqa: S311 (spreads retries, hides nothing)
    longest = min(LONGEST_BACK_OFF_SECONDS, first_seconds * 2.0 ** min(receive_count - 1, 20))
    return math.ceil(longest * (1 + share) / 2)


def show_again(clients: Clients, delivery: Delivery, delay_seconds: int) -> None:
    """Make the message visible after a delay; where that fails, its visibility timeout will."""
    try:
        clients(delivery.queue).change_message_visibility(
            QueueUrl=delivery.queue_url, ReceiptHandle=delivery.handle, VisibilityTimeout=delay_seconds
        )
    except (ClientError, BotoCoreError) as error:
        event_channel.handled_error(Operation.MAKE_VISIBLE)
        logger.warning("could not return a message, its visibility timeout will: %s", error)


def is_hopeless(error: Exception) -> bool:
    """Say whether SQS refused this one message for good."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"].rpartition(".")[2] in _HOPELESS
