"""Line numbers of the keys in a TOML text, so that error messages can name the line."""

from __future__ import annotations

import re

_TABLE = re.compile(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]")
_KEY = re.compile(r"\s*(?:\"([^\"]+)\"|([A-Za-z0-9_-]+))\s*[.=]")


def key_lines(text: str) -> dict[str, int]:
    """Return the line number of each table and each key in a TOML text. The first line has the number 1.

    Example: `{"worker": 1, "worker.command": 2}` for a table `[worker]` with a key `command`.
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
