"""Acknowledge and reject received messages, and return them to the queue, without blocking the worker."""

from __future__ import annotations

import logging
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from kombu.transport import SQS, virtual

from aforo.sqs.dead_letter_queue import DeadLetterQueue
from aforo.sqs.message import ReceivedMessage
from aforo.sqs.observer import Operation
from aforo.sqs.pending_deletes import PendingDeletes
from aforo.sqs.polling import PollingChannel
from aforo.sqs.redelivery import make_visible, redelivery_seconds

logger = logging.getLogger(__name__)


class QoS(SQS.QoS):
    """Set of the messages that a worker has received and not yet acknowledged or rejected.

    Unlike kombu's QoS, `apply_backoff_policy` never raises an error of SQS, and waits only briefly for its answer.
    """

    def apply_backoff_policy(
        self, routing_key: str, delivery_tag: str, backoff_policy: Any, backoff_tasks: Any
    ) -> None:
        """Return a rejected message to its queue after the pause that the app's back-off policy defines.

        `delivery_tag` is the receipt handle of the message. `backoff_policy` maps a receive count to a pause in
        seconds, for the tasks in `backoff_tasks`. A message without such a pause is left alone. `routing_key` is
        ignored.
        """
        # corrects a defect: kombu raises in the event loop if SQS rejects the call, and blocks if SQS does not answer
        task, receives = self.extract_task_name_and_number_of_retries(delivery_tag)
        pause_seconds = backoff_policy.get(receives) if task in backoff_tasks else None
        if pause_seconds is not None:
            self.channel._make_visible(self.channel._message_of(delivery_tag), pause_seconds)

    def has_backoff_policy(self, delivery_tag: str) -> bool:
        """Return True if the app's back-off policy applies to the task of this message.

        `delivery_tag` is the receipt handle of the message.
        """
        _, message, tasks, policy = self._extract_backoff_policy_configuration_and_message(delivery_tag)
        return bool(message and policy and (message.headers or {}).get("task") in (tasks or ()))


class FinishingChannel(PollingChannel):
    """SQS channel on which acknowledging or rejecting a message neither raises nor blocks for long."""

    QoS = QoS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deletes = PendingDeletes(self.short_client, self._hardening.observer, self._wake)
        self._dead_letters = DeadLetterQueue(self.short_client, self._deletes.delete, self._hardening.observer)

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Delete a message whose task has finished, then receive another message if the worker can hold one.

        `delivery_tag` is the receipt handle of the finished message. A background thread deletes the message.
        """
        message = self._message_of(delivery_tag)
        if message is not None:
            self._deletes.delete(message)
        # corrects a defect: in kombu, a failed delete raises an error in the event loop, or blocks it for minutes
        virtual.Channel.basic_ack(self, delivery_tag, multiple)
        self._wake()

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Reject a message, then receive another message if the worker can hold one.

        `delivery_tag` is the receipt handle of the message. With `requeue`, the message returns to its queue. Without
        `requeue`, SQS delivers the message again if a redrive policy or a back-off policy applies to the message.
        Otherwise the message is deleted.
        """
        try:
            # corrects a defect: before version 5.7, kombu never deletes a rejected message
            if not requeue and not self.qos.has_backoff_policy(delivery_tag):
                self._delete_rejected_message(delivery_tag)
            virtual.Channel.basic_reject(self, delivery_tag, requeue=requeue)
        except (ClientError, BotoCoreError) as error:
            self._hardening.observer.handled_error(Operation.REJECT)
            logger.warning("could not reject a message, its visibility timeout will return it: %s", error)
            self.qos.ack(delivery_tag)
        self._wake()

    def close(self) -> None:
        """Finish the channel's background work, then close the channel.

        Invalid messages are dead-lettered, then finished messages are deleted, for about 5 seconds each. SQS delivers
        every remaining message again.
        """
        if not self.closed:
            self._dead_letters.close()
            self._deletes.close()
        super().close()

    def _may_receive(self, queue: str) -> bool:
        """Return True if the worker can hold another message, and the deletes of the queue are not behind."""
        url = self._queue_cache.get(self.canonical_queue_name(queue), "")
        return super()._may_receive(queue) and not self._deletes.is_behind(url)

    def _delete_rejected_message(self, delivery_tag: str) -> None:
        """Delete a rejected message, unless its queue has a redrive policy.

        This method corrects a defect: kombu reads the policy with botocore's timeouts, which can block the event loop
        for five minutes.
        """
        message = self._message_of(delivery_tag)
        if message is not None and not self._dead_letters.is_configured_for(message):
            self._deletes.delete(message)

    def _restore(self, message: Any) -> None:
        """Return a rejected or unfinished message to its queue.

        While this consumer shuts down, the message becomes visible immediately. Otherwise it becomes visible after a
        pause. The pause doubles with every delivery, so that a message that fails quickly does not use up its receives.
        This method corrects a defect: kombu pauses for the same time after every failure. kombu uses the queue name
        that the sender wrote, and raises if SQS rejects the call.
        """
        received = ReceivedMessage.from_kombu(message, self._queue_cache)  # kombu has dropped its tag already
        if received is None:
            return
        is_consuming = bool(self._consumers)
        pause_seconds = redelivery_seconds(received.receive_count, self.wait_time_seconds) if is_consuming else 0
        self._make_visible(received, pause_seconds)

    def _make_visible(self, message: ReceivedMessage | None, delay_seconds: int) -> None:
        if message is not None:
            make_visible(self.short_client, message, delay_seconds, self._hardening.observer)

    def _message_of(self, delivery_tag: str) -> ReceivedMessage | None:
        """Return the message with this delivery tag.

        Return None if the message is finished or did not come from SQS.
        """
        message = self.qos._delivered.get(delivery_tag)
        return None if message is None else ReceivedMessage.from_kombu(message, self._queue_cache)
