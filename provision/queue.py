"""Create the SQS queue and its dead-letter queue, with the attributes that the worker requires."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from core.errors import EnvironmentFault
from core.settings import Queue
from core.sqs_queue import find_queue

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

RETENTION_SECONDS = 14 * 24 * 3600


def ensure_queue(client: SQSClient, settings: Queue) -> str:
    """Return the URL of the SQS queue that `settings` names. Create the queue if it is missing.

    The new queue gets a dead-letter queue. An existing queue is not changed. Raise EnvironmentFault if SQS does not
    answer.
    """
    try:
        return find_queue(client, settings.name)
    except EnvironmentFault as fault:
        if fault.__cause__ is not None:  # SQS did not answer
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


def _arn(client: SQSClient, url: str) -> str:
    return client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
