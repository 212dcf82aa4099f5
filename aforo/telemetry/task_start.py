"""Measurements at the start of a task.

They are the queue wait of the message, its receive count, and the idle time of the slot before the task.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aforo.sqs.message import ReceivedMessage

#: Header with the send time, for brokers that do not store it, and for kombu before 5.5; SQS has SentTimestamp.
SENT_AT = "aforo_sent_at"


class Deliveries:
    """Record the start and end of the tasks of each slot.

    A slot is a thread of this process, or of a child forked from this process.
    """

    def __init__(self, send: Callable[..., None], clock: Callable[[], float] = time.time) -> None:
        self._send, self._clock = send, clock
        self._slot = threading.local()

    def begin(self, task: str, request: Any) -> None:
        """Send the delivery event of a task that starts now. `request` is Celery's `task.request`."""
        now, message = self._clock(), ReceivedMessage.from_request(request)
        facts: dict[str, Any] = {"receive_count": message.receive_count if message else 1}
        ready_at = _ready_at(request, message.sent_at if message else None)
        if ready_at is not None and facts["receive_count"] == 1:
            facts["queue_wait"] = max(0.0, now - ready_at)
            facts |= self._idle(now, ready_at)
        self._send("delivery", task=task, **facts)

    def end(self) -> None:
        """Record the end of this slot's task."""
        self._slot.idle_since = self._clock()

    def _idle(self, now: float, ready_at: float) -> dict[str, float]:
        """Return the seconds for which the slot was idle while this message waited.

        Before its first task, the idle time of a slot is unknown, and the result is empty. A slot without work is not
        idle, so the idle time starts no earlier than the time at which the message was ready.
        """
        idle_since = getattr(self._slot, "idle_since", None)
        return {} if idle_since is None else {"idle": max(0.0, now - max(idle_since, ready_at))}


def _ready_at(request: Any, sent_at: float | None) -> float | None:
    """Return the epoch time from which the task could start.

    It is the later of the send time and the task's `eta`. Return None if the send time is unknown.
    """
    stamp = sent_at or getattr(request, SENT_AT, None)
    if not isinstance(stamp, (int, float)):
        return None
    return max(float(stamp), datetime.fromisoformat(request.eta).timestamp()) if request.eta else float(stamp)
