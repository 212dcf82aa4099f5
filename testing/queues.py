"""Create SQS queues for tests, and read their messages and counts.

Each queue has a unique name and a separate dead-letter queue.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from dataclasses import dataclass, field
from typing import Any

from testing.emulator import sqs_client
from testing.polling import until


@dataclass(frozen=True)
class TestQueue:
    """An SQS queue of a test, with its dead-letter queue.

    `client` is a boto3 client. `dead_letter_url` is None if there is no dead-letter queue.
    """

    __test__ = False

    client: Any
    name: str
    url: str
    dead_letter_url: str | None
    endpoint_url: str

    def counts(self) -> dict[str, int]:
        """Return the numbers of messages, by the keys `visible`, `in_flight` and `dead` (dead-lettered)."""
        counts = self._read(self.url)
        counts["dead"] = self._read(self.dead_letter_url)["visible"] if self.dead_letter_url else 0
        return counts

    def receive_dead_lettered(self) -> list[dict[str, str]]:
        """Receive all dead-lettered messages. Return a mapping with `body` and `reason` for each message.

        `reason` says why a worker moved the message to the dead-letter queue. `reason` is '' if SQS moved the message.
        """
        messages: list[dict[str, str]] = []
        while batch := self._receive(self.dead_letter_url):
            messages += [{"body": m["Body"], "reason": _reason(m)} for m in batch]
        return messages

    def _receive(self, url: str | None) -> list[Any]:
        options = {"MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"], "VisibilityTimeout": 60}
        return list(self.client.receive_message(QueueUrl=url, **options).get("Messages", []))

    def _read(self, url: str) -> dict[str, int]:
        attributes = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return {
            "visible": int(attributes["ApproximateNumberOfMessages"]),
            "in_flight": int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        }


def _reason(message: dict[str, Any]) -> str:
    return str(message.get("MessageAttributes", {}).get("aforo_reason", {}).get("StringValue", ""))


@dataclass
class QueueFactory:
    """Creator of SQS queues with unique names. Each call, such as `QueueFactory(url)(30)`, creates one queue.

    The arguments of the call are the visibility timeout in seconds and the number of receives after which SQS
    dead-letters a message. With None for this number, the queue has no dead-letter queue.
    """

    endpoint_url: str
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __call__(self, visibility_timeout_seconds: int = 30, max_receive_count: int | None = 8) -> TestQueue:
        client = sqs_client(self.endpoint_url)
        name = f"t{os.getpid()}-{time.monotonic_ns()}-{next(self.numbers)}"
        attributes = {"VisibilityTimeout": str(visibility_timeout_seconds), "ReceiveMessageWaitTimeSeconds": "1"}
        dead_letter_url = None
        if max_receive_count is not None:
            dead_letter_url = client.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
            arn = client.get_queue_attributes(QueueUrl=dead_letter_url, AttributeNames=["QueueArn"])["Attributes"]
            policy = {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": str(max_receive_count)}
            attributes["RedrivePolicy"] = json.dumps(policy)
        url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return TestQueue(client, name, url, dead_letter_url, self.endpoint_url)


def take(queue) -> str:
    """Receive the only message of a queue, delete the message from the queue and return its body.

    Raise AssertionError if no message arrives within 30 s.
    """
    messages = until(
        lambda: queue.client.receive_message(QueueUrl=queue.url, VisibilityTimeout=30).get("Messages"), "a message"
    )
    queue.client.delete_message(QueueUrl=queue.url, ReceiptHandle=messages[0]["ReceiptHandle"])
    return str(messages[0]["Body"])
