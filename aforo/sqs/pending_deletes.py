"""Deletes finished messages: now, or, where SQS refuses, again and again until it does not.

Defect: kombu tries once, for up to five minutes, and a finished task runs again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aforo.sqs.connection import pause_seconds
from aforo.sqs.redelivery import Clients, Delivery, is_hopeless
from aforo.telemetry import event_channel
from aforo.telemetry.label_values import Operation

logger = logging.getLogger(__name__)
#: how long a debt waits at most for its next try: less than the keeper leaves of a usual visibility timeout
LONGEST_PAUSE_SECONDS = 15.0
#: what is remembered of one queue's debts, and of all receipt handles: the oldest are forgotten
LONGEST_DEBT = 10_000
KNOWN_DELETED = 10_000
LAST_TRY_SECONDS = 5.0


@dataclass
class _Account:
    """What is owed to one queue, by receipt handle, oldest first; `due` is the moment of the next try, monotonic."""

    owed: dict[str, Delivery] = field(default_factory=dict)
    failures: int = 0
    due: float = 0.0

    def put_off(self, delivery: Delivery) -> None:
        """Owe the delivery; the pause doubles with each failure in a row."""
        _remember(self.owed, delivery.handle, delivery, LONGEST_DEBT)
        self.failures += 1
        self.due = time.monotonic() + pause_seconds(self.failures, longest_seconds=LONGEST_PAUSE_SECONDS)

    def settle(self, delivery: Delivery) -> None:
        """Owe the delivery no more; queues that are owed much take turns."""
        self.owed.pop(delivery.handle, None)
        self.failures, self.due = 0, time.monotonic()


class Deletes:
    """Deletes at once what belongs to a queue that is owed nothing; a thread pays the others. Any thread may call.

    It is a thread, which lives while something is owed, and not a timer of the event loop: a silent SQS would hold up
    the loop with each try, and in a solo pool the task itself holds it up. `told` hears how many deletes are owed.
    """

    def __init__(self, clients: Clients, told: Callable[[int], None] = lambda owed: None) -> None:
        self._clients, self._told = clients, told
        self._known: dict[str, None] = {}
        self._accounts: dict[str, _Account] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def delete(self, delivery: Delivery) -> None:
        """Delete the message: now if its queue takes it, later if not."""
        with self._changed:
            _remember(self._known, delivery.handle, None, KNOWN_DELETED)
            account = self._accounts.setdefault(delivery.queue_url, _Account())
            must_wait = bool(account.owed)
            if must_wait:
                _remember(account.owed, delivery.handle, delivery, LONGEST_DEBT)
                self._tell()
        if not must_wait:
            self._try(account, delivery)

    def knows(self, delivery: Delivery) -> bool:
        """Say whether just this delivery was to be deleted before; a message that comes again has a new handle."""
        return delivery.handle in self._known

    def close(self) -> None:
        """Try once more what is owed, each queue until it refuses, for seconds; the rest comes again."""
        deadline = time.monotonic() + LAST_TRY_SECONDS
        with self._changed:
            accounts = list(self._accounts.values())
        for account in accounts:
            while account.owed and time.monotonic() < deadline:
                if not self._try(account, next(iter(account.owed.values()))):
                    break
        with self._changed:
            left = sum(len(account.owed) for account in accounts)
            self._accounts.clear()
            self._changed.notify()
        if left:
            logger.error("%d finished messages could not be deleted and will be delivered again", left)

    def _try(self, account: _Account, delivery: Delivery) -> bool:
        """Delete the message; say whether the queue may be asked for the next one."""
        error = self._refusal(delivery)
        is_over = error is None or is_hopeless(error)
        with self._changed:
            if error is not None and not account.failures:
                logger.warning("could not delete a finished message of %s: %s", delivery.queue, error)
            (account.settle if is_over else account.put_off)(delivery)
            self._tell()
            self._wake_thread()
        return is_over

    def _refusal(self, delivery: Delivery) -> Exception | None:
        try:
            self._clients(delivery.queue).delete_message(QueueUrl=delivery.queue_url, ReceiptHandle=delivery.handle)
        except Exception as error:  # SQS's, or that of a client that cannot be made: neither may end the worker
            event_channel.handled_error(Operation.DELETE)
            return error
        return None

    def _tell(self) -> None:
        self._told(sum(len(account.owed) for account in self._accounts.values()))

    def _wake_thread(self) -> None:
        if self._thread is None and any(account.owed for account in self._accounts.values()):
            self._thread = threading.Thread(target=self._pay, name="deletes", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _pay(self) -> None:
        while (due := self._next_due()) is not None:
            self._try(*due)

    def _next_due(self) -> tuple[_Account, Delivery] | None:
        """Wait for the debt that is due first; return None, and forget the thread, when nothing is owed."""
        with self._changed:
            while indebted := [account for account in self._accounts.values() if account.owed]:
                account = min(indebted, key=lambda other: other.due)
                wait_seconds = account.due - time.monotonic()
                if wait_seconds <= 0:
                    return account, next(iter(account.owed.values()))
                self._changed.wait(wait_seconds)
            self._thread = None
            return None


def _remember(known: dict[str, Any], key: str, value: Any, most: int) -> None:
    known[key] = value
    if len(known) > most:
        known.pop(next(iter(known)))
