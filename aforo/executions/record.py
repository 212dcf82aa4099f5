"""Assemble the record of each execution: its times, slot, stages and outcome.

A record never contains arguments, results or exception texts of a task.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Deliveries whose start was seen and whose end was not. The oldest of more than these belong to killed children.
MAX_RUNNING = 10_000
MAX_STAGES = 32
#: A stage is a plain word. Any other name, which could be that of a video, counts as `other`.
STAGE_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
OTHER = "other"
MAX_SENT = 1000


@dataclass(frozen=True)
class Identity:
    """Facts about one delivery of a task, read from the task's message in the worker's main process.

    `task` is the task's name, and `task_id` Celery's id of the task. `root_id` is the id of the first task of the
    workflow. `run` is the run id that Aforo's injector wrote into the message, or None. `retries` is the number of
    retries before this delivery.
    """

    task: str
    task_id: str
    root_id: str | None
    run: str | None
    retries: int


@dataclass
class _Running:
    """What the process of the task has sent so far. Times are epoch seconds; None is unknown."""

    slot: int | None = None
    receive_count: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    queue_wait_seconds: float | None = None
    cpu_seconds: float | None = None
    stages: dict[str, float] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)


class Recorder:
    """Assemble one execution record for each delivery of a task.

    The method `observe` collects facts from telemetry events. The method `ended` passes the finished record to the
    function `keep`.
    """

    def __init__(self, keep: Callable[[Mapping[str, Any]], None], clock: Callable[[], float] = time.time) -> None:
        self._keep, self._clock = keep, clock
        self._running: OrderedDict[str, _Running] = OrderedDict()
        self._handlers: Mapping[str, Callable[[_Running, Mapping[str, Any]], None]] = {
            "delivery": _begin,
            "stage": _add_stage,
            "message_sent": _add_message,
            "slot_free": _end,
        }

    def observe(self, event: Mapping[str, Any]) -> None:
        """Add the facts of one telemetry event to the execution record of its delivery.

        Ignore an event that has no facts for a record, such as one about a receive call to SQS.
        """
        handler = self._handlers.get(event["kind"])
        if handler is not None and event.get("delivery"):
            handler(self._of(event["delivery"]), event)

    def ended(self, delivery: str, identity: Identity, outcome: str, reason: str | None, accepted_at: float) -> None:
        """Finish the execution record of a task that has ended, and pass the record to `keep`.

        `delivery` is the delivery key. `outcome` is a label value such as `succeeded`. `reason` is the failure reason,
        or None without a failure. An unknown start is recorded as `accepted_at` (epoch seconds). An unknown end is
        recorded as the current time.
        """
        running = self._running.pop(delivery, None) or _Running()
        self._keep(
            {
                **vars(identity),
                "receive_count": running.receive_count,
                "slot": running.slot,
                "started_at": accepted_at if running.started_at is None else running.started_at,
                "ended_at": self._clock() if running.ended_at is None else running.ended_at,
                "outcome": outcome,
                "reason": reason,
                "queue_wait_seconds": running.queue_wait_seconds,
                "cpu_seconds": running.cpu_seconds,
                "stages": running.stages,
                "sent": running.sent,
            }
        )

    def _of(self, delivery: str) -> _Running:
        if delivery not in self._running:
            self._running[delivery] = _Running()
            if len(self._running) > MAX_RUNNING:
                self._running.popitem(last=False)
        return self._running[delivery]


def _begin(running: _Running, event: Mapping[str, Any]) -> None:
    running.slot, running.started_at = event["slot"], event["started_at"]
    running.receive_count = event["receive_count"]
    if "ready_at" in event:
        running.queue_wait_seconds = max(0.0, event["started_at"] - event["ready_at"])


def _add_stage(running: _Running, event: Mapping[str, Any]) -> None:
    stages = running.stages
    name = event["stage"] if STAGE_NAME.fullmatch(event["stage"]) else OTHER
    if name in stages or len(stages) < MAX_STAGES:
        stages[name] = round(stages.get(name, 0.0) + event["seconds"], 6)


def _add_message(running: _Running, event: Mapping[str, Any]) -> None:
    if len(running.sent) < MAX_SENT:
        running.sent.append(event["task_id"])


def _end(running: _Running, event: Mapping[str, Any]) -> None:
    running.ended_at, running.cpu_seconds = event["at"], event.get("cpu_seconds")
