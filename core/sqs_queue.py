"""Read the URL and the attributes of an SQS queue and of its dead-letter queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from aforo.sqs.redrive_policy import RedrivePolicy, url_of_arn
from core.aws import aws_fault
from core.errors import EnvironmentFault

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


@dataclass(frozen=True)
class QueueAttributes:
    """Attributes of an SQS queue. SQS's counts of messages are approximate.

    `max_receive_count` and `dead_letter_arn` are None without a redrive policy. `long_poll_seconds` is 0 for a queue
    without long polling.
    """

    url: str
    visible: int
    in_flight: int
    delayed: int
    visibility_timeout_seconds: int
    max_receive_count: int | None
    dead_letter_arn: str | None
    long_poll_seconds: int = 0
    retention_seconds: int | None = None

    @property
    def total(self) -> int:
        """Return the approximate number of all messages in the queue: visible, invisible and delayed."""
        return self.visible + self.in_flight + self.delayed


def find_queue(client: SQSClient, name: str) -> str:
    """Ask SQS for the URL of the queue `name`.

    Raise EnvironmentFault if the queue does not exist or SQS does not answer.
    """
    try:
        return client.get_queue_url(QueueName=name)["QueueUrl"]
    except client.exceptions.QueueDoesNotExist:
        remedy = "correct SQS_QUEUE_NAME, or create it: `make up` does so on an emulator, for AWS see docs/operating.md"
        raise EnvironmentFault("SQS queue", "it does not exist", remedy, value=name) from None
    except (ClientError, BotoCoreError) as error:
        raise _unreachable(client, error) from error


def read_attributes(client: SQSClient, url: str) -> QueueAttributes:
    """Ask SQS for the attributes of the queue at `url`. Raise EnvironmentFault if the call fails."""
    try:
        return queue_attributes(client, url)
    except (ClientError, BotoCoreError) as error:
        raise _unreachable(client, error) from error


def queue_attributes(client: SQSClient, url: str) -> QueueAttributes:
    """Ask SQS for the attributes of the queue at `url`. Raise the errors of boto3 unchanged.

    The function `read_attributes` raises EnvironmentFault instead of these errors.
    """
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]).get("Attributes", {})
    raw = {str(name): value for name, value in answer.items()}
    redrive = RedrivePolicy.of(raw)
    return QueueAttributes(
        url=url,
        visible=int(raw["ApproximateNumberOfMessages"]),
        in_flight=int(raw["ApproximateNumberOfMessagesNotVisible"]),
        delayed=int(raw.get("ApproximateNumberOfMessagesDelayed", 0)),
        visibility_timeout_seconds=int(raw["VisibilityTimeout"]),
        max_receive_count=redrive.max_receive_count if redrive else None,
        dead_letter_arn=redrive.dead_letter_arn if redrive else None,
        long_poll_seconds=int(raw.get("ReceiveMessageWaitTimeSeconds", 0)),
        retention_seconds=int(raw["MessageRetentionPeriod"]) if "MessageRetentionPeriod" in raw else None,
    )


def dead_letter_depth(client: SQSClient, queue: QueueAttributes) -> int:
    """Return the approximate number of messages in the dead-letter queue of `queue`.

    The result is 0 if `queue` has no dead-letter queue. Raise EnvironmentFault if SQS does not answer.
    """
    if queue.dead_letter_arn is None:
        return 0
    try:
        return queue_attributes(client, url_of_arn(client, queue.dead_letter_arn)).total
    except (ClientError, BotoCoreError) as error:
        raise _unreachable(client, error) from error


def _unreachable(client: SQSClient, error: Exception) -> EnvironmentFault:
    return aws_fault(error, "SQS", client.meta.endpoint_url)
