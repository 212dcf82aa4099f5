"""Stages of a task: named steps with measured durations."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from celery import current_task

from aforo.telemetry import event_channel
from aforo.telemetry.task_result import current_delivery


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Measure the `with` block as a stage of the running task, also if the block raises.

    `name` becomes a label value. Use a fixed word such as `download`, never the name of a video.
    """
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds = round(time.perf_counter() - start, 6)
        task = current_task.name if current_task else ""
        event_channel.send("stage", delivery=current_delivery(), task=task, stage=name, seconds=seconds)
