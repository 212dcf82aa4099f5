"""Store consecutive execution records of a spool in one file, or in memory if no folder is given."""

from __future__ import annotations

import io
from array import array
from bisect import bisect_right
from pathlib import Path

SUFFIX = ".jsonl"


class Segment:
    """Consecutive execution records, one JSON line each, in one file of `folder`.

    `first` is the number of the first record. If `folder` is None, the records are kept in memory.
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
        """Return the number of records in this segment."""
        return len(self._starts)

    @property
    def next_number(self) -> int:
        """Return the number that the next appended record will have."""
        return self.first + self.count

    def append(self, line: bytes) -> None:
        """Write one encoded record to the segment. Raise OSError if the disk does not take all of it."""
        self._file.seek(self.size_bytes)
        if self._file.write(line + b"\n") != len(line) + 1:
            self._file.truncate(self.size_bytes)
            raise OSError("the disk is full")
        self._starts.append(self.size_bytes)
        self.size_bytes += len(line) + 1

    def lines_from(self, number: int, max_bytes: int, *, at_least_one: bool) -> list[bytes]:
        """Return the encoded records from record `number` on, as many as fit into `max_bytes` bytes.

        With `at_least_one`, a larger first record is returned alone. The list is empty if no record fits, or if all
        records of the segment have lower numbers.
        """
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
        """Close the segment's file and delete it from the disk."""
        self._file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
