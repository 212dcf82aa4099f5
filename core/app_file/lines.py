"""Line numbers of the keys in a TOML text, so that error messages can name the line."""

from __future__ import annotations

import re

_TABLE = re.compile(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]")
_KEY = re.compile(r"\s*(?:\"([^\"]+)\"|([A-Za-z0-9_-]+))\s*[.=]")


def key_lines(text: str) -> dict[str, int]:
    """Return the line number, from 1, of each table and key in a TOML text.

    The result has one entry for each `table`, each `table.key` and each key outside a table.
    """
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            table = header[1]
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            name = key[1] or key[2]
            lines.setdefault(f"{table}.{name}" if table else name, number)
    return lines
