"""Measure the stages of one execution, for the database and as telemetry events for the metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from aforo.telemetry.stages import stage
from core.video import Stage


class StageTimer:
    """Measure the stages of one execution, each by a block such as `with timer(Stage.FETCH):`.

    The field `seconds` has the seconds of each stage that has ended. Each of them is also sent to the worker's metrics.
    """

    def __init__(self) -> None:
        self.seconds: dict[Stage, float] = {}

    @contextmanager
    def __call__(self, name: Stage) -> Iterator[None]:
        """Measure the `with` block as a stage."""
        start = time.perf_counter()
        try:
            with stage(name):
                yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def columns(self) -> dict[str, float]:
        """Return the seconds of each stage of one execution, by column name of the table `executions`."""
        return {f"{name}_seconds": seconds for name, seconds in self.seconds.items()}
