"""Visibility heartbeat: keep a message invisible and its video's lease valid while the task runs."""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from aforo.sqs.due_thread import DueThread
from aforo.sqs.message import ReceivedMessage
from aforo.sqs.observer import ExtensionResult, Observer, Operation, SilentObserver
from aforo.sqs.redelivery import is_permanent

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

logger = logging.getLogger(__name__)
#: how long the end of the block waits for a tick in progress, which could undo the next visibility change
LEAVE_SECONDS = 5.0
_WORST_FIRST = (ExtensionResult.GONE, ExtensionResult.FAILED, ExtensionResult.OK)


class VisibilityHeartbeat:
    """Context manager that keeps a message invisible in SQS while its `with` block runs.

    A background thread ticks about three times per visibility timeout (`timeout_seconds`). Each tick calls `renew`,
    which renews the lease of the video. The tick then extends the visibility of the message, even if `renew` failed.

    - `renew` returns True: the lease is renewed.
    - `renew` returns False: the lease is lost. This tick is the last.
    - `renew` raises: the heartbeat logs the error. The next tick tries again.
    - `renew` returns None: `renew` failed and has logged the error. The next tick tries again.

    After SQS has delivered the message again, a tick renews only the lease. `observer` gets the result of each tick,
    but from then on only failures. A failed tick raises nothing in the task. The end of the block waits up to 5 s for a
    tick in progress.
    """

    def __init__(
        self,
        client: SQSClient,
        message: ReceivedMessage,
        timeout_seconds: float,
        renew: Callable[[], bool | None] = lambda: True,
        observer: Observer | None = None,
    ) -> None:
        self._client, self._message, self._renew = client, message, renew
        self.observer = observer or SilentObserver()
        self._timeout_seconds = timeout_seconds
        self._in_tick = threading.Lock()
        self._has_left = self._is_gone = False

    def __enter__(self) -> VisibilityHeartbeat:
        _thread_of(os.getpid()).schedule(self, self.interval_seconds())
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._has_left = True
        _thread_of(os.getpid()).cancel(self)
        if self._in_tick.acquire(timeout=LEAVE_SECONDS):
            self._in_tick.release()

    def interval_seconds(self) -> float:
        """Return the seconds until the next tick: a third of the visibility timeout, minus a random 0 to 10 %."""
        return self._timeout_seconds / 3 * random.uniform(0.9, 1)  # noqa: S311 (it spreads the calls)

    def tick(self) -> bool:
        """Renew the lease of the video, then extend the visibility of the message.

        Return True if another tick has to follow. Return False if the lease is lost or the `with` block has ended.
        """
        with self._in_tick:
            if self._has_left:
                return False
            # the lease first, so that a slow call to SQS does not delay it
            was_gone, lease, message = self._is_gone, self._renew_lease(), self._extend()
        # once SQS has delivered the message again, only the lease counts, and its success is not reported
        result = lease if was_gone else min(message, lease, key=_WORST_FIRST.index)
        if not was_gone or result != ExtensionResult.OK:
            self.observer.visibility_extended(result)
        return lease != ExtensionResult.GONE

    def _renew_lease(self) -> ExtensionResult:
        try:
            is_renewed = self._renew()
        except Exception as error:  # the lease may still be renewed by the next tick
            reason = str(error).strip().split("\n", 1)[0] or repr(error)
            logger.warning("could not renew the lease of a running task: %s", reason)
            is_renewed = None
        if is_renewed is None:
            return ExtensionResult.FAILED
        return ExtensionResult.OK if is_renewed else ExtensionResult.GONE

    def _extend(self) -> ExtensionResult:
        if self._is_gone:
            return ExtensionResult.GONE
        try:
            self._client.change_message_visibility(
                QueueUrl=self._message.queue_url,
                ReceiptHandle=self._message.receipt_handle,
                VisibilityTimeout=int(self._timeout_seconds),
            )
        except (ClientError, BotoCoreError) as error:
            logger.warning("could not extend the visibility of a message: %s", error)
            self._is_gone = is_permanent(error)
            return ExtensionResult.GONE if self._is_gone else ExtensionResult.FAILED
        return ExtensionResult.OK


def _tick(heartbeat: VisibilityHeartbeat) -> float | None:
    """Run one tick. Return the seconds until the next tick, or None after the last tick.

    An observer that raises must not end the other heartbeats.
    """
    try:
        goes_on = heartbeat.tick()
    except Exception:
        logger.exception("a tick of the visibility heartbeat failed")
        _count_failed_tick(heartbeat.observer)
        goes_on = True
    return heartbeat.interval_seconds() if goes_on else None


def _count_failed_tick(observer: Observer) -> None:
    """Count a tick that raised. An observer is code of the app, so it may raise anything, again and again."""
    try:
        observer.handled_error(Operation.EXTEND_VISIBILITY)
    except Exception:
        logger.exception("the observer could not count a failed tick of the visibility heartbeat")


@lru_cache(maxsize=1)
def _thread_of(_pid: int) -> DueThread[VisibilityHeartbeat]:
    """Return the heartbeat thread of this process. A forked child starts its own thread."""
    return DueThread("visibility", _tick)
