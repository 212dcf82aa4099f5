"""Lose a poll of a worker without an error, and shorten the times after which the worker restarts itself."""

from __future__ import annotations

import itertools
import os
from typing import Any

from aforo.sqs import stall
from aforo.sqs.polling import PollingChannel

#: set once the poll is lost, so that the restarted program, which has the same environment, loses none
MARK = "AFORO_TEST_POLL_IS_LOST"


def lose_one_poll() -> None:
    """Make this process ignore the callback of its second poll, so that the process polls no more.

    The worker then restarts itself after 3 s. In the restarted program, this function does nothing.
    """
    if MARK in os.environ:
        return
    stall.STALL_SECONDS, stall.CHECK_SECONDS = 3.0, 0.5
    loop, answers = PollingChannel._loop1, itertools.count()

    def loop_or_lose(self: Any, queue: str, count: Any = None) -> None:
        if MARK not in os.environ and next(answers):
            os.environ[MARK] = "1"
        else:
            loop(self, queue, count)

    PollingChannel._loop1 = loop_or_lose  # type: ignore[method-assign]
