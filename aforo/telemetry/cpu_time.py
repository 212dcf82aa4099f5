"""Count the CPU time of a block of code."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter


@contextmanager
def cpu_counted(counter: Counter) -> Iterator[None]:
    """Context manager: add the CPU seconds that this thread uses in the block to `counter`."""
    start = time.thread_time()
    try:
        yield
    finally:
        counter.inc(time.thread_time() - start)
