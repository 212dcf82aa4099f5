"""A row of a published result table. Each printed number has the range of values that round to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from core.errors import UsageError
from core.run import Mode
from core.size import parse_size

RATE_SLACK = 1.01  # a generator within 1 % of its target is on target

#: decimal exponents of a measurement; other numbers are typing errors, and their squares would overflow a double
SMALLEST_EXPONENT, LARGEST_EXPONENT = -12, 15
#: least relative rounding range: figures printed in full have the rounding of the sums behind them
FULL_PRECISION = 1e-9


@dataclass(frozen=True, slots=True)
class Printed:
    """A printed number: its value, and the lowest and highest value that would be printed the same."""

    value: float
    low: float
    high: float

    @classmethod
    def parse(cls, text: str) -> Printed:
        """Parse a printed number, and determine the range of values that round to it.

        `9.05` stands for 9.045 to 9.055, and `≥ 9.05` for 9.045 to infinity. Raise ValueError if the text is not a
        number, or if the number is too large or too small for a measurement.
        """
        digits = text.strip()
        is_bound = digits.startswith("≥")
        exact = _exact(digits.removeprefix("≥").strip())
        half = max(0.5 * 10.0 ** int(exact.as_tuple().exponent), FULL_PRECISION * abs(float(exact)))
        return cls(float(exact), float(exact) - half, math.inf if is_bound else float(exact) + half)


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row of a result table as somebody published it.

    A number that the row lacks is None, except `workers` and `runs`, which are then 1.

    - `concurrency`: slots of one worker.
    - `count`: videos of the test.
    - `x`: throughput in videos per minute.
    - `s`, `p50`: mean and median response time in seconds.
    - `rate`: offered videos per minute.
    - `runs`: number of runs whose mean the row shows.
    """

    size: str
    concurrency: int
    mode: Mode
    count: int | None
    x: Printed | None
    s: Printed | None
    p50: Printed | None = None
    rate: float | None = None
    workers: int = 1
    runs: int = 1

    @property
    def slots(self) -> int:
        """Return the number of slots of all workers together."""
        return self.concurrency * self.workers

    @property
    def makespan_seconds(self) -> float:
        """Return the longest time in seconds that the test can have taken.

        The time is 60 N / X, with the number N of videos, and the lowest X that rounds to the printed X. The time is
        infinite without N or X, or if the lowest X is 0.
        """
        if self.count is None or self.x is None or self.x.low <= 0:
            return math.inf
        return 60 * self.count / self.x.low

    @property
    def all_end_in_test(self) -> bool:
        """Return True if the row proves that all its videos ended in the test window.

        For a burst, the result is True. For a sustained test, X must be more than 1 % above rate * (N - 1) / N, the
        highest X if one of the N videos ends late. If N, X or the rate is unknown, the result is False.
        """
        if self.mode is Mode.BURST:
            return True
        if self.rate is None or self.x is None or self.count is None:
            return False
        return self.x.low > RATE_SLACK * self.rate * (self.count - 1) / self.count

    @property
    def size_bytes(self) -> int | None:
        """Return the video size in bytes, or None if `size` has no number with a byte unit."""
        try:
            return parse_size(self.size)
        except UsageError:
            return None

    @property
    def ladder(self) -> tuple[str, Mode]:
        """Return the key by which rows are grouped for comparison: the video size and the mode.

        The size is in lower case and without spaces, such as `50mb`.
        """
        return self.size.replace(" ", "").casefold(), self.mode


def _exact(digits: str) -> Decimal:
    if not digits.isascii() or "_" in digits:
        raise ValueError(f"not a plain number: {digits!r}")
    try:
        exact = Decimal(digits)
    except ArithmeticError as error:
        raise ValueError(f"not a number: {digits!r}") from error
    if not exact.is_finite():
        raise ValueError(f"not a finite number: {digits!r}")
    if (exact and exact.adjusted() < SMALLEST_EXPONENT) or exact.adjusted() > LARGEST_EXPONENT:
        raise ValueError(f"outside the range of a measurement: {digits!r}")
    return exact
