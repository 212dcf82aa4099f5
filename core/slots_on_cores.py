"""Warn the user if a worker has far more slots than its machine has cores."""

from __future__ import annotations

import math
import os

from aforo.cgroup import Cgroup

#: ffmpeg keeps a core busy. Four waiting programs per core hide every wait for storage.
MOST_SLOTS_PER_CORE = 4


def usable_cores() -> int:
    """Return how many cores this process may use, rounded up.

    A CPU quota of its container can lower the number.
    """
    cores = len(os.sched_getaffinity(0))
    quota = Cgroup().cpu_quota()
    return cores if quota is None else min(cores, math.ceil(quota.cores))


def many_slots_note(slots: int, cores: int) -> str | None:
    """Return a warning for the user if there are more than four slots per core, else None."""
    if slots <= MOST_SLOTS_PER_CORE * cores:
        return None
    return (
        f"{slots} slots on {cores} {'core' if cores == 1 else 'cores'}: the videos wait for each other, each takes "
        f"longer, and memory may run out; {MOST_SLOTS_PER_CORE * cores} or fewer process as many videos per minute"
    )
