"""Read the rows of a published result table from a CSV or Markdown file.

The table can come from Aforo, from the scenario's document or from a person. The column names can be English or
Spanish.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

from capacity.audit.published_row import Printed, PublishedRow
from capacity.commands.table_file import Columns, Line, read_table
from capacity.table.table_text import CSV_COLUMNS
from core.run import Mode

MOST_ROWS = 10_000
MOST_SLOTS, MOST_WORKERS, MOST_RUNS, MOST_VIDEOS = 100_000, 100_000, 1_000_000, 1_000_000_000
LONGEST_SIZE = 40  # characters

_SPELLINGS = {
    "tamaño": "size",
    "n": "count",
    "concurrencia": "concurrency",
    "modo": "mode",
    "x (videos/min)": "x_per_min",
    "x_per_minute": "x_per_min",
    "s promedio (s)": "s_mean_s",
    "mean s (s)": "s_mean_s",
    "s_seconds": "s_mean_s",
    "rate_per_minute": "rate",
    "nodes": "workers",
    "nodos": "workers",
    "notas": "notes",
}
COLUMNS = Columns(
    required=("size", "concurrency", "mode", "x_per_min", "s_mean_s"),
    optional=("count", "s_p50_s", "rate", "workers", "notes"),
    spellings=_SPELLINGS,
    ignored=frozenset(CSV_COLUMNS),
)
_MODES = {
    "ráfaga": Mode.BURST, "rafaga": Mode.BURST, "burst": Mode.BURST,
    "sustained": Mode.SUSTAINED, "sostenido": Mode.SUSTAINED, "sostenida": Mode.SUSTAINED,
}  # fmt: skip
#: facts that the scenario's table and Aforo's have in their notes
_NOTES = {
    "count": re.compile(r"\bN ?= ?(\d+)"),
    "rate": re.compile(r"\b(?:tasa|rate) ?= ?(\d+(?:[.,]\d+)?)"),
    "workers": re.compile(r"\b(\d+) (?:workers|nodos|nodes)\b"),
    "runs": re.compile(r"\b(?:media de|mean of) (\d+) "),
}


def published_rows(path: Path) -> list[PublishedRow]:
    """Read the rows of a published result table.

    Raise UsageError for a file that is not such a table, and EnvironmentFault for a file that cannot be read.
    """
    return [_row(line) for line in read_table(path, COLUMNS, most_lines=MOST_ROWS)]


def _row(line: Line) -> PublishedRow:
    """Return the published row of a line.

    Raise UsageError with the line number if a cell has a value that is not allowed.
    """
    slots = line.parse("concurrency", _slots, f"a whole number from 1 to {MOST_SLOTS:,}")
    is_sum = len(slots) > 1  # of all workers, so the number of workers is in it
    return PublishedRow(
        size=line.parse("size", _text, "a size such as 50MB"),
        concurrency=sum(slots),
        mode=line.parse("mode", _mode, "burst or sustained"),
        count=_whole(line, "count", MOST_VIDEOS),
        x=_measured(line, "x_per_min"),
        s=_response_time(line),
        p50=_measured(line, "s_p50_s"),
        rate=_rate(line),
        workers=1 if is_sum else _whole(line, "workers", MOST_WORKERS) or 1,
        runs=len(line.cells.get("runs", "").split()) or _whole(line, "runs", MOST_RUNS) or 1,
    )


def _measured(line: Line, column: str) -> Printed | None:
    return line.number_in(column, Printed.parse, "a number with a decimal point")


def _response_time(line: Line) -> Printed | None:
    """Return S. Aforo's CSV file marks a lower bound in a column of its own."""
    printed = _measured(line, "s_mean_s")
    if printed is None or line.cells.get("s_is_lower_bound") != "True":
        return printed
    return replace(printed, high=math.inf)


def _whole(line: Line, name: str, most: int) -> int | None:
    """Return the number in a column, else in the notes, else None."""
    text = line.cells.get(name) if name in COLUMNS.optional else None
    if not text:
        text = _noted(line, name)
    return line.convert(name, text, lambda digits: _positive_whole(digits, most), f"a whole number from 1 to {most:,}")


def _rate(line: Line) -> float | None:
    rate = line.number_in("rate", _positive, "a number over 0")
    return rate or line.convert("rate", _noted(line, "rate").replace(",", "."), _positive, "a number over 0")


def _noted(line: Line, name: str) -> str:
    match = _NOTES[name].search(line.cells.get("notes", ""))
    return match[1] if match else ""


def _text(text: str) -> str:
    if not text or not text.isprintable() or len(text) > LONGEST_SIZE:
        raise ValueError(text)
    return text


def _mode(text: str) -> Mode:
    if text.casefold() not in _MODES:
        raise ValueError(text)
    return _MODES[text.casefold()]


def _slots(text: str) -> list[int]:
    """Return the slots of each worker: `4`, or `2+5` for workers with different slots."""
    return [_positive_whole(part.strip(), MOST_SLOTS) for part in text.split("+")]


def _positive_whole(text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(most)) or not 1 <= int(text) <= most:
        raise ValueError(text)
    return int(text)


def _positive(text: str) -> float:
    value = Printed.parse(text).value
    if value <= 0:
        raise ValueError(text)
    return value
