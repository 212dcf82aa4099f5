"""Delete finished messages from SQS, and retry deletes that failed.

This module corrects a defect: kombu tries a delete only once. If the delete fails, SQS delivers the message again and
the finished task runs a second time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from aforo.sqs.backoff import backoff_seconds
from aforo.sqs.batch_threads import LARGEST_BATCH, BatchThreads
from aforo.sqs.due_thread import DueThread
from aforo.sqs.message import ReceivedMessage
from aforo.sqs.observer import Observer, Operation, SilentObserver
from aforo.sqs.redelivery import ClientOf, batch_error, is_permanent

logger = logging.getLogger(__name__)
#: open calls for new deletes of one queue; with more new deletes than that, each call deletes a batch
NEW_DELETE_THREADS = 4
#: with so many new deletes of one queue waiting, the next calls of all its threads are full batches
MOST_WAITING = NEW_DELETE_THREADS * LARGEST_BATCH
FIRST_PAUSE_SECONDS = 0.25
#: shorter than what the visibility heartbeat leaves of a usual visibility timeout
LONGEST_PAUSE_SECONDS = 15.0
#: how many pending deletes of one queue, and how many finished messages, are remembered; the oldest are dropped
MOST_PENDING = 10_000
MOST_REMEMBERED = 10_000
CLOSE_SECONDS = 5.0


@dataclass(eq=False)
class _Queue:
    """The failed deletes of one queue, oldest first, and the number of consecutive failed retries."""

    url: str
    pending: dict[str, ReceivedMessage] = field(default_factory=dict)  # by message id
    failures: int = 0

    def remove(self, message: ReceivedMessage) -> None:
        if self.pending.get(message.id) == message:
            del self.pending[message.id]

    def pause_seconds(self) -> float | None:
        """Return the pause before the failed deletes of this SQS queue are retried, in seconds.

        Return None if no failed delete is waiting for a retry.
        """
        if not self.pending:
            return None
        return backoff_seconds(self.failures, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS) if self.failures else 0.0


class PendingDeletes:
    """Delete each finished message immediately, and retry failed deletes in batches.

    Background threads call SQS. Any thread may call the methods. After a call of the method `close`, the method
    `delete` calls SQS in the calling thread. `caught_up` is called, by a background thread, when the method `is_behind`
    would no longer return True.
    """

    def __init__(
        self, client_of: ClientOf, observer: Observer | None = None, caught_up: Callable[[], None] = lambda: None
    ) -> None:
        self._client_of, self._observer, self._caught_up = client_of, observer or SilentObserver(), caught_up
        self._behind: set[str] = set()  # URLs of the queues of which `is_behind` has returned True
        self._finished: dict[str, str] = {}  # message id -> its newest receipt handle
        self._queues: dict[str, _Queue] = {}  # by URL
        self._lock = threading.Lock()
        self._is_closed = False
        self._new = BatchThreads("deletes", self._delete_new, NEW_DELETE_THREADS)
        self._retries = DueThread("pending-deletes", self._retry)

    def delete(self, message: ReceivedMessage) -> None:
        """Delete a message whose task has finished, in the background.

        If the delete fails, it is retried later, unless SQS says that every retry would fail too.
        """
        with self._lock:
            _remember(self._finished, message.id, message.receipt_handle, MOST_REMEMBERED)
            is_closed = self._is_closed
        if is_closed:
            self._delete_new(message.queue_url, [message])
        else:
            self._new.add(message.queue_url, message)

    def delete_if_finished(self, message: ReceivedMessage) -> bool:
        """Delete a message that SQS delivered again, if its task has already finished.

        Return True if the task has finished: the caller must not run it again. Otherwise return False and delete
        nothing. `message` is the new delivery.
        """
        with self._lock:
            newest = self._finished.get(message.id)
        if newest is None:
            return False
        if newest != message.receipt_handle:
            self.delete(message)
        return True

    def is_behind(self, url: str) -> bool:
        """Return True if tasks of the queue at `url` end faster than SQS deletes their messages.

        A delete that waits for longer than the visibility timeout comes too late: SQS has delivered the message again,
        and dead-letters it after some receives, although its task has finished. So the worker should not receive more.
        """
        with self._lock:
            is_behind = self._new.count(url) >= MOST_WAITING
            if is_behind:
                self._behind.add(url)
        return is_behind

    def close(self) -> None:
        """Finish the running deletes, then retry the failed deletes once, for about 5 seconds in total.

        The first retry that fails ends the retries of its queue. SQS delivers every message again that was not deleted.
        """
        deadline = time.monotonic() + CLOSE_SECONDS
        with self._lock:
            self._is_closed = True
        self._new.wait_until_empty(CLOSE_SECONDS)
        with self._lock:
            queues = list(self._queues.values())
        for queue in queues:
            self._retries.cancel(queue)
            while queue.pending and time.monotonic() < deadline:
                self._retry(queue)
                if queue.failures:
                    break
        left = sum(len(queue.pending) for queue in queues) + self._new.count()
        if left:
            logger.error("%d finished messages could not be deleted and will be delivered again", left)

    def _delete_new(self, url: str, batch: list[ReceivedMessage]) -> None:
        errors = self._delete(batch)
        with self._lock:
            queue = self._queues.setdefault(url, _Queue(url))
            was_pending = bool(queue.pending)
            self._record(queue, batch, errors)
            is_first = bool(errors) and not was_pending
            if is_first:
                queue.failures = 1
            pause_seconds = queue.pause_seconds()
            has_caught_up = not self._is_closed and url in self._behind and self._new.count(url) < MOST_WAITING
            if has_caught_up:
                self._behind.discard(url)
        if is_first:
            logger.warning("could not delete a finished message of %s: %s", batch[0].queue, next(iter(errors.values())))
        if is_first and pause_seconds is not None and not self._is_closed:
            self._retries.schedule(queue, pause_seconds)
        if has_caught_up:
            self._caught_up()

    def _retry(self, queue: _Queue) -> float | None:
        with self._lock:
            batch = list(islice(queue.pending.values(), LARGEST_BATCH))
        errors = self._delete(batch) if batch else {}
        with self._lock:
            queue.failures = queue.failures + 1 if errors else 0
            self._record(queue, batch, errors)
            return queue.pause_seconds()

    def _record(self, queue: _Queue, batch: list[ReceivedMessage], errors: dict[str, Exception]) -> None:
        """Remove the deleted messages from the pending ones. Put the others at the end, so that none delays the rest.

        A message that was delivered again is pending by its newest receipt handle only.
        """
        for message in batch:
            queue.remove(message)
            is_newest = self._finished.get(message.id, message.receipt_handle) == message.receipt_handle
            if message.id in errors and is_newest:
                _remember(queue.pending, message.id, message, MOST_PENDING)
            elif is_newest:
                queue.pending.pop(message.id, None)
        self._observer.pending_deletes(sum(len(each.pending) for each in self._queues.values()))

    def _delete(self, batch: list[ReceivedMessage]) -> dict[str, Exception]:
        """Delete the messages in one call. Return the errors by message id, without the permanent ones."""
        try:
            client = self._client_of(batch[0].queue)
            errors = _delete_one(client, *batch) if len(batch) == 1 else _delete_batch(client, batch)
        except Exception as error:  # also a client that cannot be created: neither may end the worker
            errors = dict.fromkeys((message.id for message in batch), error)
        if errors:
            self._observer.handled_error(Operation.DELETE)
        return {message_id: error for message_id, error in errors.items() if not is_permanent(error)}


def _delete_one(client: Any, message: ReceivedMessage) -> dict[str, Exception]:
    client.delete_message(QueueUrl=message.queue_url, ReceiptHandle=message.receipt_handle)
    return {}


def _delete_batch(client: Any, batch: list[ReceivedMessage]) -> dict[str, Exception]:
    entries = [{"Id": str(k), "ReceiptHandle": message.receipt_handle} for k, message in enumerate(batch)]
    answer = client.delete_message_batch(QueueUrl=batch[0].queue_url, Entries=entries)
    failed = {batch[int(entry["Id"])].id: entry for entry in answer.get("Failed") or ()}
    return {message_id: batch_error(entry, "DeleteMessageBatch") for message_id, entry in failed.items()}


def _remember(entries: dict[str, Any], key: str, value: Any, most: int) -> None:
    """Add an entry at the end. Drop the oldest entry if there are more than `most`."""
    entries.pop(key, None)
    entries[key] = value
    if len(entries) > most:
        entries.pop(next(iter(entries)))
