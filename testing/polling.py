"""Wait in tests and benchmarks until a condition is true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, seconds: float = 30.0, every: float = 0.05) -> T:
    """Call `condition()` every `every` seconds until it returns a true value. Return that value.

    After `seconds`, raise AssertionError. `what` describes the condition in the error message.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last value: {value!r}")
        time.sleep(every)
    return value


def seconds_until(condition: Callable[[], object], what: str, seconds: float = 120.0, every: float = 0.05) -> float:
    """Wait until `condition()` returns a true value. Return how many seconds that took.

    After `seconds`, raise AssertionError. `what` describes the condition in the error message. The pause between two
    calls is `every` seconds.
    """
    started = time.monotonic()
    until(condition, what, seconds, every)
    return time.monotonic() - started
