"""Polling until a condition is true, in tests and benchmarks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, seconds: float = 30.0, every: float = 0.05) -> T:
    """Poll `condition()` until its value is true, and return that value.

    After `seconds`, raise AssertionError with the text `what`.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last value: {value!r}")
        time.sleep(every)
    return value


def seconds_until(condition: Callable[[], object], what: str, seconds: float = 120.0, every: float = 0.05) -> float:
    """Wait for `condition()` as `until` does. Return the elapsed seconds."""
    started = time.monotonic()
    until(condition, what, seconds, every)
    return time.monotonic() - started
