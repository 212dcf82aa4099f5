"""Back-off: the pause doubles up to a limit, and half of the pause is random."""

from __future__ import annotations

from aforo.sqs.backoff import backoff_seconds
from aforo.sqs.redelivery import LONGEST_REDELIVERY_SECONDS, redelivery_seconds


def test_the_pause_doubles_with_each_delivery_up_to_a_limit():
    assert [redelivery_seconds(n, 5, jitter=1) for n in (1, 2, 3, 4)] == [5, 10, 20, 40]
    assert redelivery_seconds(1000, 5, jitter=1) == LONGEST_REDELIVERY_SECONDS


def test_half_of_the_pause_is_random():
    assert (redelivery_seconds(3, 5, jitter=0), redelivery_seconds(3, 5, jitter=1)) == (10, 20)
    assert all(10 <= redelivery_seconds(3, 5) <= 20 for _ in range(100))


def test_any_number_of_doublings_ends_at_the_limit():
    assert [backoff_seconds(n, 0.25, 4, jitter=1) for n in (0, 1, 4, 10_000)] == [0.25, 0.5, 4, 4]
