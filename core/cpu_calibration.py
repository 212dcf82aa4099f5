"""A fixed piece of CPU work, timed before and after a run: a machine that changed meanwhile shows it here."""

from __future__ import annotations

import hashlib
import time

#: some 2 s in all: a neighbour comes and goes, lost credits and a hot processor stay
REPETITIONS = 20
ITERATIONS = 300_000


def canary_seconds() -> float:
    """Return the least time of the work, done twenty times on one core: what the machine can do at all.

    On an idle machine whose neighbours made single times vary by 90 %, least times stayed within 1 %.
    """
    return min(_timed() for _ in range(REPETITIONS))


def _timed() -> float:
    begun = time.perf_counter()
    hashlib.pbkdf2_hmac("sha256", b"canary", b"coal mine", ITERATIONS)
    return time.perf_counter() - begun
