"""CPU calibration: a fixed reference workload, timed before and after a run.

Different timings show that the CPU speed has changed.
"""

from __future__ import annotations

import hashlib
import time

#: About 2 s in all. The minimum hides a short disturbance. It shows exhausted CPU credits and a hot processor.
REPETITIONS = 20
ITERATIONS = 300_000


def calibration_seconds() -> float:
    """Return the shortest of 20 timings of the reference workload on one core, in seconds.

    On an otherwise idle machine, other virtual machines made single timings vary by 90 %. The minimum stayed within 1
    %.
    """
    return min(_timing_seconds() for _ in range(REPETITIONS))


def _timing_seconds() -> float:
    started = time.perf_counter()
    hashlib.pbkdf2_hmac("sha256", b"aforo", b"calibration", ITERATIONS)
    return time.perf_counter() - started
