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

    An answer that comes after the timeout is lost. SQS delivers its messages again later. So the timeout doubles after
    each call that timed out, up to a limit. A fast answer sets it back to its first value.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent_at, self._wait_seconds = clock(), 0.0
        self.timeout_seconds = float(ANSWER_TIMEOUT_SECONDS)
        self.is_known = True

    def long_poll_seconds(self, longest_seconds: int) -> int:
        """Return the long-poll time: how many seconds SQS may wait for messages before it answers.

        The result plus the attribute `timeout_seconds` is at most LONGEST_CALL_SECONDS. Within that limit, the result
        is as long as possible, from 0 to `longest_seconds`.
        """
        return max(0, min(longest_seconds, int(LONGEST_CALL_SECONDS - self.timeout_seconds)))

    def sent(self, wait_seconds: float) -> None:
        """Record that a receive call was sent now. `wait_seconds` is its long-poll time."""
        self._sent_at, self._wait_seconds = self._clock(), wait_seconds

    def answered(self, has_messages: bool) -> None:
        """Record that SQS answered the receive call. After a fast answer, set the timeout to its first value.

        An answer is fast if its delay is below ANSWER_TIMEOUT_SECONDS. An answer with messages can come at any time, so
        its delay is the time since the call was sent. An answer without messages comes after the long poll, so its
        delay is the time since the end of the long poll.
        """
        self.is_known = True
        lasted_seconds = self._clock() - self._sent_at
        if lasted_seconds - (0 if has_messages else self._wait_seconds) < ANSWER_TIMEOUT_SECONDS:
            self.timeout_seconds = float(ANSWER_TIMEOUT_SECONDS)

    def failed(self, is_timeout: bool) -> None:
        """Record that the receive call failed. If it timed out, double the timeout of the next call.

        The attribute `is_known` says whether the state of SQS is known. A timeout sets it to False, because SQS may be
        slow or down. The caller then tests whether SQS answers, before it receives again.
        """
        self.is_known = not is_timeout
        if is_timeout:
            self.timeout_seconds = min(2 * self.timeout_seconds, LONGEST_ANSWER_SECONDS)
