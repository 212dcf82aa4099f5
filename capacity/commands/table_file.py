"""Read a small table from a CSV or Markdown file. An error names the line."""

from __future__ import annotations

import csv
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from core.errors import EnvironmentFault, UsageError

MOST_BYTES = 1_000_000

#: `1.063` where a comma is the decimal mark: 1063, or a little more than 1
AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
#: `1.063,5`: points between thousands, and a decimal comma
WITH_THOUSANDS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d+")
#: `1 063.50`, with any kind of space
SPACE_IN_NUMBER = re.compile(r"(?<=\d)\s(?=\d{3}(?!\d))")
UNKNOWN = frozenset({"desconocido", "unknown", "—", "–", "-"})

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Columns:
    """Column names that a table can have, in lower case. Any other column name is an error.

    - `required`: columns that every table has.
    - `optional`: further columns, which the error for a wrong header lists.
    - `ignored`: further columns, which that error does not list.
    - `spellings`: maps another spelling, such as `tamaño`, to the column name, such as `size`.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    spellings: Mapping[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()

    def names(self, header: Sequence[str]) -> list[str]:
        """Return the names of the columns in a header row, in lower case and with other spellings replaced."""
        lower = [cell.casefold() for cell in header]
        return [self.spellings.get(cell, cell) for cell in lower]


@dataclass(frozen=True, slots=True)
class Line:
    """One data line of a table: its line number in the file, and its text in each column.

    `file` is the path of the file. `cells` maps the name of a column to the text. If `decimal_comma` is True, a comma
    in a number is the decimal mark.
    """

    file: str
    number: int
    cells: Mapping[str, str]
    decimal_comma: bool = False

    def parse(self, column: str, parse: Callable[[str], Value], allowed: str) -> Value:
        """Return the text of this line in a column, converted by the function `parse`.

        A missing column counts as an empty text. If `parse` raises ValueError, raise UsageError with the line number
        and `allowed`, a description such as `a number over 0`.
        """
        text = self.cells.get(column, "")
        try:
            return parse(text)
        except ValueError as error:
            raise self.fault(column, allowed, text) from error

    def convert(self, column: str, text: str, parse: Callable[[str], Value], allowed: str) -> Value | None:
        """Return `text` converted by the function `parse`, or None if `text` is empty.

        If `parse` raises ValueError, raise UsageError with the line number, `column` and `allowed`, a description such
        as `a number over 0`.
        """
        try:
            return parse(text) if text else None
        except ValueError as error:
            raise self.fault(column, allowed, text) from error

    def number_in(self, column: str, parse: Callable[[str], Value], allowed: str) -> Value | None:
        """Return the number in a column of this line, or None if it is blank or marked as unknown.

        `parse` converts the text to the number. Raise UsageError if the text is not a number, or if its decimal mark is
        ambiguous. `allowed` describes the allowed values in the error.
        """
        text = SPACE_IN_NUMBER.sub("", self.cells.get(column, ""))
        known = "" if text.casefold() in UNKNOWN else text
        return self.convert(column, self._with_point(column, known), parse, allowed)

    def fault(self, column: str, allowed: str, value: object) -> UsageError:
        """Return the UsageError for a wrong value in a column of this line.

        Its message has the line number, the column and `allowed`, a description of the allowed values.
        """
        return UsageError(f"{self.file} line {self.number}", f"{column} must be {allowed}", "correct it", value=value)

    def _with_point(self, column: str, text: str) -> str:
        if not self.decimal_comma:
            return text
        if AMBIGUOUS.fullmatch(text):
            either = f"{text.replace('.', '')} or {text.replace('.', ',')}"
            raise UsageError(
                f"{self.file} line {self.number}", f"{column} can be {either}", "write which one", value=text
            )
        return (text.replace(".", "") if WITH_THOUSANDS.fullmatch(text) else text).replace(",", ".")


def read_table(path: Path, columns: Columns, *, most_lines: int) -> list[Line]:
    """Read the data lines of a table with a header. Skip blank lines, and # comments of a CSV file.

    In a Markdown document, the first table with the required columns is read. Raise UsageError if the file is not a
    table, or has more than `most_lines` lines. Raise EnvironmentFault if the file cannot be read.
    """
    text = _text(path).splitlines()
    table = _markdown_table(text, columns) if _is_markdown(text) else _csv_table(path, text)
    if not table.records:
        raise UsageError(str(path), "it has no header", f"begin with {','.join(columns.required)}")
    (line, header), *records = table.records
    names = columns.names(header)
    _check_header(path, names, columns, line=line)
    if not records:
        raise UsageError(str(path), "it has no data", "add a line under the header")
    if len(records) > most_lines:
        raise UsageError(str(path), f"over {most_lines:,} lines of data", "give fewer", value=f"{len(records):,}")
    return [_line(path, number, cells, names, table.decimal_comma) for number, cells in records]


@dataclass(frozen=True, slots=True)
class _Table:
    """Header and data lines with their line numbers."""

    records: list[tuple[int, list[str]]]
    decimal_comma: bool


def _text(path: Path) -> str:
    """Return the text of a regular file. A device or a pipe may never end."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError("not a regular file", "a device, pipe or folder holds no table", "name a file", value=path)
        if status.st_size > MOST_BYTES:
            limit = f"over {MOST_BYTES // 1_000_000} MB"
            raise UsageError("too large for a table", limit, "give only the table", value=path)
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise EnvironmentFault("cannot read the file", error.strerror or "", "check the path", value=path) from error
    except ValueError as error:  # not UTF-8, or a NUL in the path
        raise UsageError("not a text file", str(error), "save it as CSV, in UTF-8", value=path) from error


