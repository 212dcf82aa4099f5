"""kombu's SQS transport, made to survive SQS; each override names the defect of kombu 5.7.0 it answers.

`harden(app)` puts any Celery app on it. It covers the event loop of the prefork, threads and solo pools; eventlet and
gevent receive by another path of kombu's, which stays as it is.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Any, ClassVar, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from celery import Celery
from kombu import transport as kombu_transport
from kombu.transport import SQS, virtual
from vine import promise

from aforo.sqs.clients import TimedChannel
from aforo.sqs.connection import FailedPoll, PollConnection, PollResult, pause_seconds
from aforo.sqs.pending_deletes import Deletes
from aforo.sqs.redelivery import DeadLetters, Delivery, back_off_seconds, show_again
from aforo.sqs.validation import Defect, Rules
from aforo.telemetry import event_channel
from aforo.telemetry.label_values import Operation
from core.errors import UsageError

logger = logging.getLogger(__name__)
SCHEME = "aforo-sqs"
LONGEST_POLL_SECONDS = 10
#: an answer without messages that came sooner is no long poll: do not spin on it
SOON_SECONDS = 0.5
#: a net under the wake-up by a freed slot; nothing relies on it
RECHECK_SECONDS = 1.0
SYSTEM_ATTRIBUTES = {"ApproximateReceiveCount", "SentTimestamp"}


class TransportObserver(Protocol):
    """Told of every poll, every refused message, and of finished messages that SQS would not delete yet."""

    def polled(self, result: str) -> None:
        """Take the result of one receive call, a PollResult."""

    def invalid_message(self, reason: str) -> None:
        """Take the reason why a message was kept from Celery, a Defect."""

    def pending_deletes(self, count: int) -> None:
        """Take how many finished messages are still to be deleted; called by another thread too."""


class Unobserved:
    """The observer of a transport nobody watches."""

    def polled(self, result: str) -> None:
        """Ignore it."""

    def invalid_message(self, reason: str) -> None:
        """Ignore it."""

    def pending_deletes(self, count: int) -> None:
        """Ignore it."""


def harden(app: Celery, observer: TransportObserver | None = None, rules: Rules | None = None) -> None:
    """Put `app`, whose broker is SQS, on this transport; call before its worker starts.

    Without `rules`, any JSON call of a task that `app` knows is taken. Raise UsageError for another broker.
    """
    url = app.conf.broker_url or ""
    if not url.startswith(("sqs:", f"{SCHEME}:")):
        raise UsageError("broker_url", "it is not SQS", "use sqs://", value=url.partition("@")[2] or url)
    app.conf.broker_url = register() + url.partition("://")[2]
    app.conf.broker_read_url = app.conf.broker_write_url = app.conf.broker_url
    Transport.rules = rules or Rules(tasks=app.tasks)
    set_observer(observer or Unobserved())


def set_observer(observer: TransportObserver) -> None:
    """Tell `observer` what this process's transport sees."""
    Transport.observer = observer


def register() -> str:
    """Make the transport known to kombu; return the broker URL to use."""
    kombu_transport.TRANSPORT_ALIASES[SCHEME] = "aforo.sqs.channel:Transport"
    return f"{SCHEME}://"


class QoS(SQS.QoS):
    """Counts what is in hand."""

    def apply_backoff_policy(
        self, routing_key: str, delivery_tag: str, backoff_policy: Any, backoff_tasks: Any
    ) -> None:
        """Hide a rejected message for as long as the app's own policy says.

        Defect: where SQS refuses, kombu raises into the event loop, or holds it up with botocore's timeouts.
        """
        task, receives = self.extract_task_name_and_number_of_retries(delivery_tag)
        pause = backoff_policy.get(receives) if task in backoff_tasks else None
        delivery = self.channel._delivery(delivery_tag)
        if pause is not None and delivery is not None:
            show_again(self.channel.short_client, delivery, pause)


