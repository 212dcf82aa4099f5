"""A message as SQS delivers it (replaced by the branch `sqs` at the merge)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ReceivedMessage:
    """One delivery of a message."""

    queue: str
    queue_url: str
    receipt_handle: str
    receive_count: int
    sent_at: float | None

    @classmethod
    def from_request(cls, request: Any) -> ReceivedMessage | None:
        """Return the message of the running task (`self.request`), None if its broker is not SQS."""
        delivery = (request.properties or {}).get("delivery_info") or {}
        message = delivery.get("sqs_message")
        if not message:
            return None
        attributes = message.get("Attributes", {})
        sent = attributes.get("SentTimestamp")
        count = int(attributes.get("ApproximateReceiveCount", 1))
        return cls("", delivery["sqs_queue"], message["ReceiptHandle"], count, int(sent) / 1000 if sent else None)
