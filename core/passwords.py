"""Mask passwords in texts that a user or a log file sees."""

from __future__ import annotations

import re

HIDDEN = "***"
#: `//user:password@`. A password may contain `@`, but no blank and no `/`.
_IN_AUTHORITY = re.compile(r"(?<=//)([^\s/:?#@]*):([^\s/]*)@")
#: in a URL that has lost its scheme, the user may be the password
_WITHOUT_SCHEME = re.compile(r"(?<![\w.+-])://[^\s/@]*@")
#: names of parameters and libpq keywords whose value is a secret
_PARAMETER = re.compile(
    r"(?P<name>\b(?:\w*password|passwd|pwd|\w*secret\w*|token|sslkey_?pass\w*)\s*=\s*)"
    r"(?P<quote>['\"]?)[^\s&;'\"]+(?P=quote)",
    re.IGNORECASE,
)


def without_passwords(text: str) -> str:
    """Return `text` with the password of each URL and of each `password=` parameter replaced by ***."""
    shown = _WITHOUT_SCHEME.sub(f"://{HIDDEN}@", text)
    shown = _IN_AUTHORITY.sub(rf"\1:{HIDDEN}@", shown)
    return _PARAMETER.sub(rf"\g<name>\g<quote>{HIDDEN}\g<quote>", shown)
