"""Send the outcome and figures of a running task to the worker's metrics, and make its delivery key."""

from __future__ import annotations

import os
from typing import Any

from celery import current_task

from aforo.telemetry import event_channel


def record_result(outcome: str = "", **measurements: Any) -> None:
    """Send the outcome and the figures of the running task to the metrics of its worker.

    Call this as the last step of the task. `outcome` is `retried`, `duplicate` or `superseded`, or empty for
    `succeeded`. If the task fails afterwards, `outcome` is ignored, but the figures still count. The figures are
    keyword arguments:

    - `bytes`: a dict with the downloaded bytes as `in` and the uploaded bytes as `out`.
    - `speed`: seconds of video that ffmpeg processed per second of its run time.
    - `cpu_seconds`: CPU seconds of ffmpeg.
    - `cores`: mean number of cores that ffmpeg kept busy.
    - `max_rss_bytes`: largest resident memory of ffmpeg.
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

    `pid` is the id of the process. `properties` are the properties of the message, with its delivery tag. If the tag is
    missing, `task_id` is used instead.
    """
    # the task id alone is ambiguous: two deliveries of a task can run at the same time
    return f"{pid} {(properties or {}).get('delivery_tag') or task_id}"
