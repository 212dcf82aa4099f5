"""Mask passwords in texts that a user or a log file sees."""

from __future__ import annotations

import re

HIDDEN = "***"
#: `//user:` and a password that is not masked yet. A blank follows a host, and a host with its port.
_USER = r"(?<=//)([^\s/:?#@\[]*):(?!\*{3}@|\s|\d{1,5}(?:[^@\s]*\s|$))"
#: The password ends at the last `@` of the line in a text that starts with the URL, such as the value of a setting.
_IN_WHOLE_URL = re.compile(rf"(?<=\A)([\w+.-]*:?//)(?:{_USER})[^\n]*@")
#: Inside a text, it ends at the last `@` of the word, or of the next word that has one, if it contains a blank.
_IN_AUTHORITY = re.compile(rf"{_USER}(?:\S*@|[^@\n]*@(?:\S*@)?)")
#: in a URL that has lost its scheme, the user may be the password
_WITHOUT_SCHEME = re.compile(r"(?<![\w.+-])://\S*@")
#: `scheme:password@` and `scheme:/:password@`. The digest of an image is no password, nor the path of a SQLite file.
_WITHOUT_SLASHES = re.compile(r"(?<![\w.+/-])((?!sqlite)[a-z][\w.+-]*:/?)(?!/|\*{3}@)\S*@(?!sha256:)", re.IGNORECASE)
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
    shown = _IN_WHOLE_URL.sub(rf"\1\2:{HIDDEN}@", shown)
    shown = _IN_AUTHORITY.sub(rf"\1:{HIDDEN}@", shown)
    shown = _WITHOUT_SLASHES.sub(rf"\1{HIDDEN}@", shown)
    return _PARAMETER.sub(rf"\g<name>\g<quote>{HIDDEN}\g<quote>", shown)


def without_secrets(text: str) -> str:
    """Return text of an aforo.toml, such as a shell line, without its secrets.

    Passwords are replaced as `without_passwords` does. The value of `NAME=value` is replaced by *** too if the name
    contains SECRET, PASSWORD, TOKEN or KEY, in capital or small letters.
    """
    return _ASSIGNMENT.sub(rf"\g<name>{HIDDEN}", without_passwords(text))
