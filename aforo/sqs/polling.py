"""Decide when a worker sends a receive call to SQS: as soon as it can hold another message.

After a call that failed, the worker pauses first.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from vine import promise

from aforo.sqs.answer_time import AnswerTime
from aforo.sqs.backoff import backoff_seconds
from aforo.sqs.clients import TimedChannel
from aforo.sqs.connection import FailedPoll, PollConnection
from aforo.sqs.hardening import OPTION, Hardening
from aforo.sqs.observer import PollResult
from aforo.sqs.waker import waker_of

logger = logging.getLogger(__name__)
#: short, so that a worker receives again within 15 s after a network failure
LONGEST_POLL_SECONDS = 10
#: an empty answer before this time was no long poll, so the next poll waits
SHORTEST_EMPTY_POLL_SECONDS = 0.5
#: a fallback if the wake-up by a freed slot is missed
RECHECK_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 4.0
SYSTEM = "MessageSystemAttributeNames"
SYSTEM_ATTRIBUTES = {"ApproximateReceiveCount", "SentTimestamp"}


class PollingChannel(TimedChannel):
    """SQS channel that receives as soon as the worker can hold another message.

    After a receive call that failed, the channel pauses. The pause grows with each further failure, up to a limit.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._failures: Counter[str] = Counter()  # queue -> failed polls in a row
        self._polling: dict[str, float] = {}  # queue -> when its receive call was sent, monotonic
        self._answer_times: defaultdict[str, AnswerTime] = defaultdict(AnswerTime)
        self._parked: dict[str, Any] = {}  # queue -> the timer that checks again
        super().__init__(*args, **options)
        self._hardening = self.transport_options.get(OPTION) or Hardening()

    @property
    def wait_time_seconds(self) -> int:
        """Return the long-poll time of a receive call: how many seconds SQS may wait for a message.

        The result is at most LONGEST_POLL_SECONDS.
        """
        return min(LONGEST_POLL_SECONDS, int(super().wait_time_seconds))

    @property
    def requested_attributes(self) -> dict[str, list[str]]:
        """Return which attributes SQS has to send with each message, as parameters of the receive call.

        The result maps a parameter, such as `MessageAttributeNames`, to attribute names. The send time and the receive
        count are always included. The transport option `fetch_message_attributes` adds more: a list of system
        attributes, or a dict like the result.
        """
        option = self.transport_options.get("fetch_message_attributes") or []
        names = option if isinstance(option, dict) else {SYSTEM: [option] if isinstance(option, str) else option}
        system = sorted(SYSTEM_ATTRIBUTES.union(names.get(SYSTEM) or ()))
        own = sorted(names.get("MessageAttributeNames") or ())
        return {SYSTEM: system, "AttributeNames": system} | ({"MessageAttributeNames": own} if own else {})

    def asynsqs(self, queue: str | None = None) -> Any:
        """Return the HTTP connection (PollConnection) for the receive calls of `queue`."""
        stock = super().asynsqs(queue)
        if isinstance(stock, PollConnection):
            return stock
        connection = PollConnection(stock.sqs_connection)
        if queue is not None and self.predefined_queues:
            self._predefined_queue_async_clients[queue] = connection
        else:
            self._asynsqs = connection
        return connection

    def basic_qos(self, *args: Any, **options: Any) -> None:
        """Set how many unfinished messages the worker can hold. Celery calls this method.

        All arguments are passed to kombu's `basic_qos`. If the new limit lets the worker hold another message, a
        receive call is sent immediately.
        """
        super().basic_qos(*args, **options)
        self._wake()

    def basic_cancel(self, consumer_tag: str) -> None:
        """Stop receiving for the consumer `consumer_tag`, and wait until the running receive calls end.

        The wait is at most 1 s longer than a long poll. Messages that arrive for this consumer meanwhile are returned
        to the queue.
        """
        # corrects a defect: kombu does not wait; messages of a late answer are lost until their visibility timeout ends
        super().basic_cancel(consumer_tag)
        self._await_open_polls()

    def _schedule_queue(self, queue: str) -> None:
        """Poll if a slot is free. Otherwise park the queue until a slot is free.

        The queue is parked before the check, so that an acknowledgement in another thread is not missed. This method
        corrects a defect: while the prefetch window is full, kombu checks once per `polling_interval`, which adds 1 s
        to each slot cycle.
        """
        if queue in self._polling or queue not in self._active_queues:
            return
        self._park(queue)
        if self._may_receive(queue):
            self._parked.pop(queue).cancel()
            self._receive(queue)

    def _may_receive(self, queue: str) -> bool:
        return bool(self.qos.can_consume())

    def _park(self, queue: str) -> None:
        earlier = self._parked.pop(queue, None)
        if earlier is not None:
            earlier.cancel()
        self._parked[queue] = self.hub.call_later(RECHECK_SECONDS, self._schedule_queue, queue)

    def _wake(self) -> None:
        """Poll for the slot that has become free. Any thread may call this method."""
        for queue in list(self._parked):
            self._schedule_now(queue)

    def _schedule_now(self, queue: str) -> None:
        """Schedule a poll for the next iteration of the event loop.

        This method corrects a defect: kombu's hub runs its `call_soon` calls, then its timers, then polls its sockets.
        A call that a timer or a `call_soon` call schedules waits up to 1 s for the next socket event. The waker ends
        that wait.
        """
        self.hub.call_soon(self._schedule_queue, queue)
        waker_of(self.hub).wake()

    def _receive(self, queue: str) -> None:
        """Receive, after a probe if the last answer did not come.

        SQS may have delivered messages in the answer that did not come. A message that is delivered without being taken
        comes closer to the dead-letter queue each time.
        """
        self._polling[queue] = time.monotonic()
        if self._answer_time(queue).is_known:
            self._call(queue, self._receive_now)
        else:
            self._call(queue, self._probe)

    def _receive_now(self, queue: str) -> None:
        self._get_bulk_async(queue, callback=promise(self._loop1, (queue,)))

    def _probe(self, queue: str) -> None:
        connection = self.asynsqs(queue=self.canonical_queue_name(queue))
        timeout_seconds = self._answer_time(queue).timeout_seconds
        connection.probe(self._new_queue(queue), timeout_seconds, promise(self._probed, (queue,)))

    def _probed(self, queue: str, answer: Any) -> None:
        """Receive if SQS answered the probe, with an error or without."""
        if isinstance(answer, FailedPoll) and answer.result is PollResult.TIMEOUT:
            self._poll_failed(self.canonical_queue_name(queue), answer)
            self._loop1(queue)
        elif queue in self._active_queues:
            self._polling[queue] = time.monotonic()
            self._call(queue, self._receive_now)
        else:
            self._polling.pop(queue, None)

    def _call(self, queue: str, send: Callable[[str], None]) -> None:
        """Send a call. An error before anything is sent, such as expired credentials, is a failed poll."""
        try:
            send(queue)
        except Exception as error:
            is_of_aws = isinstance(error, (BotoCoreError, ClientError))
            result = PollResult.DENIED if is_of_aws else PollResult.ERROR
            self._poll_failed(self.canonical_queue_name(queue), FailedPoll(result, str(error) or repr(error)))
            self._loop1(queue)

    def _get_from_sqs(
        self, queue_name: str, queue_url: str, connection: Any, count: int = 1, callback: Any = None
    ) -> Any:
        """Receive with a long poll, or with a short poll while SQS fails.

        A short poll detects sooner that SQS has recovered.
        """
        answer_time = self._answer_times[queue_name]
        wait = 0 if self._failures[queue_name] else answer_time.long_poll_seconds(self.wait_time_seconds)
        answer_time.sent(wait)
        attributes = self.requested_attributes
        return connection.receive_message(
            queue_url, count, wait, answer_time.timeout_seconds, attributes, callback=callback
        )

    def _answer_time(self, queue: str) -> AnswerTime:
        return self._answer_times[self.canonical_queue_name(queue)]

    def _loop1(self, queue: str, _message_count: Any = None) -> None:
        """Schedule the next poll: immediately, or after a back-off while SQS fails."""
        lasted = time.monotonic() - self._polling.pop(queue, 0.0)
        if failures := self._failures[self.canonical_queue_name(queue)]:
            pause_seconds = backoff_seconds(failures, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
            self.hub.call_later(pause_seconds, self._schedule_queue, queue)
        elif not _message_count and lasted < SHORTEST_EMPTY_POLL_SECONDS:
            self.hub.call_later(SHORTEST_EMPTY_POLL_SECONDS, self._schedule_queue, queue)
        else:
            self._schedule_now(queue)

    def _await_open_polls(self) -> None:
        for client in {self.asynsqs(queue)._httpclient for queue in map(self.canonical_queue_name, self._polling)}:
            deadline = time.monotonic() + self.wait_time_seconds + 1
            while self._polling and not getattr(client, "_closed", False) and time.monotonic() < deadline:
                client._multi.select(0.1)
                client._timeout_check()

    def _poll_failed(self, queue: str, poll: FailedPoll) -> None:
        if not self._failures[queue]:
            logger.warning("receive calls for queue %s fail, retrying with back-off: %s", queue, poll.detail)
        self._failures[queue] += 1
        self._answer_times[queue].failed(is_timeout=poll.result is PollResult.TIMEOUT)
        self._polled(poll.result)

    def _poll_succeeded(self, queue: str, result: PollResult) -> None:
        if failures := self._failures.pop(queue, 0):
            logger.warning("receive calls for queue %s succeed again, after %d failures", queue, failures)
        self._answer_times[queue].answered(has_messages=result is PollResult.MESSAGES)
        self._polled(result)

    def _polled(self, result: PollResult) -> None:
        self._hardening.stall.polled()
        self._hardening.observer.polled(result)
