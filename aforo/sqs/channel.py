"""The hardened channel: kombu's SQS channel, extended to survive SQS failures and malformed messages.

The channel is for the pools prefork, threads and solo. With eventlet and gevent, kombu receives messages without an
event loop, in code that this channel does not correct. The corrected defects are those of kombu 5.7.0.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from kombu.transport import SQS

from aforo.sqs.connection import FailedPoll
from aforo.sqs.finishing import FinishingChannel
from aforo.sqs.message import ReceivedMessage
from aforo.sqs.observer import InvalidReason, PollResult
from aforo.sqs.timer_holds import LONGEST_HOLD_SECONDS, TimerHolds
from aforo.sqs.validation import InvalidMessage

logger = logging.getLogger(__name__)


class Channel(FinishingChannel):
    """SQS channel that hands valid messages to Celery, and moves invalid ones to the dead-letter queue.

    SQS can send the same response twice. The messages in it are handed to Celery only once.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._timer_holds = TimerHolds(self.short_client, self.visibility_timeout, self._hardening.observer)

    def close(self) -> None:
        """End the calls to SQS that hide messages of delayed tasks, then close the SQS channel.

        A task is delayed by Celery's option `countdown` or `eta`. Closing can take 10 seconds: see FinishingChannel.
        """
        self._timer_holds.close()
        super().close()

    def _on_messages_ready(self, queue: str, qname: str, messages: Any) -> int:
        """Count the poll and deliver its messages one by one. `queue` is the URL of the queue `qname`."""
        name = self.canonical_queue_name(qname)
        if isinstance(messages, FailedPoll):
            self._poll_failed(name, messages)
            return 0
        entries = messages.get("Messages") or []
        self._poll_succeeded(name, PollResult.MESSAGES if entries else PollResult.EMPTY)
        received = [(ReceivedMessage.from_sqs(entry, name, queue), entry) for entry in entries]
        if qname not in self.connection._callbacks:
            return self._release([message for message, _ in received])
        new = [(message, entry) for message, entry in received if not self._is_duplicate(message)]
        for message, entry in new:
            self._deliver_entry(message, qname, entry)
        return len(new)

    def _release(self, messages: list[ReceivedMessage]) -> int:
        """Return messages that arrived after the end of their consumer."""
        for message in messages:
            self._make_visible(message, 0)
        return 0

    def _is_duplicate(self, message: ReceivedMessage) -> bool:
        """Return True if this worker is already processing this delivery, or has finished its message.

        This method corrects a defect: kombu counts the messages of a worker by receipt handle. If SQS repeats an
        answer, kombu therefore starts one task more than there are slots.
        """
        return message.receipt_handle in self.qos._delivered or self._deletes.delete_if_finished(message)

    def _deliver_entry(self, message: ReceivedMessage, qname: str, entry: dict[str, Any]) -> None:
        """Hand one message to Celery, or dead-letter the message if it is invalid.

        This method corrects a defect: an exception that kombu or Celery raises here for a malformed message ends the
        worker.
        """
        body = entry["Body"]
        try:
            call = self._hardening.policy.accept(body)
        except InvalidMessage as invalid:
            self._hardening.observer.invalid_message(invalid.reason)
            self._dead_letters.move(message, body, invalid.reason)
            return
        delay_seconds = 0.0 if call.due_at is None else call.due_at - time.time()
        if delay_seconds > LONGEST_HOLD_SECONDS:
            self._postpone(message, delay_seconds)
            return
        self._deliver(message, qname, entry)
        if delay_seconds > 0 and message.receipt_handle in self.qos._delivered:
            self._timer_holds.hold(message, delay_seconds)

    def _postpone(self, message: ReceivedMessage, delay_seconds: float) -> None:
        """Leave a message in its queue whose task is due later than SQS can keep a message invisible."""
        logger.warning(
            "a task is due in %.1f h; SQS keeps a message invisible for 12 h at most, so each 11 h use one receive",
            delay_seconds / 3600,
        )
        self._make_visible(message, LONGEST_HOLD_SECONDS)

    def _deliver(self, message: ReceivedMessage, qname: str, entry: dict[str, Any]) -> None:
        try:
            super()._on_messages_ready(message.queue_url, qname, {"Messages": [entry]})
        except Exception:
            logger.exception("could not deliver a valid message to Celery")
            self.undeliverable(message.receipt_handle)

    def undeliverable(self, delivery_tag: str) -> None:
        """Give up the delivery of a message for which Celery raised an error.

        `delivery_tag` is the receipt handle of the message. The message stays in its queue. SQS delivers the message
        again, or moves it to the dead-letter queue after too many deliveries. The observer counts the message as
        `undeliverable`. If the worker can now hold another message, it receives again.
        """
        # not dead-lettered at once, because the cause of the error can be Celery
        self._hardening.observer.invalid_message(InvalidReason.UNDELIVERABLE)
        self.qos.ack(delivery_tag)
        self._wake()


class Transport(SQS.Transport):
    """kombu's SQS transport, with the hardened channel in place of kombu's own."""

    Channel = Channel
