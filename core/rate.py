"""Parse rates given on the command line, in videos per minute."""

from __future__ import annotations

from core.errors import UsageError
from core.plain_number import plain_number

SLOWEST_PER_MINUTE = 0.01
FASTEST_PER_MINUTE = 60_000.0


def parse_rate(text: str, or_word: str = "") -> float:
    """Parse a rate in videos per minute, from 0.01 to 60,000. Raise UsageError for any other text.

    `or_word` is a word that an option accepts in place of a rate, such as `auto`. The word only appears in the error.
    """
    try:
        rate = plain_number(text)
    except ValueError:
        rate = float("nan")
    if not SLOWEST_PER_MINUTE <= rate <= FASTEST_PER_MINUTE:
        why = f"it must be videos per minute or {or_word}" if or_word else "it must be videos per minute"
        remedy = f"give {SLOWEST_PER_MINUTE:g} to {FASTEST_PER_MINUTE:g}, such as RATE=10"
        raise UsageError("RATE", why, remedy, value=text)
    return rate
