"""Load shapes, which the `make` option SHAPE selects.

A load shape says how the rate of a sustained run changes while the run sends its videos.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import UsageError
from core.rate import parse_rate
from core.run import POISSON

#: share of the window that a spike lasts, in its middle
SPIKE_SHARE = 0.1
FORMS = "poisson, ramp:5-30, steps:5,10,20 or spike:5-60, with rates in videos per minute"


@dataclass(frozen=True)
class Part:
    """Part of a load shape: a period in which the rate changes linearly from `first` to `last`.

    Both rates are in videos per minute. `share` is the length of the period, as a share (0 to 1) of the time in which
    the run sends its videos.
    """

    share: float
    first: float
    last: float

    @property
    def mean(self) -> float:
        """Return the mean rate during this part, in videos per minute."""
        return (self.first + self.last) / 2


@dataclass(frozen=True)
class LoadShape:
    """Load shape of a sustained run: its name, as the option SHAPE gives it, and its parts in order.

    The shape `poisson` has no parts. Its videos arrive at random, at the mean rate of the option RATE.
    """

    name: str
    parts: tuple[Part, ...] = ()

    @property
    def mean_rate_per_minute(self) -> float | None:
        """Return the mean rate of the whole shape in videos per minute.

        Return None for a shape without parts (`poisson`). The option RATE gives its mean rate.
        """
        return sum(part.share * part.mean for part in self.parts) if self.parts else None


def parse_shape(text: str) -> LoadShape:
    """Parse the value of the option SHAPE, such as `ramp:5-30`, and return its load shape.

    Raise UsageError for a value in no known form. The constant FORMS lists the forms.
    """
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
