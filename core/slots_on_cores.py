"""Note on a worker with far more slots than its machine has cores."""

from __future__ import annotations

import math
import os

from aforo.cgroup import Cgroup

#: ffmpeg keeps a core busy. Four waiting programs per core hide every wait for storage.
MOST_SLOTS_PER_CORE = 4


def usable_cores() -> int:
    """Return the cores that this process may use, rounded up. A quota of its container counts."""
    cores = len(os.sched_getaffinity(0))
    quota = Cgroup().cpu_quota()
    return cores if quota is None else min(cores, math.ceil(quota.cores))


def many_slots_note(slots: int, cores: int) -> str | None:
    """Return the note for more than four slots per core, or None."""
    if slots <= MOST_SLOTS_PER_CORE * cores:
        return None
    return (
        f"{slots} slots on {cores} {'core' if cores == 1 else 'cores'}: the videos wait for each other, each takes "
        f"longer, and memory may run out; {MOST_SLOTS_PER_CORE * cores} or fewer process as many videos per minute"
    )
