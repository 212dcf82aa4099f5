"""Type of a received SQS message, for a worker's SQS transport and for its tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ReceivedMessage:
    """One delivery of an SQS message. Each delivery of the same message has its own receipt handle.

    `queue` is kombu's name of the queue. In a task, `queue` is the last part of the queue URL. `sent_at` is in epoch
    seconds, or None if SQS did not return the send time.
    """

    queue: str
    queue_url: str
    receipt_handle: str
    receive_count: int = 1
    sent_at: float | None = None
    message_id: str = ""

    @property
    def id(self) -> str:
        """Return the SQS message id, which all deliveries of a message share.

        If SQS returned no id, return the receipt handle, which only this delivery has.
        """
        return self.message_id or self.receipt_handle

    @classmethod
    def from_sqs(cls, entry: dict[str, Any], queue: str, queue_url: str) -> ReceivedMessage:
        """Create a ReceivedMessage from one message (`entry`) in SQS's answer to a receive call."""
        attributes = entry.get("Attributes") or {}
        sent = attributes.get("SentTimestamp")
        return cls(
            queue=queue,
            queue_url=queue_url,
            receipt_handle=entry["ReceiptHandle"],
            receive_count=int(attributes.get("ApproximateReceiveCount", 1)),
            sent_at=int(sent) / 1000 if sent else None,
            message_id=entry.get("MessageId") or "",
        )

    @classmethod
    def from_kombu(cls, message: Any, queue_names: dict[str, str]) -> ReceivedMessage | None:
        """Create a ReceivedMessage from kombu's message. Return None if kombu's message is not from SQS.

        `queue_names` maps kombu's names of the queues to their URLs.
        """
        url = message.delivery_info.get("sqs_queue")
        if url is None or not message.delivery_info.get("sqs_message"):
            return None
        # found by the URL, because a sender can write any routing key
        queue = next(name for name, known_url in queue_names.items() if known_url == url)
        return cls.from_sqs(message.delivery_info["sqs_message"], queue, url)

    @classmethod
    def from_request(cls, request: Any) -> ReceivedMessage | None:
        """Create a ReceivedMessage from the `self.request` of a running task.

        Return None if the broker is not SQS.
        """
        info = (request.properties or {}).get("delivery_info") or {}
        if not info.get("sqs_message"):
            return None
        url = info["sqs_queue"]
        return cls.from_sqs(info["sqs_message"], url.rpartition("/")[2], url)
