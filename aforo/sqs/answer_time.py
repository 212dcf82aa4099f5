"""Timeout of the receive calls to one queue, adapted to how fast SQS answers."""

from __future__ import annotations

import time
from collections.abc import Callable

from aforo.sqs.connection import ANSWER_TIMEOUT_SECONDS

#: after a longer wait, a worker would not receive again within 15 s of the return of SQS
LONGEST_ANSWER_SECONDS = 10.0
#: the long poll and the wait for its answer together
LONGEST_CALL_SECONDS = 13


class AnswerTime:
    """Timeout of the next receive call to one queue, derived from how fast SQS answered before.

    The timeout (`timeout_seconds`) doubles after each call that timed out, up to a limit. A fast answer resets the
    timeout to its first value. `is_known` is False if the last call timed out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent_at, self._wait_seconds = clock(), 0.0
        self.timeout_seconds = float(ANSWER_TIMEOUT_SECONDS)
        self.is_known = True

    def long_poll_seconds(self, longest_seconds: int) -> int:
        """Return the long-poll time: how many seconds SQS may wait for messages before it answers.

        The result is at most `longest_seconds`. The result plus the attribute `timeout_seconds` is at most
        LONGEST_CALL_SECONDS.
        """
        return max(0, min(longest_seconds, int(LONGEST_CALL_SECONDS - self.timeout_seconds)))

    def sent(self, wait_seconds: float) -> None:
        """Record that a receive call was sent now. `wait_seconds` is its long-poll time."""
        self._sent_at, self._wait_seconds = self._clock(), wait_seconds

    def answered(self, has_messages: bool) -> None:
        """Record that SQS answered the receive call. After a fast answer, reset the timeout.

        A fast answer has a delay below ANSWER_TIMEOUT_SECONDS. With messages, the delay starts when the call is sent.
        Without messages, the delay starts when the long poll ends.
        """
        self.is_known = True
        lasted_seconds = self._clock() - self._sent_at
        if lasted_seconds - (0 if has_messages else self._wait_seconds) < ANSWER_TIMEOUT_SECONDS:
            self.timeout_seconds = float(ANSWER_TIMEOUT_SECONDS)

    def failed(self, is_timeout: bool) -> None:
        """Record that the receive call failed. If `is_timeout`, double the timeout of the next call.

        With `is_timeout`, the attribute `is_known` becomes False. The caller then tests whether SQS answers, before the
        next receive call.
        """
        self.is_known = not is_timeout
        if is_timeout:
            self.timeout_seconds = min(2 * self.timeout_seconds, LONGEST_ANSWER_SECONDS)
