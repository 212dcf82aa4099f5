"""Send times of the videos of a sustained run, for a load shape or a recorded trace.

The times are in seconds after the start of the run, ascending.
"""

from __future__ import annotations

import csv
import hashlib
import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.errors import UsageError
from core.load_shape import Part
from core.user_files import read_text

SECONDS_PER_MINUTE = 60.0
MOST_TIMES = 1_000_000
MOST_TRACE_BYTES = 200_000_000
TRACE_REMEDY = "give a CSV whose first column holds seconds or ISO 8601 times"
Arrivals = tuple[float, ...]


@dataclass(frozen=True)
class Trace:
    """Recorded send times of the videos of a run.

    `arrivals` has the times in seconds after the start of the run, ascending. `name` contains a digest of the times.
    """

    name: str
    arrivals: Arrivals

    @property
    def rate_per_minute(self) -> float:
        """Return the mean rate at which this trace sends videos, in videos per minute.

        The rate is (number of videos - 1) / (time from the first video to the last).
        """
        return SECONDS_PER_MINUTE * (len(self.arrivals) - 1) / self.arrivals[-1]


def poisson_arrivals(count: int, rate_per_minute: float, seed: int) -> Arrivals:
    """Return `count` random send times of a Poisson process, in seconds after the start, ascending.

    The times are sorted uniform random numbers in a window of `count` / `rate_per_minute` minutes. A Poisson process
    with `count` arrivals in the window has the same distribution (Ross, Introduction to Probability Models, theorem
    5.2). The same `seed` gives the same times.
    """
    window, uniform = count * SECONDS_PER_MINUTE / rate_per_minute, random.Random(seed)  # noqa: S311
    return tuple(sorted(uniform.random() * window for _ in range(count)))


def arrivals_of_parts(parts: tuple[Part, ...], count: int) -> Arrivals:
    """Return `count` send times that follow a load shape, in seconds after the start, ascending.

    `parts` are the parts of the shape, one after the other. Each part covers a share of the test window. Within a part,
    the rate changes linearly. Video k, from 0, is sent at the time t at which the integral of the rate from 0 to t is
    k.
    """
    mean = sum(part.share * part.mean for part in parts)
    arrivals: list[float] = []
    window, before, started = count * SECONDS_PER_MINUTE / mean, 0.0, 0.0
    for part in parts:
        seconds = part.share * window
        after = before + part.mean * seconds / SECONDS_PER_MINUTE
        while len(arrivals) < min(count, math.ceil(after - 1e-9)):
            arrivals.append(started + _seconds_until(part, seconds, len(arrivals) - before))
        before, started = after, started + seconds
    return tuple(arrivals)


def _seconds_until(part: Part, seconds: float, videos: float) -> float:
    """Return the time into a part of `seconds` at which `videos` have arrived.

    It is the root t of first·t + (last - first)·t²/(2·seconds) = videos, in the form that stays exact for equal rates.
    """
    first, slope = part.first / SECONDS_PER_MINUTE, (part.last - part.first) / SECONDS_PER_MINUTE / seconds
    return 2 * videos / (first + math.sqrt(max(0.0, first**2 + 2 * slope * videos)))


def read_trace(path: Path) -> Trace:
    """Read recorded send times from the first column of a CSV file: seconds, or ISO 8601 times.

    The earliest time is the start of the run. Lines may be in any order. A date without a time zone is UTC. A header
    line and empty cells are skipped. Raise UsageError if the file cannot be read, if another text is in the column, or
    if there are fewer than two different times.
    """
    text = read_text("TRACE", path, TRACE_REMEDY, MOST_TRACE_BYTES)
    try:
        words = [row[0].strip() for row in csv.reader(text.splitlines()) if row and row[0].strip()]
    except csv.Error as error:
        raise _no_trace(path, f"it cannot be read: {error}") from None
    if words and _seconds(words[0]) is None:
        del words[0]  # the header
    times = [seconds for word in words if (seconds := _seconds(word)) is not None]
    if len(times) < len(words):
        wrong = next(word for word in words if _seconds(word) is None)
        raise _no_trace(path, f"{wrong[:40]!r} in its first column is no time")
    if not 1 < len(times) <= MOST_TIMES or max(times) == min(times):
        raise _no_trace(path, f"it needs 2 to {MOST_TIMES} times, not all of them equal")
    times.sort()
    arrivals = tuple(round(time - times[0], 6) for time in times)
    digest = hashlib.sha256(repr(arrivals).encode()).hexdigest()
    return Trace(f"trace:{digest[:8]}", arrivals)


def _seconds(word: str) -> float | None:
    """Return the time in seconds since any fixed moment. Without a zone, a date is UTC."""
    try:
        seconds = float(word)
    except ValueError:
        try:
            moment = datetime.fromisoformat(word.replace("Z", "+00:00"))
        except ValueError:
            return None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return seconds if math.isfinite(seconds) else None


def _no_trace(path: Path, why: str) -> UsageError:
    return UsageError("TRACE", why, TRACE_REMEDY, value=path)
