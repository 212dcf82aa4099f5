"""Print texts on terminals whose encoding lacks some characters, such as `×`.

A missing character is printed in an ASCII spelling. Without this module, Python would raise UnicodeEncodeError.
"""

from __future__ import annotations

import codecs
import io
from typing import TextIO

HANDLER = "aforo-spelled"
#: a character without an entry becomes a question mark
SPELLINGS = {
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "≈": "~",
    "→": "->",
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "“": '"',
    "”": '"',
    "ρ": "rho",
    "σ": "sigma",
    "κ": "kappa",
    "λ": "lambda",
    "×": "x",
}


def spell_missing_characters(*streams: TextIO) -> None:
    """Make the streams replace each character that their encoding lacks by a spelling in ASCII.

    For example, `≥` becomes `>=`. A character without a known spelling becomes `?`.
    """
    codecs.register_error(HANDLER, _spelled)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors=HANDLER)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(SPELLINGS.get(character, "?") for character in missing), error.end