def _is_markdown(lines: Sequence[str]) -> bool:
    return any(line.lstrip().startswith("|") for line in lines)


def _markdown_table(lines: Sequence[str], columns: Columns) -> _Table:
    """Return the first table with the required columns, else the first table."""
    tables = [
        list(group) for is_table, group in groupby(_pipe_lines(lines), key=lambda line: bool(line[1])) if is_table
    ]
    fitting = (table for table in tables if set(columns.required) <= set(columns.names(table[0][1])))
    chosen = next(fitting, tables[0])
    return _Table([record for record in chosen if not _is_rule(record[1])], decimal_comma=True)


def _pipe_lines(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each line with its number. Lines outside a table have none."""
    for number, line in enumerate(lines, start=1):
        stripped = line.strip()
        inner = stripped.removeprefix("|").removesuffix("|")
        yield number, [cell.strip() for cell in inner.split("|")] if stripped.startswith("|") else []


def _is_rule(cells: Sequence[str]) -> bool:
    """Return True for the line `|---|:---:|` under a header."""
    return all(re.fullmatch(r":?-+:?", cell) for cell in cells)


def _csv_table(path: Path, lines: list[str]) -> _Table:
    start, separator = _separator(lines)
    reader = csv.reader(lines[start:], delimiter=separator, strict=True)
    try:
        records = [(start + reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise UsageError("not a CSV file", str(error), "save it as CSV with commas, in UTF-8", value=path) from error
    data = [(number, cells) for number, cells in records if any(cells) and not cells[0].startswith("#")]
    return _Table([record for record in data if not _is_rule(record[1])], decimal_comma=separator != ",")


def _separator(lines: Sequence[str]) -> tuple[int, str]:
    """Return the number of lines to skip, and the separator.

    A spreadsheet's first line `sep=;` names it. Else it is a comma, or a semicolon, tab or pipe if the header has no
    comma.
    """
    if lines and (named := re.fullmatch(r"sep=(.)", lines[0].strip("\r\n \ufeff"), re.IGNORECASE)):
        return 1, named[1]
    header = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    return 0, next((mark for mark in (";", "\t", "|") if mark in header and "," not in header), ",")


def _check_header(path: Path, header: list[str], columns: Columns, *, line: int) -> None:
    missing = [name for name in columns.required if name not in header]
    known = {*columns.required, *columns.optional, *columns.ignored}
    unknown = [name for name in header if name not in known]
    expected = ",".join(columns.required) + "".join(f"[,{name}]" for name in columns.optional)
    if missing or unknown or len(set(header)) < len(header):
        why = f"missing {', '.join(missing)}" if missing else f"unknown or repeated {', '.join(unknown or header)}"
        raise UsageError(f"{path} line {line}: header", why, f"the header is {expected}", value=",".join(header))


def _line(path: Path, number: int, cells: list[str], header: list[str], decimal_comma: bool) -> Line:
    if len(cells) != len(header):
        raise UsageError(
            f"{path} line {number}",
            f"{len(cells)} cells under {len(header)} columns",
            "separate cells with commas and use a decimal point",
            value=",".join(cells),
        )
    return Line(str(path), number, dict(zip(header, cells, strict=True)), decimal_comma)
