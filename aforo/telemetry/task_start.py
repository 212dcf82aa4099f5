"""What the start of a task tells: how long its message waited, how often it came, how long the slot stood idle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aforo.sqs.message import ReceivedMessage

#: A header with the moment of sending, for brokers that do not tell it; SQS does (SentTimestamp).
SENT_AT = "aforo_sent_at"


class Deliveries:
    """Follows the tasks of each slot: a thread of this process, or of a child forked from it."""

    def __init__(self, tell: Callable[..., None], clock: Callable[[], float] = time.time) -> None:
        self._tell, self._clock = tell, clock
        self._slot = threading.local()

    def begin(self, task: str, request: Any) -> None:
        """Report the delivery of `request`, Celery's `task.request`, whose task begins now."""
        now, message = self._clock(), ReceivedMessage.from_request(request)
        facts: dict[str, Any] = {"receive_count": message.receive_count if message else 1}
        ready_at = _ready_at(request, message.sent_at if message else None)
        if ready_at is not None and facts["receive_count"] == 1:
            facts["queue_wait"] = max(0.0, now - ready_at)
            facts |= self._idle(now, ready_at)
        self._tell("delivery", task=task, **facts)

    def end(self) -> None:
        """Note that this slot's task has ended."""
        self._slot.idle_since = self._clock()

    def _idle(self, now: float, ready_at: float) -> dict[str, float]:
        """Return how long the slot stood idle while this message waited; nothing for its first task.

        A slot is not idle for want of work: what counts begins when the message was there to be taken.
        """
        idle_since = getattr(self._slot, "idle_since", None)
        return {} if idle_since is None else {"idle": max(0.0, now - max(idle_since, ready_at))}


def _ready_at(request: Any, sent_at: float | None) -> float | None:
    """Return when the message could have been worked on: sent, and past its `eta`; None where nobody says."""
    stamp = sent_at or getattr(request, SENT_AT, None)
    if not isinstance(stamp, int | float):
        return None
    return max(float(stamp), datetime.fromisoformat(request.eta).timestamp()) if request.eta else float(stamp)
