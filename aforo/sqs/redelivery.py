"""Return a message to its queue, and recognise the SQS errors that no retry can solve.

The calls to SQS run in the worker's event loop, so they have short timeouts and do not raise.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aforo.sqs.backoff import backoff_seconds
from aforo.sqs.message import ReceivedMessage
from aforo.sqs.observer import Observer, Operation

logger = logging.getLogger(__name__)
LONGEST_REDELIVERY_SECONDS = 300.0

#: Permanent errors of one message: the message no longer exists, or its receipt handle has expired.
_PERMANENT = {"ReceiptHandleIsInvalid", "InvalidParameterValue", "InvalidIdFormat", "MessageNotInflight"}
#: Returns an SQS client with short timeouts for the queue with this kombu name.
ClientOf = Callable[[str], Any]


def redelivery_seconds(receive_count: int, first_seconds: float, jitter: float | None = None) -> int:
    """Return the seconds for which a message that returns to its queue stays invisible.

    The result is limit × (1 + jitter) / 2, rounded up. Here, limit = first_seconds × 2^(receive_count - 1), but at most
    LONGEST_REDELIVERY_SECONDS. If `jitter` is None, a random number from 0 to 1 is used.
    """
    return math.ceil(backoff_seconds(receive_count - 1, first_seconds, LONGEST_REDELIVERY_SECONDS, jitter))


def make_visible(client_of: ClientOf, message: ReceivedMessage, delay_seconds: int, observer: Observer) -> None:
    """Return a message to its queue, so that SQS delivers it again after `delay_seconds`.

    An error of SQS is logged, and counted by `observer`. The message then becomes visible when its visibility timeout
    ends.
    """
    try:
        client_of(message.queue).change_message_visibility(
            QueueUrl=message.queue_url, ReceiptHandle=message.receipt_handle, VisibilityTimeout=delay_seconds
        )
    except (ClientError, BotoCoreError) as error:
        observer.handled_error(Operation.MAKE_VISIBLE)
        logger.warning("could not return a message, its visibility timeout will: %s", error)


def is_permanent(error: Exception) -> bool:
    """Return True if this error of SQS means that every retry for the same message will fail too."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"].rpartition(".")[2] in _PERMANENT


def batch_error(entry: dict[str, Any], operation: str) -> ClientError:
    """Return a boto3 ClientError for one message that failed in a batch call to SQS.

    `entry` is the message's entry in the list `Failed` of SQS's answer. `operation` is the name of the SQS call, for
    the text of the error.
    """
    return ClientError({"Error": {"Code": entry.get("Code", ""), "Message": entry.get("Message", "")}}, operation)
