"""Send telemetry events at the start and at the end of a task, with its slot, receive count and times.

From these events the main process computes the queue wait of the message and the idle time of the slot.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aforo.sqs.message import ReceivedMessage
from aforo.telemetry.slot_number import slot_number
from aforo.telemetry.task_result import delivery_of

#: Header with the send time, for brokers that do not store it, and for kombu before 5.5; SQS has SentTimestamp.
SENT_AT = "aforo_sent_at"
#: Header with the id of the run, which the injector writes into the messages of an app's task.
RUN_ID = "aforo_run_id"


class Deliveries:
    """Sender of telemetry events at the start and at the end of each task of this process.

    `cpu_seconds` is a function that returns the CPU seconds of this process and its ended children. Pass None for a
    pool of threads. No CPU seconds are sent then.
    """

    def __init__(
        self,
        send: Callable[..., None],
        clock: Callable[[], float] = time.time,
        slot: Callable[[], int] = slot_number,
        cpu_seconds: Callable[[], float] | None = None,
    ) -> None:
        self._send, self._clock, self._slot, self._cpu_seconds = send, clock, slot, cpu_seconds
        self._cpu_at_start: float | None = None

    def begin(self, task: str, request: Any) -> None:
        """Send the event `delivery` for a task that starts now. `request` is Celery's `task.request`.

        The field `ready_at` of the event is the epoch time at which the queue wait begins. Only the event of a first
        delivery with a known send time has this field.
        """
        message = ReceivedMessage.from_request(request)
        receive_count = message.receive_count if message else 1
        ready_at = _ready_at(request, message.sent_at if message else None)
        facts = {"ready_at": ready_at} if ready_at is not None and receive_count == 1 else {}
        self._cpu_at_start = self._cpu_seconds() if self._cpu_seconds else None
        self._send(
            "delivery",
            delivery=delivery_of(request),
            task=task,
            slot=self._slot(),
            receive_count=receive_count,
            started_at=self._clock(),
            **facts,
        )

    def end(self, request: Any) -> None:
        """Send the event `slot_free` for a task that ends now. `request` is Celery's `task.request`.

        The event has the current epoch time and, if measured, the CPU seconds that the task used.
        """
        facts = {}
        if self._cpu_seconds is not None and self._cpu_at_start is not None:
            facts["cpu_seconds"] = round(self._cpu_seconds() - self._cpu_at_start, 6)
        self._send("slot_free", delivery=delivery_of(request), slot=self._slot(), at=self._clock(), **facts)

    def sent(self, request: Any, task_id: str) -> None:
        """Send the event `message_sent`: a running task has sent the message of another task.

        `request` is Celery's `task.request` of the running task. `task_id` is the id of the other task.
        """
        self._send("message_sent", delivery=delivery_of(request), task_id=task_id)


def used_cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its ended child programs."""
    used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _ready_at(request: Any, sent_at: float | None) -> float | None:
    """Return the epoch time from which the task could start: its send time or its `eta`, the later one.

    Return None if the send time is unknown.
    """
    stamp = sent_at or getattr(request, SENT_AT, None)
    if not isinstance(stamp, (int, float)):
        return None
    return max(float(stamp), datetime.fromisoformat(request.eta).timestamp()) if request.eta else float(stamp)
