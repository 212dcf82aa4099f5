"""Read the redrive policy of an SQS queue, and find the URL of its dead-letter queue.

After a number of receives that the policy names, SQS moves a message to the dead-letter queue.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RedrivePolicy:
    """Redrive policy of an SQS queue.

    `dead_letter_arn` is the ARN of the dead-letter queue. After `max_receive_count` receives, SQS moves a message to
    the dead-letter queue.
    """

    dead_letter_arn: str
    max_receive_count: int

    @classmethod
    def of(cls, attributes: Mapping[Any, str]) -> RedrivePolicy | None:
        """Read the redrive policy from the attributes of a queue.

        Return None if the policy is missing or incomplete.
        """
        policy = json.loads(attributes.get("RedrivePolicy") or "{}")
        arn, count = policy.get("deadLetterTargetArn"), policy.get("maxReceiveCount")
        return None if arn is None or count is None else cls(arn, int(count))


def url_of_arn(client: Any, arn: str) -> str:
    """Ask SQS for the URL of the queue with this ARN. Errors of boto3 are not caught."""
    account, name = arn.split(":")[-2:]
    return str(client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"])
