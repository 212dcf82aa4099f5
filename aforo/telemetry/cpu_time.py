"""CPU time of a block of code, added to a counter."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter


@contextmanager
def cpu_counted(counter: Counter) -> Iterator[None]:
    """Add the CPU seconds that this thread uses in the `with` block to `counter`."""
    start = time.thread_time()
    try:
        yield
    finally:
        counter.inc(time.thread_time() - start)
