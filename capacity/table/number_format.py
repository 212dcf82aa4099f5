"""Format numbers, intervals and percentages as text in the language of a result.

Both languages use the decimal point, so that a number can be pasted into any program.
"""

from __future__ import annotations

import math
import re

from capacity.estimators.interval import Interval
from core.language import Language, Text

#: spaces at which a line must not end: between thousands, before a unit, after a sign of comparison
_BREAKS = re.compile(
    r"(?<=\d) (?=\d{3}(?!\d))"
    r"|(?<=\d) (?=(?:%|(?:ms|s|min|h|MB|GB|MB/s|MB/min|CPU|bytes|slots?|videos?)\b))"
    r"|(?<=[≥≤<>≈×ρ]) "
)
UNKNOWN = Text("desconocido", "unknown")
UNBOUNDED = Text("sin límite", "no limit")


def number(value: float | None, lang: Language, digits: int = 2) -> str:
    """Format a number with `digits` decimals and a space between thousands.

    None and NaN give the word for unknown, never 0. An infinite number gives the words for no limit.
    """
    if value is None or math.isnan(value):
        return UNKNOWN.to(lang)
    if math.isinf(value):
        return UNBOUNDED.to(lang)
    return f"{value:,.{digits}f}".replace(",", " ")  # a space: a comma would read as a decimal in Spanish


def unbroken(text: str) -> str:
    """Replace each space of a text at which a line must not end by a no-break space. Return the text.

    These are the spaces inside numbers, before units, and after signs such as `≥`.
    """
    return _BREAKS.sub("\N{NO-BREAK SPACE}", text)


def bounded(value: float | None, is_lower_bound: bool, lang: Language, digits: int = 2) -> str:
    """Format a number with `digits` decimals, and with `≥` in front if it is a lower bound.

    None gives the word for unknown, without `≥`.
    """
    return f"{'≥ ' if is_lower_bound and value is not None else ''}{number(value, lang, digits)}"


def significant(value: float | None, lang: Language, digits: int = 4) -> str:
    """Format a number with `digits` significant digits, for quantities that span orders of magnitude.

    None and NaN give the word for unknown. An infinite number gives the words for no limit.
    """
    if value is None or not math.isfinite(value):
        return number(value, lang)
    rounded = float(f"{value:.{digits}g}")
    return number(rounded, lang, 0) if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:.{digits}g}"


def interval_text(interval: Interval | None, lang: Language, digits: int = 2) -> str:
    """Format an interval as `[low, high]`. None gives the word for unknown."""
    if interval is None:
        return UNKNOWN.to(lang)
    return f"[{number(interval.low, lang, digits)}, {number(interval.high, lang, digits)}]"


def percent(ratio: float | None, lang: Language, digits: int = 1) -> str:
    """Format a ratio as a percentage: 0.5 gives `50.0 %`.

    None and NaN give the word for unknown. An infinite ratio gives the words for no limit.
    """
    if ratio is None or not math.isfinite(ratio):
        return number(ratio, lang)
    return f"{round(100 * ratio, digits) + 0.0:.{digits}f} %"  # + 0.0: no "-0.0 %"
