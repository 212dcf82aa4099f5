"""Load shapes: how the videos of a sustained run are spread over its test window.

A shape yields the arrivals, which are the send times in seconds after the start of the run, in ascending order.
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
from core.rate import parse_rate
from core.run import POISSON

SECONDS_PER_MINUTE = 60.0
MOST_TIMES = 1_000_000
#: share of the window that a spike lasts, in its middle
SPIKE_SHARE = 0.1
FORMS = "poisson, ramp:5-30, steps:5,10,20 or spike:5-60, with rates in videos per minute"
Arrivals = tuple[float, ...]


@dataclass(frozen=True)
class Part:
    """Part of a load shape: during a share (0 to 1) of the test window, the rate changes linearly.

    The rate goes from `first` to `last`, in videos per minute.
    """

    share: float
    first: float
    last: float

    @property
    def mean(self) -> float:
        """Return the mean rate during this part of a load shape, in videos per minute."""
        return (self.first + self.last) / 2


@dataclass(frozen=True)
class LoadShape:
    """Load shape that the option SHAPE names.

    Without `parts`, the videos are sent at random times with a constant mean rate.
    """

    name: str
    parts: tuple[Part, ...] = ()

    @property
    def mean_rate_per_minute(self) -> float | None:
        """Return the mean rate of this load shape, in videos per minute.

        Return None if the shape has no rate of its own. The option RATE then gives the rate.
        """
        return sum(part.share * part.mean for part in self.parts) if self.parts else None


@dataclass(frozen=True)
class Trace:
    """Recorded arrivals, which are send times of videos that a run repeats.

    `name` holds a digest of the times, so two different traces never count as the same load shape.
    """

    name: str
    arrivals: Arrivals

    @property
    def rate_per_minute(self) -> float:
        """Return the mean rate at which this trace sends videos, in videos per minute.

        It is the number of gaps between the videos, divided by the time from the first video to the last.
        """
        return SECONDS_PER_MINUTE * (len(self.arrivals) - 1) / self.arrivals[-1]


def parse_shape(text: str) -> LoadShape:
    """Parse the value of the option SHAPE. Raise UsageError for anything but the forms in FORMS."""
    kind, _, rates = text.partition(":")
    if text == POISSON:
        return LoadShape(text)
    if kind == "steps":
        steps = [_rate(word, text) for word in rates.split(",")]
        return LoadShape(text, tuple(Part(1 / len(steps), rate, rate) for rate in steps))
    first, _, last = rates.partition("-")
    if kind == "ramp":
        return LoadShape(text, (Part(1.0, _rate(first, text), _rate(last, text)),))
    if kind == "spike":
        base, peak = _rate(first, text), _rate(last, text)
        calm = Part((1 - SPIKE_SHARE) / 2, base, base)
        return LoadShape(text, (calm, Part(SPIKE_SHARE, peak, peak), calm))
    raise UsageError("SHAPE", "there is no such shape", f"give {FORMS}", value=text)


def _rate(word: str, text: str) -> float:
    try:
        return parse_rate(word)
    except UsageError:
        raise UsageError("SHAPE", f"{word or 'an empty word'} is no rate", f"give {FORMS}", value=text) from None


def poisson_arrivals(count: int, rate_per_minute: float, seed: int) -> Arrivals:
    """Return `count` random send times, in seconds after the start, as a Poisson process yields them.

    They lie in a window of length count/rate. Given their number, the arrivals of a Poisson process are independent and
    uniform (Ross, Introduction to Probability Models, theorem 5.2). So the offered rate of the run is exactly the
    requested rate, and the gaps have a coefficient of variation near 1. `seed` makes the result reproducible.
    """
    window, uniform = count * SECONDS_PER_MINUTE / rate_per_minute, random.Random(seed)  # noqa: S311
    return tuple(sorted(uniform.random() * window for _ in range(count)))


def arrivals_of_parts(parts: tuple[Part, ...], count: int) -> Arrivals:
    """Return `count` send times, in seconds after the start, that follow the rate of these parts.

    A video is due whenever the integral of the rate reaches 0, 1, …, count - 1.
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

    A header is allowed. The first time is the start of the run. Raise UsageError for a file without such times.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            words = [row[0].strip() for row in csv.reader(file) if row and row[0].strip()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
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
    return UsageError("TRACE", why, "give a CSV whose first column holds seconds or ISO 8601 times", value=path)
