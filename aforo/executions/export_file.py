"""File of execution records, one JSON line each, for a worker that no collector can reach over HTTP."""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)
#: Records that wait for the disk. Further ones are counted as lost.
CAPACITY = 100_000


class ExportFile:
    """File (`path`) to which a background thread appends execution records, one JSON line each.

    A line has the keys of `head`, the key `number` (1, 2, …) and the keys of the record. `on_lost` is called once for
    each record that could not be written.
    """

    def __init__(self, path: Path, head: Mapping[str, Any], on_lost: Callable[[], None]) -> None:
        self._path, self._head, self._on_lost = path, head, on_lost
        self._records: queue.Queue[Mapping[str, Any]] = queue.Queue(CAPACITY)
        self._number = self._done = 0
        self._numbering = threading.Lock()

    @property
    def is_written(self) -> bool:
        """Return True if no record waits to be written to the file."""
        return self._done == self._number

    def start(self) -> None:
        """Start the thread that writes records to the file. Call this in the main process of the worker."""
        threading.Thread(target=self._run, name="executions-file", daemon=True).start()

    def append(self, record: Mapping[str, Any]) -> None:
        """Hand one execution record to the writing thread, without waiting for the disk.

        If 100,000 records are already waiting, this one is dropped and counted as lost.
        """
        try:
            with self._numbering:
                self._number += 1
                self._records.put_nowait({**self._head, "number": self._number, **record})
        except queue.Full:
            self._lose()

    def _lose(self) -> None:
        self._done += 1
        self._on_lost()

    def _run(self) -> None:
        while True:
            record = self._records.get()
            try:
                self._write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
            except OSError as error:
                logger.warning("aforo cannot write an execution record to %s: %s", self._path, error)
                self._lose()
            else:
                self._done += 1

    def _write(self, line: bytes) -> None:
        """Append the line in one call, so that several workers may share the file.

        A pipe that nothing reads is an error, and is not waited for.
        """
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        try:
            if os.write(file, line) != len(line):
                raise OSError("the disk is full")
        finally:
            os.close(file)
