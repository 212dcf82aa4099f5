"""Delete finished messages, and retry failed deletes.

Defect: kombu tries a delete once, for up to five minutes. If the delete fails, the finished task runs again.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from aforo.sqs.backoff import backoff_seconds
from aforo.sqs.due_thread import DueThread
from aforo.sqs.message import ReceivedMessage
from aforo.sqs.observer import Observer, Operation, SilentObserver
from aforo.sqs.redelivery import ClientOf, is_permanent

logger = logging.getLogger(__name__)
FIRST_PAUSE_SECONDS = 0.25
#: shorter than what the visibility heartbeat leaves of a usual visibility timeout
LONGEST_PAUSE_SECONDS = 15.0
#: how many pending deletes of one queue, and how many receipt handles, are remembered; the oldest are dropped
MOST_PENDING = 10_000
MOST_REMEMBERED = 10_000
CLOSE_SECONDS = 5.0


@dataclass(eq=False)
class _Queue:
    """The pending deletes of one queue, oldest first, and the number of consecutive failed calls."""

    pending: dict[str, ReceivedMessage] = field(default_factory=dict)  # by receipt handle
    failures: int = 0

    def add(self, message: ReceivedMessage) -> None:
        _remember(self.pending, message.receipt_handle, message, MOST_PENDING)

    def failed(self, message: ReceivedMessage) -> None:
        self.add(message)
        self.failures += 1

    def finished(self, message: ReceivedMessage) -> None:
        self.pending.pop(message.receipt_handle, None)
        self.failures = 0

    def pause_seconds(self) -> float | None:
        """Return the pause before the next retry, or None without pending deletes."""
        if not self.pending:
            return None
        return backoff_seconds(self.failures, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS) if self.failures else 0.0


class PendingDeletes:
    """Delete a message immediately, unless earlier deletes for its queue are still failing.

    A background thread retries the pending deletes of each queue in turn. Any thread may call the methods. The retries
    do not run as an event-loop timer for two reasons. Without an answer from SQS, each retry would block the loop. In a
    solo pool, the task itself blocks the loop.
    """

    def __init__(self, client_of: ClientOf, observer: Observer | None = None) -> None:
        self._client_of, self._observer = client_of, observer or SilentObserver()
        self._handles: dict[str, None] = {}
        self._queues: dict[str, _Queue] = {}  # by URL
        self._lock = threading.Lock()
        self._retries = DueThread("pending-deletes", self._retry)

    def delete(self, message: ReceivedMessage) -> None:
        """Delete the message now, or after the earlier pending deletes of its queue."""
        with self._lock:
            _remember(self._handles, message.receipt_handle, None, MOST_REMEMBERED)
            queue = self._queues.setdefault(message.queue_url, _Queue())
            must_wait = bool(queue.pending)
            if must_wait:
                queue.add(message)
                self._report()
        if must_wait:
            return
        self._try(queue, message)
        pause_seconds = queue.pause_seconds()
        if pause_seconds is not None:
            self._retries.schedule(queue, pause_seconds)

    def includes(self, message: ReceivedMessage) -> bool:
        """Return True if `delete` was called for this delivery, whether or not its delete has succeeded."""
        return message.receipt_handle in self._handles

    def close(self) -> None:
        """Retry every pending delete once, for a few seconds, and stop at the first failure of each queue."""
        deadline = time.monotonic() + CLOSE_SECONDS
        with self._lock:
            queues = list(self._queues.values())
        for queue in queues:
            self._retries.cancel(queue)
            while (message := self._oldest(queue)) and time.monotonic() < deadline:
                if not self._try(queue, message):
                    break
        with self._lock:
            left = sum(len(queue.pending) for queue in queues)
            self._queues.clear()
        if left:
            logger.error("%d finished messages could not be deleted and will be delivered again", left)

    def _retry(self, queue: _Queue) -> float | None:
        if message := self._oldest(queue):
            self._try(queue, message)
        return queue.pause_seconds()

    def _oldest(self, queue: _Queue) -> ReceivedMessage | None:
        with self._lock:
            return next(iter(queue.pending.values()), None)

    def _try(self, queue: _Queue, message: ReceivedMessage) -> bool:
        """Delete the message. Return False if the delete must be retried."""
        error = self._delete(message)
        is_finished = error is None or is_permanent(error)
        with self._lock:
            if error is not None and not queue.failures:
                logger.warning("could not delete a finished message of %s: %s", message.queue, error)
            (queue.finished if is_finished else queue.failed)(message)
            self._report()
        return is_finished

    def _delete(self, message: ReceivedMessage) -> Exception | None:
        try:
            client = self._client_of(message.queue)
            client.delete_message(QueueUrl=message.queue_url, ReceiptHandle=message.receipt_handle)
        except Exception as error:  # also a client that cannot be created: neither may end the worker
            self._observer.handled_error(Operation.DELETE)
            return error
        return None

    def _report(self) -> None:
        self._observer.pending_deletes(sum(len(queue.pending) for queue in self._queues.values()))


def _remember(entries: dict[str, Any], key: str, value: Any, most: int) -> None:
    entries[key] = value
    if len(entries) > most:
        entries.pop(next(iter(entries)))
