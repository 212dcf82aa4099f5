"""How long a receive call of one queue may wait for its answer."""

from __future__ import annotations

import time
from collections.abc import Callable

from aforo.sqs.connection import ANSWER_TIMEOUT_SECONDS

#: after a longer wait, a worker would not receive again within 15 s of the return of SQS
LONGEST_ANSWER_SECONDS = 10.0
#: the long poll and the wait for its answer together
LONGEST_CALL_SECONDS = 13


class AnswerTime:
    """The timeout of the next answer of one queue, from the answers before.

    It doubles with each answer that does not come, so that slow answers are taken. Messages in an answer that nobody
    takes are lost deliveries. It is short again after an answer that came soon.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent_at, self._wait_seconds = clock(), 0.0
        self.timeout_seconds = float(ANSWER_TIMEOUT_SECONDS)
        self.is_known = True

    def long_poll_seconds(self, longest_seconds: int) -> int:
        """Return the long-poll time that leaves room for a slow answer."""
        return max(0, min(longest_seconds, int(LONGEST_CALL_SECONDS - self.timeout_seconds)))

    def sent(self, wait_seconds: float) -> None:
        """Note a receive call with this long-poll time."""
        self._sent_at, self._wait_seconds = self._clock(), wait_seconds

    def answered(self, has_messages: bool) -> None:
        """Note the answer. An empty answer comes after the long poll, one with messages at any time."""
        self.is_known = True
        lasted_seconds = self._clock() - self._sent_at
        if lasted_seconds - (0 if has_messages else self._wait_seconds) < ANSWER_TIMEOUT_SECONDS:
            self.timeout_seconds = float(ANSWER_TIMEOUT_SECONDS)

    def failed(self, is_timeout: bool) -> None:
        """Note a failed call. After a timeout it is not known whether SQS answers at all."""
        self.is_known = not is_timeout
        if is_timeout:
            self.timeout_seconds = min(2 * self.timeout_seconds, LONGEST_ANSWER_SECONDS)
