"""Parse numbers that a person writes: ASCII digits with sign, decimal point and exponent.

Python's own `float` accepts more, such as `nan` and `1_000`.
"""

from __future__ import annotations

import math
import re

LONGEST = 40
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


def plain_number(text: str) -> float:
    """Parse the finite number in `text`.

    Raise ValueError for anything else, such as `nan`, `1_000`, digits of other scripts, or a text of over 40
    characters.
    """
    text = text.strip()
    number = float(text) if len(text) <= LONGEST and _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise ValueError("a finite number in digits 0 to 9")
    return number
