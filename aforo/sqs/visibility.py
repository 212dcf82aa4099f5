"""Keeps a message invisible while its task runs, and the claim's lease alive with it."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from aforo.sqs.redelivery import is_hopeless
from aforo.telemetry import event_channel
from aforo.telemetry.label_values import Operation

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

logger = logging.getLogger(__name__)
#: what leaving a keeper waits for an extension under way, so that it cannot undo what is done with the message next
LAST_EXTENSION_SECONDS = 5.0

OK, FAILED, GONE = "ok", "failed", "gone"


@dataclass(frozen=True)
class Receipt:
    """One delivery as SQS identifies it; `sent_at` is epoch seconds, None where the broker does not say."""

    queue_url: str
    handle: str
    receive_count: int
    sent_at: float | None


def receipt_of(request: Any) -> Receipt | None:
    """Return the receipt of the task being run (`self.request`), None when its broker is not SQS."""
    delivery = (request.properties or {}).get("delivery_info") or {}
    message = delivery.get("sqs_message")
    if not message:
        return None
    attributes = message.get("Attributes", {})
    sent = attributes.get("SentTimestamp")
    return Receipt(
        queue_url=delivery["sqs_queue"],
        handle=message["ReceiptHandle"],
        receive_count=int(attributes.get("ApproximateReceiveCount", 1)),
        sent_at=int(sent) / 1000 if sent else None,
    )


class VisibilityKeeper:
    """Hides a message again, and calls `renew`, every third of the timeout while its `with` block runs.

    `client` is an SQS client with short timeouts. `renew` renews whatever lease goes with the message and returns False
    when it is lost. `told` hears of each round: "ok", "failed" (it is tried again) or "gone" (message or lease belong
    to another). Neither failure reaches the task.

    The rounds end with the lease. A message that is gone, because SQS was away for longer than the timeout, is
    delivered again: the lease is renewed without it, so that the second delivery finds the work in hand, and `told`
    hears of that only where it fails.
    """

    def __init__(
        self,
        client: SQSClient,
        receipt: Receipt,
        timeout_seconds: float,
        renew: Callable[[], bool] = lambda: True,
        told: Callable[[str], None] = lambda result: None,
    ) -> None:
        self._client, self._receipt, self._renew, self._told = client, receipt, renew, told
        self._timeout_seconds = timeout_seconds
        self._at_work = threading.Lock()
        self._left = self._is_gone = False

    def __enter__(self) -> VisibilityKeeper:
        _rounds_of(os.getpid()).add(self)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._left = True
        _rounds_of(os.getpid()).remove(self)
        if self._at_work.acquire(timeout=LAST_EXTENSION_SECONDS):
            self._at_work.release()

    def pause_seconds(self) -> float:
        """Return the time to the next round: a third of the timeout, a tenth of it less or not, by chance."""
        return self._timeout_seconds / 3 * random.uniform(0.9, 1)  # noqa: S311 (spreads the calls)

    def go_round(self) -> bool:
        """Renew and extend once, the lease first: SQS may be silent; say whether another round makes sense."""
        with self._at_work:
            if self._left:
                return False
            was_gone, lease, message = self._is_gone, self._renewed(), self._extended()
        result = lease if was_gone else min(message, lease, key=(GONE, FAILED, OK).index)
        if not was_gone or result != OK:
            self._told(result)
        return lease != GONE

    def _extended(self) -> str:
        if self._is_gone:
            return GONE
        result = _hide(self._client, self._receipt, self._timeout_seconds)
        self._is_gone = result == GONE
        return result

    def _renewed(self) -> str:
        try:
            return OK if self._renew() else GONE
        except Exception:  # a lease that cannot be renewed now is a lease at risk, not the end of the task
            logger.warning("could not renew the lease of a running task", exc_info=True)
            return FAILED


class _Rounds:
    """The one thread of a process that serves all its keepers; it ends when the last one leaves."""

    def __init__(self) -> None:
        self._due: dict[VisibilityKeeper, float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, keeper: VisibilityKeeper) -> None:
        with self._changed:
            self._due[keeper] = time.monotonic() + keeper.pause_seconds()
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="visibility", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, keeper: VisibilityKeeper) -> None:
        with self._changed:
            self._due.pop(keeper, None)
            self._changed.notify()

    def _serve(self) -> None:
        while (keeper := self._next_due()) is not None:
            goes_on = _survive(keeper.go_round)
            with self._changed:
                if goes_on and keeper in self._due:
                    self._due[keeper] = time.monotonic() + keeper.pause_seconds()
                else:
                    self._due.pop(keeper, None)

    def _next_due(self) -> VisibilityKeeper | None:
        """Wait for the keeper whose round is due; return None, and forget the thread, when there is none left."""
        with self._changed:
            while self._due:
                keeper = min(self._due, key=lambda waiting: self._due[waiting])
                wait_seconds = self._due[keeper] - time.monotonic()
                if wait_seconds <= 0:
                    return keeper
                self._changed.wait(wait_seconds)
            self._thread = None
            return None


def _survive(go_round: Callable[[], bool]) -> bool:
    """Do the round; an observer that raises must not end the rounds of others."""
    try:
        return go_round()
    except Exception:
        event_channel.handled_error(Operation.EXTEND_VISIBILITY)
        logger.exception("a round of the visibility keeper failed")
        return True


@lru_cache(maxsize=1)
def _rounds_of(_pid: int) -> _Rounds:
    return _Rounds()


def _hide(client: SQSClient, receipt: Receipt, seconds: float) -> str:
    try:
        client.change_message_visibility(
            QueueUrl=receipt.queue_url, ReceiptHandle=receipt.handle, VisibilityTimeout=int(seconds)
        )
    except (ClientError, BotoCoreError) as error:
        logger.warning("could not change how long a message stays invisible: %s", error)
        return GONE if is_hopeless(error) else FAILED
    return OK
