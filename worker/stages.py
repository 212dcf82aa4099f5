"""Times the stages of one task."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.video import Stage


class StageTimer:
    """Collects seconds by stage on the monotonic clock; a stage that raises is timed too."""

    def __init__(self) -> None:
        self.seconds: dict[Stage, float] = {}

    @contextmanager
    def __call__(self, stage: Stage) -> Iterator[None]:
        """Time the body of a `with`."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begun

    def columns(self) -> dict[str, float]:
        """Return the times under the names of the attempts table's columns."""
        return {f"{stage}_seconds": seconds for stage, seconds in self.seconds.items()}
