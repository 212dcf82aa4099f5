"""Measurements at the start and the end of a task: its slot, its receive count, and its times.

The main process derives the queue wait of the message and the idle time of the slot from them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aforo.sqs.message import ReceivedMessage
from aforo.telemetry.slot_number import slot_number

#: Header with the send time, for brokers that do not store it, and for kombu before 5.5; SQS has SentTimestamp.
SENT_AT = "aforo_sent_at"


class Deliveries:
    """Send the start and the end of each task of this process, with the number of its slot."""

    def __init__(
        self,
        send: Callable[..., None],
        clock: Callable[[], float] = time.time,
        slot: Callable[[], int] = slot_number,
    ) -> None:
        self._send, self._clock, self._slot = send, clock, slot

    def begin(self, task: str, request: Any) -> None:
        """Send the delivery event of a task that starts now. `request` is Celery's `task.request`.

        The times are left out for a redelivery and where the send time is unknown.
        """
        message = ReceivedMessage.from_request(request)
        receive_count = message.receive_count if message else 1
        ready_at = _ready_at(request, message.sent_at if message else None)
        times = (
            {"ready_at": ready_at, "started_at": self._clock()} if ready_at is not None and receive_count == 1 else {}
        )
        self._send("delivery", task=task, slot=self._slot(), receive_count=receive_count, **times)

    def end(self) -> None:
        """Send the time from which the slot of this task is free."""
        self._send("slot_free", slot=self._slot(), at=self._clock())


def _ready_at(request: Any, sent_at: float | None) -> float | None:
    """Return the epoch time from which the task could start: its send time or its `eta`, the later one.

    Return None if the send time is unknown.
    """
    stamp = sent_at or getattr(request, SENT_AT, None)
    if not isinstance(stamp, (int, float)):
        return None
    return max(float(stamp), datetime.fromisoformat(request.eta).timestamp()) if request.eta else float(stamp)
