"""CPU calibration: time a fixed piece of CPU work before and after a run.

Different timings mean that the speed of the CPU has changed.
"""

from __future__ import annotations

import hashlib
import time

#: About 0.7 s each. The minimum hides a short disturbance. It shows exhausted CPU credits and a hot processor.
REPETITIONS = 10
ITERATIONS = 300_000
REPEATS = 3
#: Neighbours slow a virtual machine for a second or more, so that one repeat may contain no undisturbed timing.
PAUSE_SECONDS = 0.5


def calibration_seconds() -> float:
    """Return how many seconds the fixed CPU work takes on one core: the shortest of several timings.

    A call takes about 3 s.
    """
    # One repeat is not enough: two in a row differed by over 5 % in 11 of 23 trials on an idle machine.
    return min(_repeat_seconds(after_pause=bool(number)) for number in range(REPEATS))


def _repeat_seconds(*, after_pause: bool) -> float:
    if after_pause:
        time.sleep(PAUSE_SECONDS)
    return min(_timing_seconds() for _ in range(REPETITIONS))


def _timing_seconds() -> float:
    started = time.perf_counter()
    hashlib.pbkdf2_hmac("sha256", b"aforo", b"calibration", ITERATIONS)
    return time.perf_counter() - started
