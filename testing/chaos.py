"""Schedules of random kills, which a seed repeats."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_PAUSE_SECONDS = 0.8


@dataclass(frozen=True)
class Kill:
    """One kill of the schedule.

    `victim` is the kind of process to kill. `choice` selects one of those processes. `pause_seconds` is the pause after
    the previous kill.
    """

    victim: str
    pause_seconds: float
    choice: float


def schedule(chance: random.Random, victims: Sequence[str], count: int) -> list[Kill]:
    """Return `count` kills. A victim that occurs twice in `victims` is killed twice as often."""
    return [
        Kill(chance.choice(victims), chance.uniform(0, LONGEST_PAUSE_SECONDS), chance.random()) for _ in range(count)
    ]
