"""Read a small CSV file written by a person. Every error is one line with the line number."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from core.errors import EnvironmentFault, UsageError

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Line:
    """One data line of a CSV file: its line number, and its stripped cells by column.

    A missing column reads as ''.
    """

    file: str
    number: int
    cells: Mapping[str, str]

    def parse(self, column: str, parse: Callable[[str], Value], allowed: str) -> Value:
        """Return the parsed cell. Raise UsageError with the line number if the value is not allowed."""
        text = self.cells.get(column, "")
        try:
            return parse(text)
        except ValueError as error:
            raise self.fault(column, allowed, text) from error

    def optional(self, column: str, parse: Callable[[str], Value], allowed: str) -> Value | None:
        """Return the parsed cell, or None if it is empty."""
        return self.parse(column, parse, allowed) if self.cells.get(column) else None

    def fault(self, column: str, allowed: str, value: object) -> UsageError:
        """Return the error for a cell of this line."""
        return UsageError(f"{self.file} line {self.number}", f"{column} must be {allowed}", "correct it", value=value)


def read_table(path: Path, required: tuple[str, ...], optional: tuple[str, ...]) -> list[Line]:
    """Return the data lines of a CSV file with a header. Blank lines and # comments are skipped."""
    numbered = [(number, cells) for number, cells in _records(path) if any(cells) and not cells[0].startswith("#")]
    if not numbered:
        raise UsageError(str(path), "it has no header", f"begin with {','.join(required)}")
    header = [cell.casefold() for cell in numbered[0][1]]
    _check_header(path, header, required, optional, line=numbered[0][0])
    lines = [_line(path, number, cells, header) for number, cells in numbered[1:]]
    if not lines:
        raise UsageError(str(path), "it has no data", "add a line under the header")
    return lines


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = file.readlines()
            separator = _separator(lines)
            reader = csv.reader(lines, delimiter=separator, strict=True)
            for cells in reader:
                yield reader.line_num, [_clean(cell, separator) for cell in cells]
    except OSError as error:
        raise EnvironmentFault("cannot read the file", error.strerror or "", "check the path", value=path) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError("not a CSV file", str(error), "save it as CSV with commas, in UTF-8", value=path) from error


def _separator(lines: list[str]) -> str:
    """Return the separator: a comma, or a spreadsheet's semicolon or tab if the header has no comma."""
    header = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    return next((mark for mark in (";", "\t") if mark in header and "," not in header), ",")


def _clean(cell: str, separator: str) -> str:
    """Return the stripped cell.

    If the separator is not a comma, a comma in a number is read as a decimal comma.
    """
    cell = cell.strip()
    return cell if separator == "," else cell.replace(",", ".")


def _check_header(
    path: Path, header: list[str], required: tuple[str, ...], optional: tuple[str, ...], *, line: int
) -> None:
    missing = [name for name in required if name not in header]
    unknown = [name for name in header if name not in required + optional]
    expected = ",".join(required) + "".join(f"[,{name}]" for name in optional)
    if missing or unknown or len(set(header)) < len(header):
        why = f"missing {', '.join(missing)}" if missing else f"unknown or repeated {', '.join(unknown or header)}"
        raise UsageError(f"{path} line {line}: header", why, f"the header is {expected}", value=",".join(header))


def _line(path: Path, number: int, cells: list[str], header: list[str]) -> Line:
    if len(cells) != len(header):
        raise UsageError(
            f"{path} line {number}",
            f"{len(cells)} cells under {len(header)} columns",
            "separate cells with commas and use a decimal point",
            value=",".join(cells),
        )
    return Line(str(path), number, dict(zip(header, cells, strict=True)))
