"""Measure the stages of a task: named steps, each a `with` block or a call of `record_stage`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from celery import current_task

from aforo.telemetry import event_channel
from aforo.telemetry.task_result import current_delivery

#: In each thread: seconds of the stages that have ended inside the current one, and the names of the current ones.
_inner = threading.local()


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Context manager: measure the duration of the block as the stage `name` of the running task.

    A block that raises is measured too. The time of an inner stage is not counted for the outer stage. `name` becomes a
    metric label. Use a fixed word such as `download`.
    """
    start, outer_seconds, outer_names = time.perf_counter(), getattr(_inner, "seconds", 0.0), _names()
    _inner.seconds, _inner.names = 0.0, (*outer_names, name)
    try:
        yield
    finally:
        whole_seconds = time.perf_counter() - start
        _send(name, max(0.0, whole_seconds - _inner.seconds))
        _inner.seconds, _inner.names = outer_seconds + whole_seconds, outer_names


def record_stage(name: str, seconds: float) -> None:
    """Record that the stage `name` of the running task has just ended, and took `seconds`.

    Inside a `stage` block of another name, `seconds` is subtracted from the duration of that block. Inside a block of
    the same name, nothing is recorded.
    """
    if name in _names():
        return
    _inner.seconds = getattr(_inner, "seconds", 0.0) + seconds
    _send(name, seconds)


def _names() -> tuple[str, ...]:
    names: tuple[str, ...] = getattr(_inner, "names", ())
    return names


def _send(name: str, seconds: float) -> None:
    task = current_task.name if current_task else ""
    event_channel.send("stage", delivery=current_delivery(), task=task, stage=name, seconds=round(seconds, 6))
