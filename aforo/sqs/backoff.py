"""Exponential back-off with random jitter, for the pause before a retried call or a redelivery."""

from __future__ import annotations

import random

#: with more doublings, every pause is at its limit
MOST_DOUBLINGS = 20


def backoff_seconds(doublings: int, first_seconds: float, longest_seconds: float, jitter: float | None = None) -> float:
    """Return the pause before the next attempt, in seconds. It is partly random.

    The longest possible pause is `first_seconds`, doubled `doublings` times, but at most `longest_seconds`. The result
    is half of that, plus a random share of the other half. `jitter`, from 0 to 1, replaces the random share.
    """
    share = random.random() if jitter is None else jitter  # noqa: S311 (it spreads calls and hides nothing)
    limit = min(longest_seconds, first_seconds * 2.0 ** min(doublings, MOST_DOUBLINGS))
    return limit * (1 + share) / 2
