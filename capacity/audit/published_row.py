"""Rows of a published result table: printed numbers, each with the range that rounds to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from core.run import Mode

RATE_SLACK = 1.01  # a generator within 1 % of its target is on target

#: numbers outside are typing errors, and their squares would overflow a double
SMALLEST, LARGEST = Decimal("1e-12"), Decimal("1e15")


@dataclass(frozen=True, slots=True)
class Printed:
    """A printed number and the range of values that round to it."""

    value: float
    low: float
    high: float

    @classmethod
    def parse(cls, text: str) -> Printed:
        """Return the number with its rounding range: half a unit of its last digit on either side.

        Raise ValueError for text that is not such a number.
        """
        text = text.strip()
        if not text.isascii() or "_" in text:
            raise ValueError(f"not a plain number: {text!r}")
        try:
            exact = Decimal(text)
        except ArithmeticError as error:
            raise ValueError(f"not a number: {text!r}") from error
        if not exact.is_finite():
            raise ValueError(f"not a finite number: {text!r}")
        if exact and not SMALLEST <= abs(exact) <= LARGEST:
            raise ValueError(f"outside the range of a measurement: {text!r}")
        half = 0.5 * 10.0 ** int(exact.as_tuple().exponent)
        return cls(float(exact), float(exact) - half, float(exact) + half)


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row as published. None marks a blank cell."""

    size: str
    concurrency: int
    mode: Mode
    count: int
    x: Printed | None
    s: Printed | None
    p50: Printed | None = None
    rate: float | None = None

    @property
    def makespan_seconds(self) -> float:
        """Return the longest test duration in seconds that the count and the rounded X allow.

        The duration is infinite when count and X set no limit.
        """
        return 60 * self.count / self.x.low if self.x is not None and self.x.low > 0 else math.inf

    @property
    def ladder(self) -> tuple[str, Mode]:
        """Return size and mode in one spelling.

        Rows with the same size and mode differ only in concurrency or rate.
        """
        return self.size.replace(" ", "").casefold(), self.mode
