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
#: `NAME=value` of a shell, or `name = "value"` of TOML. A value that is a placeholder, such as "{key}", is no secret.
_ASSIGNMENT = re.compile(
    r"(?P<name>[\w.-]*(?:secret|password|token|key)[\w.-]*(?:=|['\"]?\s*=\s*(?=['\"])))(?!['\"]?\{\w)"
    r"(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|\\\"[^\"\n]*\"|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[^\s'\"]+)",
    re.IGNORECASE,
)


def without_passwords(text: str) -> str:
    """Return `text` with the password of each URL and of each `password=` parameter replaced by ***."""
    shown = _WITHOUT_SCHEME.sub(f"://{HIDDEN}@", text)
    shown = _IN_AUTHORITY.sub(rf"\1:{HIDDEN}@", shown)
    return _PARAMETER.sub(rf"\g<name>\g<quote>{HIDDEN}\g<quote>", shown)


def without_secrets(text: str) -> str:
    """Return text of an aforo.toml, such as a shell line, without its secrets.

    Passwords are replaced as `without_passwords` does. The value of `NAME=value` is replaced by *** too if the name
    contains SECRET, PASSWORD, TOKEN or KEY, in capital or small letters.
    """
    return _ASSIGNMENT.sub(rf"\g<name>{HIDDEN}", without_passwords(text))
