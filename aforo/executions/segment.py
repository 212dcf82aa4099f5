"""Segment: consecutive execution records in one file, or in memory."""

from __future__ import annotations

import io
from array import array
from bisect import bisect_right
from pathlib import Path

SUFFIX = ".jsonl"


class Segment:
    """Records with the numbers from `first` on, one JSON line each. `folder` is None for a segment in memory.

    Each line is in the file when `append` returns, so a killed process loses no written record.
    """

    def __init__(self, first: int, folder: Path | None) -> None:
        self.first = first
        self.size_bytes = 0
        self._path = None if folder is None else folder / f"{first:020d}{SUFFIX}"
        self._file: io.RawIOBase | io.BytesIO = io.BytesIO()
        if self._path is not None:
            self._file = io.FileIO(self._path, "x+")
        self._starts = array("Q")

    @property
    def count(self) -> int:
        """Return the number of records."""
        return len(self._starts)

    @property
    def next_number(self) -> int:
        """Return the number that follows the last record."""
        return self.first + self.count

    def append(self, line: bytes) -> None:
        """Write one line. Raise OSError if the disk does not take all of it."""
        self._file.seek(self.size_bytes)
        if self._file.write(line + b"\n") != len(line) + 1:
            self._file.truncate(self.size_bytes)
            raise OSError("the disk is full")
        self._starts.append(self.size_bytes)
        self.size_bytes += len(line) + 1

    def lines_from(self, number: int, max_bytes: int, *, at_least_one: bool) -> list[bytes]:
        """Return the lines of the records from `number` on, up to `max_bytes`."""
        begin = max(0, number - self.first)
        if begin >= self.count:
            return []
        limit = self._starts[begin] + max_bytes
        ends = [*self._starts[begin + 1 :], self.size_bytes]
        fitting = max(bisect_right(ends, limit), int(at_least_one))
        if fitting == 0:
            return []
        self._file.seek(self._starts[begin])
        return (self._file.read(ends[fitting - 1] - self._starts[begin]) or b"").splitlines()

    def delete(self) -> None:
        """Close and delete the file."""
        self._file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
