"""Spool: the latest execution records of a worker, numbered and on disk, for collectors to read.

Numbers start at 1 and are never reused. A gap in the numbers tells a reader how many records are lost. A full spool
deletes the oldest records. Reading deletes nothing.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aforo.executions.segment import Segment

logger = logging.getLogger(__name__)
MAX_RECORDS = 100_000
MAX_BYTES = 64 << 20
#: Records leave the disk in pieces of this share of the spool.
SEGMENTS = 8
#: Start of each line. The number follows.
_NUMBER = b'{"number":'


@dataclass(frozen=True)
class Slice:
    """Encoded execution records that were read from a spool at once, in the order of their numbers.

    `oldest` and `newest` are the first and last record number of the whole spool. If the spool has never had a record,
    `oldest` is 1 and `newest` is 0.
    """

    oldest: int
    newest: int
    lines: Sequence[bytes]


class Spool:
    """Numbered execution records of one worker's main process, in files of the folder `folder`.

    If `folder` is None, the records are kept in memory. `on_lost` is called with the number of records that were
    deleted before any reader had them. `on_disk_error` is called each time a file cannot be written.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        on_lost: Callable[[int], None] = lambda _count: None,
        on_disk_error: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder, self._max_records, self._max_bytes = folder, max_records, max_bytes
        self._on_lost, self._on_disk_error = on_lost, on_disk_error
        self._waiting: deque[tuple[int, Mapping[str, Any]]] = deque()
        self._segments: deque[Segment] = deque()
        self._last_number = self._newest = self._read_up_to = 0
        self._oldest = 1
        self._reading_or_writing = threading.Lock()
        self._numbering = threading.Lock()
        self._appended = threading.Event()

    def start(self) -> None:
        """Start the thread that writes records to disk. Call this in the main process, after the pool forked."""
        threading.Thread(target=self._run, name="execution-spool", daemon=True).start()

    def append(self, record: Mapping[str, Any]) -> None:
        """Give an execution record its number, and queue the record for the thread that writes to disk.

        If more than `max_records` records are queued, the oldest of them is dropped and counted as lost.
        """
        with self._numbering:
            self._last_number += 1
            self._waiting.append((self._last_number, record))
        if len(self._waiting) > self._max_records:
            self._waiting.popleft()
        self._appended.set()

    def write_waiting(self) -> None:
        """Write all waiting records to disk. Keep in memory those that the disk does not take.

        The writing thread calls this.
        """
        with self._reading_or_writing:
            while self._waiting:
                self._write(*self._waiting.popleft())

    def after(self, number: int, max_bytes: int) -> Slice:
        """Return the execution records with numbers above `number`, oldest first.

        The records have at most `max_bytes` bytes in total. A larger first record is returned alone. Records that still
        wait to be written are not returned. The returned records count as read: see `read_up_to`. The Slice also has
        the oldest and newest record number of the whole spool.
        """
        with self._reading_or_writing:
            first = max(number + 1, self._oldest)
            lines = self._lines_from(first, max_bytes)
            if lines:
                self._read_up_to = max(self._read_up_to, number_of(lines[-1]))
            return Slice(self._oldest, self._newest, lines)

    def _lines_from(self, first: int, max_bytes: int) -> list[bytes]:
        lines: list[bytes] = []
        for segment in self._segments:
            read = segment.lines_from(first, max_bytes - sum(map(len, lines)), at_least_one=not lines)
            lines += read
            if max(first, segment.first) + len(read) < segment.next_number:
                break
        return lines

    @property
    def read_up_to(self) -> int:
        """Return the highest record number that any reader has received, or 0 before the first read."""
        return self._read_up_to

    @property
    def newest(self) -> int:
        """Return the number of the record that was last written to disk or memory, or 0 before the first."""
        return self._newest

    @property
    def last_number(self) -> int:
        """Return the number of the record that was last appended, or 0 before the first.

        This record is not necessarily on disk yet.
        """
        return self._last_number

    def _run(self) -> None:
        while True:
            self._appended.wait()
            self._appended.clear()
            self.write_waiting()

    def _write(self, number: int, record: Mapping[str, Any]) -> None:
        line = json.dumps({"number": number, **record}, separators=(",", ":")).encode()
        segment = self._segments[-1] if self._segments else None
        if segment is None or segment.next_number != number or self._is_full(segment):
            segment = self._open_segment(number)
        try:
            segment.append(line)
        except OSError:
            self._report_disk_error()
            segment = self._open_segment(number, in_memory=True)
            segment.append(line)
        self._newest = number
        self._evict()

    def _is_full(self, segment: Segment) -> bool:
        return segment.count * SEGMENTS >= self._max_records or segment.size_bytes * SEGMENTS >= self._max_bytes

    def _open_segment(self, first: int, *, in_memory: bool = False) -> Segment:
        try:
            segment = Segment(first, None if in_memory else self._folder)
        except OSError:
            self._report_disk_error()
            segment = Segment(first, None)
        self._segments.append(segment)
        return segment

    def _report_disk_error(self) -> None:
        logger.warning("aforo cannot write execution records to %s; they stay in memory", self._folder, exc_info=True)
        self._on_disk_error()

    def _evict(self) -> None:
        """Remove the oldest records of a full spool, and count those that no reader had."""
        while len(self._segments) > 1 and sum(s.size_bytes for s in self._segments) > self._max_bytes:
            self._segments.popleft().delete()
        oldest = max(self._segments[0].first, self._newest - self._max_records + 1)
        while self._segments[0].next_number <= oldest:
            self._segments.popleft().delete()
        lost = oldest - max(self._oldest, self._read_up_to + 1)
        self._oldest = oldest
        if lost > 0:
            self._on_lost(lost)


def number_of(line: bytes) -> int:
    """Return the number of an execution record, read from its encoded JSON line."""
    return int(line[len(_NUMBER) : line.index(b",")])