class Channel(TimedChannel):
    """Polls as soon as a slot is free, backs off after failed polls, keeps malformed messages from the worker."""

    QoS = QoS

    def __init__(self, *args: Any, **options: Any) -> None:
        self._failures: Counter[str] = Counter()  # queue -> its failed polls in a row
        self._polling: dict[str, float] = {}  # queue -> when its receive call was sent, monotonic
        self._parked: dict[str, Any] = {}  # queue -> the timer that looks again
        super().__init__(*args, **options)
        self._deletes = Deletes(self.short_client, self.connection.observer.pending_deletes)
        self._dead_letters = DeadLetters(self.short_client, self._deletes.delete)

    @property
    def wait_time_seconds(self) -> int:
        """Return the long poll, capped: a poll that hangs must end within 15 s of the network's return."""
        return min(LONGEST_POLL_SECONDS, int(super().wait_time_seconds))

    @property
    def get_message_attributes(self) -> dict[str, Any]:
        """Ask for the moment of sending too: the queue wait is counted from it."""
        asked = super().get_message_attributes
        names = SYSTEM_ATTRIBUTES.union(asked.get("MessageSystemAttributeNames") or ())
        return {**asked, "MessageSystemAttributeNames": sorted(names)}

    def asynsqs(self, queue: str | None = None) -> Any:
        """Return the connection that polls, of our class."""
        stock = super().asynsqs(queue)
        if isinstance(stock, PollConnection):
            return stock
        made = PollConnection(
            stock.sqs_connection,
            message_system_attribute_names=stock.message_system_attribute_names,
            message_attribute_names=stock.message_attribute_names,
        )
        if queue is not None and self.predefined_queues:
            self._predefined_queue_async_clients[queue] = made
        else:
            self._asynsqs = made
        return made

    def _schedule_queue(self, queue: str) -> None:
        """Poll if a slot is free, else park the queue until one is.

        Defect: with the prefetch window full kombu looks again only every `polling_interval`, 1 s of each cycle.
        Parked first and looked at second, so that an ack in another thread cannot be missed.
        """
        if queue in self._polling or queue not in self._active_queues:
            return
        self._park(queue)
        if self.qos.can_consume():
            self._parked.pop(queue).cancel()
            self._poll(queue)

    def _park(self, queue: str) -> None:
        earlier = self._parked.pop(queue, None)
        if earlier is not None:
            earlier.cancel()
        self._parked[queue] = self.hub.call_later(RECHECK_SECONDS, self._schedule_queue, queue)

    def _wake(self) -> None:
        """Poll at once for the slot that has become free; any thread may call this."""
        for queue in list(self._parked):
            self._soon(queue)

    def _soon(self, queue: str) -> None:
        """Schedule a poll for now.

        Defect: kombu's hub runs what is called "soon" before its timers and polls its sockets after them, so what a
        timer or another such call schedules waits for the next event, up to 1 s. Its waker ends that wait.
        """
        self.hub.call_soon(self._schedule_queue, queue)
        if self.hub._waker is not None:
            self.hub._waker.wake()

    def _poll(self, queue: str) -> None:
        self._polling[queue] = time.monotonic()
        try:
            self._get_bulk_async(queue, callback=promise(self._loop1, (queue,)))
        except (BotoCoreError, ClientError) as error:  # no or expired credentials: raised before anything is sent
            self._fail(self.canonical_queue_name(queue), FailedPoll(PollResult.DENIED, str(error)))
            self._loop1(queue)

    def _get_from_sqs(
        self, queue_name: str, queue_url: str, connection: Any, count: int = 1, callback: Any = None
    ) -> Any:
        """Receive with a long poll; with a short one while SQS fails, to learn soon that it is back."""
        wait = 0 if self._failures[queue_name] else self.wait_time_seconds
        return connection.receive_message(
            queue_name, queue_url, number_messages=count, wait_time_seconds=wait, callback=callback
        )

    def _loop1(self, queue: str, _fetched: Any = None) -> None:
        """Poll again: at once, or after a growing, jittered pause while SQS fails."""
        lasted = time.monotonic() - self._polling.pop(queue, 0.0)
        if failures := self._failures[self.canonical_queue_name(queue)]:
            self.hub.call_later(pause_seconds(failures), self._schedule_queue, queue)
        elif not _fetched and lasted < SOON_SECONDS:
            self.hub.call_later(SOON_SECONDS, self._schedule_queue, queue)
        else:
            self._soon(queue)

    def _on_messages_ready(self, queue: str, qname: str, messages: Any) -> int:
        """Count the poll and deliver each message by itself."""
        name = self.canonical_queue_name(qname)
        if isinstance(messages, FailedPoll):
            return self._fail(name, messages)
        found = messages.get("Messages") or []
        self._recover(name, PollResult.MESSAGES if found else PollResult.EMPTY)
        if qname not in self.connection._callbacks:
            return int(super()._on_messages_ready(queue, qname, messages))
        deliveries = [(Delivery(name, queue, message["ReceiptHandle"]), message) for message in found]
        fresh = [(delivery, message) for delivery, message in deliveries if not self._is_known(delivery)]
        for delivery, message in fresh:
            self._deliver(delivery, qname, message)
        return len(fresh)

    def _is_known(self, delivery: Delivery) -> bool:
        """Say whether this delivery is in hand or done with.

        Defect: each time an answer comes again, kombu, which counts by handle, starts a task more than it has slots.
        """
        return delivery.handle in self.qos._delivered or self._deletes.knows(delivery)

    def _fail(self, queue: str, poll: FailedPoll) -> int:
        if not self._failures[queue]:
            logger.warning("SQS does not answer as it should, polling %s on with pauses: %s", queue, poll.detail)
        self._failures[queue] += 1
        self.connection.observer.polled(poll.result.value)
        return 0

    def _recover(self, queue: str, result: PollResult) -> None:
        if failures := self._failures.pop(queue, 0):
            logger.warning("SQS answers again after %d failed polls of %s", failures, queue)
        self.connection.observer.polled(result.value)

    def _deliver(self, delivery: Delivery, qname: str, message: dict[str, Any]) -> None:
        """Hand one message to Celery, or move it to the dead-letter queue.

        Defect: whatever a malformed message makes kombu or Celery raise here ends the worker.
        """
        defect = self.connection.rules.defect_of(message.get("Body"))
        if defect is not None:
            self.connection.observer.invalid_message(defect.value)
            self._dead_letters.take(delivery, str(message.get("Body")), defect.value)
            return
        try:
            super()._on_messages_ready(delivery.queue_url, qname, {"Messages": [message]})
        except Exception:  # Celery's fault or the message's: left to redrive, which gives it a few more chances
            logger.exception("a readable message could not be delivered")
            self.connection.observer.invalid_message(Defect.UNDELIVERABLE.value)
            self.qos.ack(delivery.handle)

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Delete a finished message without ever raising or blocking for long, then use the free slot.

        Defect: a failed delete raises into the event loop, and with botocore's timeouts blocks it for minutes.
        """
        delivery = self._delivery(delivery_tag)
        if delivery is not None:
            self._deletes.delete(delivery)
        virtual.Channel.basic_ack(self, delivery_tag, multiple)
        self._wake()

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Reject a message as kombu does, without raising, then use the free slot."""
        try:
            super().basic_reject(delivery_tag, requeue=requeue)
        except (ClientError, BotoCoreError) as error:
            event_channel.handled_error(Operation.REJECT)
            logger.warning("could not reject a message, its visibility timeout will return it: %s", error)
            self.qos.ack(delivery_tag)
        self._wake()

    def _delete_rejected_message(self, delivery_tag: str) -> None:
        """Delete a rejected message that no redrive policy will move.

        Defect: kombu asks for the policy with botocore's timeouts, five minutes of the event loop.
        """
        delivery = self._delivery(delivery_tag)
        if delivery is not None and not self._dead_letters.catches(delivery):
            self._deletes.delete(delivery)

    def basic_qos(self, *args: Any, **options: Any) -> None:
        """Take a new prefetch window, and use the slots it may have added."""
        super().basic_qos(*args, **options)
        self._wake()

    def basic_cancel(self, consumer_tag: str) -> None:
        """Stop consuming, and wait for the receive call that is still open: kombu then releases what it brings.

        Defect: left open in the server, it is handed the next message, which stays invisible for a whole timeout.
        """
        super().basic_cancel(consumer_tag)
        self._finish_polls()

    def _finish_polls(self) -> None:
        for client in {self.asynsqs(queue)._httpclient for queue in map(self.canonical_queue_name, self._polling)}:
            deadline = time.monotonic() + self.wait_time_seconds + 1
            while self._polling and not client._closed and time.monotonic() < deadline:
                client._multi.select(0.1)
                client._timeout_check()

    def _restore(self, message: Any) -> None:
        """Make a rejected or unfinished message visible again: after a pause, or at once when this consumer is leaving.

        The pause doubles with every delivery, so what fails at once does not use its receives up at once.
        Defect: kombu waits the same time whenever it fails, asks the queue its sender named, and raises where SQS does.
        """
        delivery = self._delivery_of(message)  # kombu has forgotten the message already when it restores all of them
        if delivery is None:
            return
        attributes = message.delivery_info["sqs_message"].get("Attributes", {})
        receives = int(attributes.get("ApproximateReceiveCount", 1))
        pause = back_off_seconds(receives, self.wait_time_seconds) if self._consumers else 0
        show_again(self.short_client, delivery, pause)

    def _delivery(self, delivery_tag: str) -> Delivery | None:
        """Return the SQS side of a delivery; None for a message that did not come from SQS or is settled."""
        message = self.qos._delivered.get(delivery_tag)
        return None if message is None else self._delivery_of(message)

    def _delivery_of(self, message: Any) -> Delivery | None:
        info = message.delivery_info
        if "sqs_message" not in info:
            return None
        url = info["sqs_queue"]  # kombu's word; the routing key beside it is the sender's
        name = next(name for name, known in self._queue_cache.items() if known == url)
        return Delivery(name, url, message.delivery_tag)

    def close(self) -> None:
        """Close as kombu does, once what is owed was tried a last time."""
        if not self.closed:
            self._deletes.close()
        super().close()


class Transport(SQS.Transport):
    """The SQS transport with our channel; what it reports to and takes is the process's, because kombu makes it."""

    Channel = Channel
    observer: ClassVar[TransportObserver] = Unobserved()
    rules: ClassVar[Rules] = Rules()
