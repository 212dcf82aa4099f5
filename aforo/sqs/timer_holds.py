"""Keep messages invisible while Celery delays their tasks (options `countdown` and `eta`).

This module corrects a defect: a delayed task's message waits in the worker, but SQS delivers the message again after
each visibility timeout. The task then runs several times, or SQS dead-letters the message.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass

from aforo.sqs.backoff import backoff_seconds
from aforo.sqs.due_thread import DueThread
from aforo.sqs.message import ReceivedMessage
from aforo.sqs.observer import Observer, Operation
from aforo.sqs.redelivery import ClientOf, is_permanent

logger = logging.getLogger(__name__)
#: SQS keeps a message invisible for 12 h after a receive at most
LONGEST_INVISIBLE_SECONDS = 12 * 3600
#: a task that is due later is not held: its message stays in the queue, invisible for so long
LONGEST_HOLD_SECONDS = 11 * 3600
REREAD_SECONDS = 300.0
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 4.0


@dataclass(eq=False)
class _Hold:
    message: ReceivedMessage
    due_at: float  # monotonic
    failures: int = 0


class TimerHolds:
    """Make each delayed message invisible until its task is due, and for one more visibility timeout.

    A background thread calls SQS, and retries failed calls. `usual_timeout_seconds` is used while the visibility
    timeout of a queue cannot be read.
    """

    def __init__(self, client_of: ClientOf, usual_timeout_seconds: float, observer: Observer) -> None:
        self._client_of, self._usual_seconds, self._observer = client_of, usual_timeout_seconds, observer
        self._timeouts: dict[str, tuple[float, float]] = {}  # queue URL -> its visibility timeout, when read
        self._is_closed = False
        self._calls = DueThread("timer-holds", self._extend)

    def hold(self, message: ReceivedMessage, delay_seconds: float) -> None:
        """Keep this message invisible in SQS until its task is due in `delay_seconds`, and a little longer.

        The extra time is one visibility timeout of the queue.
        """
        self._calls.schedule(_Hold(message, time.monotonic() + delay_seconds), 0)

    def close(self) -> None:
        """Make no more calls to SQS to keep messages invisible.

        Call this when the SQS channel is closed. A later call to SQS could hide a message that was returned
        to its queue.
        """
        self._is_closed = True

    def _extend(self, hold: _Hold) -> float | None:
        """Make one call. Return the pause before the next attempt, or None after the last one."""
        message, left_seconds = hold.message, hold.due_at - time.monotonic()
        if left_seconds <= 0 or self._is_closed:
            return None
        try:
            self._client_of(message.queue).change_message_visibility(
                QueueUrl=message.queue_url,
                ReceiptHandle=message.receipt_handle,
                VisibilityTimeout=min(
                    math.ceil(left_seconds + self._timeout_of(message)), LONGEST_INVISIBLE_SECONDS - 1
                ),
            )
        except Exception as error:  # also a client that cannot be created: the thread goes on
            return self._failed(hold, error)
        return None

    def _timeout_of(self, message: ReceivedMessage) -> float:
        """Return the visibility timeout of the message's queue, which is read every few minutes."""
        seconds, read_at = self._timeouts.get(message.queue_url, (self._usual_seconds, -math.inf))
        if time.monotonic() - read_at > REREAD_SECONDS:
            try:
                seconds = self._read_timeout(message)
            except Exception as error:  # also a client that cannot be created: the last known timeout is used
                self._observer.handled_error(Operation.EXTEND_VISIBILITY)
                logger.warning("could not read the visibility timeout of a queue, so used %g s: %s", seconds, error)
            self._timeouts[message.queue_url] = seconds, time.monotonic()
        return seconds

    def _read_timeout(self, message: ReceivedMessage) -> float:
        client = self._client_of(message.queue)
        answer = client.get_queue_attributes(QueueUrl=message.queue_url, AttributeNames=["VisibilityTimeout"])
        return float(answer["Attributes"]["VisibilityTimeout"])

    def _failed(self, hold: _Hold, error: Exception) -> float | None:
        self._observer.handled_error(Operation.EXTEND_VISIBILITY)
        logger.warning("could not keep a message invisible until its task is due: %s", error)
        hold.failures += 1
        pause_seconds = backoff_seconds(hold.failures - 1, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        return None if is_permanent(error) else pause_seconds
