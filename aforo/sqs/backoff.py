"""Exponential back-off with random jitter, for the pause before a retried call or a redelivery."""

from __future__ import annotations

import random

#: with more doublings, every pause is at its limit
MOST_DOUBLINGS = 20


def backoff_seconds(doublings: int, first_seconds: float, longest_seconds: float, jitter: float | None = None) -> float:
    """Return the pause before the next attempt, in seconds, with a random part.

    The pause is limit × (1 + jitter) / 2, where limit = min(longest_seconds, first_seconds × 2^doublings). If `jitter`
    is None, a random number from 0 to 1 is used.
    """
    share = random.random() if jitter is None else jitter  # noqa: S311 (it spreads calls and hides nothing)
    limit = min(longest_seconds, first_seconds * 2.0 ** min(doublings, MOST_DOUBLINGS))
    return limit * (1 + share) / 2
