"""Make a schedule of random kills. The same seed gives the same schedule."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_PAUSE_SECONDS = 0.8


@dataclass(frozen=True)
class Kill:
    """One kill of the schedule.

    `victim` is the kind of process to kill. `choice`, a number from 0 to below 1, selects one of the processes of this
    kind. `pause_seconds` is the pause after the previous kill.
    """

    victim: str
    pause_seconds: float
    choice: float


def schedule(chance: random.Random, victims: Sequence[str], count: int) -> list[Kill]:
    """Return `count` random kills, drawn with the random numbers of `chance`.

    `victims` has the kinds of process to kill. A kind that occurs twice in `victims` is killed twice as often.
    """
    return [
        Kill(chance.choice(victims), chance.uniform(0, LONGEST_PAUSE_SECONDS), chance.random()) for _ in range(count)
    ]
