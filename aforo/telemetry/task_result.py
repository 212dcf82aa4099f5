"""Result that a running task reports: an outcome other than `succeeded`, and figures of its video."""

from __future__ import annotations

import os
from typing import Any

from celery import current_task

from aforo.telemetry import event_channel


def record_result(outcome: str = "", **measurements: Any) -> None:
    """Report the outcome and measurements of the running task. Call this as the last step of the task.

    `outcome` is one of DECLARED_OUTCOMES, or empty for `succeeded`. It is ignored if the task then raises an error or
    its process dies.

    The `measurements` are counted at once, even if the task fails later. They are keyword arguments. `bytes` is a dict
    with the downloaded bytes as `in` and the uploaded bytes as `out`. `speed`, `cpu_seconds`, `cores` and
    `max_rss_bytes` are figures of ffmpeg.
    """
    event_channel.send("result", delivery=current_delivery(), outcome=outcome, **measurements)


def current_delivery() -> str:
    """Return the delivery key of the task that runs in this thread, or '' outside of a task.

    The key identifies one delivery of a task. See the function `delivery_key`.
    """
    return delivery_of(current_task.request) if current_task else ""


def delivery_of(request: Any) -> str:
    """Return the delivery key of a task in this process. `request` is Celery's `task.request`.

    The key identifies one delivery of the task. See the function `delivery_key`.
    """
    return delivery_key(os.getpid(), request.id, request.properties)


def delivery_key(pid: int, task_id: str, properties: dict[str, Any] | None) -> str:
    """Return the delivery key: a text that identifies one delivery of a task to one process.

    It is made of the process id and the message's delivery tag. Without a tag, the task id takes its place. The task id
    alone is not enough, because two deliveries of a task may run at the same time. `properties` are the properties of
    the message.
    """
    return f"{pid} {(properties or {}).get('delivery_tag') or task_id}"
