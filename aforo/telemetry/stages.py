"""Times the stages of a task."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from celery import current_task

from aforo.telemetry import event_channel
from core.video import Stage


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time the body of a `with` as a stage of the task being run; one that raises is timed too.

    `name` becomes a label: a word of your code (`download`), never a video's name.
    """
    begun = time.perf_counter()
    try:
        yield
    finally:
        seconds = round(time.perf_counter() - begun, 6)
        event_channel.report("stage", task=current_task.name if current_task else "", stage=name, seconds=seconds)


class StageTimer:
    """Collects the seconds of our task's stages for the database, and lets `stage` tell the metrics of each."""

    def __init__(self) -> None:
        self.seconds: dict[Stage, float] = {}

    @contextmanager
    def __call__(self, name: Stage) -> Iterator[None]:
        """Time the body of a `with`."""
        begun = time.perf_counter()
        try:
            with stage(name):
                yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun

    def columns(self) -> dict[str, float]:
        """Return the times under the names of the executions table's columns."""
        return {f"{name}_seconds": seconds for name, seconds in self.seconds.items()}
