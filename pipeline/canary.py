"""A fixed piece of CPU work, timed before and after a run: a machine that changed meanwhile shows it here."""

from __future__ import annotations

import hashlib
import statistics
import time

REPETITIONS = 5
#: some 0.2 s on a core of 2021
ITERATIONS = 300_000


def canary_seconds() -> float:
    """Return the median time of the work, done five times on one core; one hiccup does not show in it."""
    return statistics.median(_timed() for _ in range(REPETITIONS))


def _timed() -> float:
    begun = time.perf_counter()
    hashlib.pbkdf2_hmac("sha256", b"canary", b"coal mine", ITERATIONS)
    return time.perf_counter() - begun
