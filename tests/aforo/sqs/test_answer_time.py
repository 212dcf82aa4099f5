"""How long a receive call waits for its answer."""

from __future__ import annotations

import pytest

from aforo.sqs.answer_time import AnswerTime


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def answer_after(answer_time, clock, seconds, wait=0, has_messages=True):
    answer_time.sent(wait)
    clock.now += seconds
    answer_time.answered(has_messages)


def test_the_timeout_doubles_with_each_answer_that_does_not_come(clock):
    answer_time, timeouts = AnswerTime(clock), []
    for _ in range(4):
        timeouts.append((answer_time.timeout_seconds, answer_time.long_poll_seconds(10)))
        answer_time.failed(is_timeout=True)
    assert timeouts == [(3, 10), (6, 7), (10, 3), (10, 3)]


def test_another_failure_leaves_the_timeout_as_it_is(clock):
    answer_time = AnswerTime(clock)
    answer_time.failed(is_timeout=False)
    assert (answer_time.timeout_seconds, answer_time.is_known) == (3, True)


@pytest.mark.parametrize(
    ("seconds", "wait", "has_messages", "expected"),
    [(5, 0, True, 6), (1, 0, True, 3), (8, 7, False, 3), (12, 7, False, 6), (8, 7, True, 6)],
)
def test_the_timeout_is_short_again_after_an_answer_that_came_soon(seconds, wait, has_messages, expected, clock):
    answer_time = AnswerTime(clock)
    answer_time.failed(is_timeout=True)
    answer_after(answer_time, clock, seconds, wait, has_messages)
    assert answer_time.timeout_seconds == expected
    assert answer_time.is_known


def test_a_short_long_poll_stays_short(clock):
    assert AnswerTime(clock).long_poll_seconds(0) == 0
