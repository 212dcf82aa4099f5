"""Line numbers of the keys of a TOML text, for error messages."""

from __future__ import annotations

import re

_TABLE = re.compile(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]")
_KEY = re.compile(r"\s*(?:\"([^\"]+)\"|([A-Za-z0-9_-]+))\s*[.=]")


def key_lines(text: str) -> dict[str, int]:
    """Return the line of each `table`, of each `table.key` and of each key outside a table, counted from 1."""
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
