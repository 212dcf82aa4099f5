"""The SQS queue and its dead-letter queue: made right where we may, found and explained where we may not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from core.aws import aws_fault
from core.errors import EnvironmentFault
from core.settings import Queue as QueueSettings

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

RETENTION_SECONDS = 14 * 24 * 3600


@dataclass(frozen=True)
class QueueFacts:
    """What SQS says of a queue; `max_receive_count` and `dead_letter_arn` are None without a redrive policy."""

    url: str
    visible: int
    in_flight: int
    delayed: int
    visibility_timeout_seconds: int
    max_receive_count: int | None
    dead_letter_arn: str | None

    @property
    def total(self) -> int:
        """Return all messages the queue holds (approximate, as SQS counts)."""
        return self.visible + self.in_flight + self.delayed


def find_queue(client: SQSClient, name: str) -> str:
    """Return the URL of queue `name`; raise EnvironmentFault when SQS does not know it or does not answer."""
    try:
        return client.get_queue_url(QueueName=name)["QueueUrl"]
    except client.exceptions.QueueDoesNotExist:
        raise EnvironmentFault(
            "SQS queue",
            "it does not exist",
            "correct SQS_QUEUE_NAME, or make it: `make up` does on an emulator, for AWS see docs/operating.md",
            value=name,
        ) from None
    except (ClientError, BotoCoreError) as error:
        raise _unreachable(client, error) from error


def url_of_arn(client: SQSClient, arn: str) -> str:
    """Return the URL of the queue with that ARN; raise what SQS answers."""
    account, name = arn.split(":")[-2:]
    return client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]


def ensure_queue(client: SQSClient, settings: QueueSettings) -> str:
    """Create the queue and its dead-letter queue where missing, with our contract; return the queue's URL."""
    try:
        return find_queue(client, settings.name)
    except EnvironmentFault as fault:
        if fault.__cause__ is not None:
            raise
    dead_letter_url = client.create_queue(
        QueueName=settings.dead_letter_name, Attributes={"MessageRetentionPeriod": str(RETENTION_SECONDS)}
    )["QueueUrl"]
    redrive = {"deadLetterTargetArn": _arn(client, dead_letter_url), "maxReceiveCount": str(settings.max_receive_count)}
    attributes = {
        "VisibilityTimeout": str(settings.visibility_timeout_seconds),
        "ReceiveMessageWaitTimeSeconds": str(settings.long_poll_seconds),
        "RedrivePolicy": json.dumps(redrive),
    }
    return client.create_queue(QueueName=settings.name, Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]


def read_attributes(client: SQSClient, url: str) -> dict[str, str]:
    """Return all attributes of the queue at `url`; raise EnvironmentFault when SQS does not answer."""
    try:
        answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    except (ClientError, BotoCoreError) as error:
        raise _unreachable(client, error) from error
    return {str(name): value for name, value in answer.get("Attributes", {}).items()}


def read_facts(client: SQSClient, url: str) -> QueueFacts:
    """Return what SQS says of the queue at `url`; raise EnvironmentFault when it does not answer."""
    found = read_attributes(client, url)
    redrive = json.loads(found.get("RedrivePolicy") or "{}")
    return QueueFacts(
        url=url,
        visible=int(found["ApproximateNumberOfMessages"]),
        in_flight=int(found["ApproximateNumberOfMessagesNotVisible"]),
        delayed=int(found.get("ApproximateNumberOfMessagesDelayed", 0)),
        visibility_timeout_seconds=int(found["VisibilityTimeout"]),
        max_receive_count=int(redrive["maxReceiveCount"]) if redrive else None,
        dead_letter_arn=redrive.get("deadLetterTargetArn"),
    )


def _unreachable(client: SQSClient, error: Exception) -> EnvironmentFault:
    return aws_fault(error, "SQS", client.meta.endpoint_url)


def _arn(client: SQSClient, url: str) -> str:
    return client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
