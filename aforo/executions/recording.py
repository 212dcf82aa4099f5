"""Turn a worker's telemetry events into execution records, keep them on disk and serve them over HTTP."""

from __future__ import annotations

import atexit
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aforo import settings
from aforo.executions import folder
from aforo.executions.export_file import ExportFile
from aforo.executions.page import ExecutionsPage
from aforo.executions.record import Recorder
from aforo.executions.spool import Spool

#: Longest delay of a worker's end: for the disk, and for a reader that reads every second.
END_SECONDS = 3.0


class Recording:
    """Record the executions of one worker: keep the records on disk and serve them over HTTP.

    The setting AFORO_EXECUTIONS_FILE names an export file for the same records. `on_lost` is called with the number of
    records that were deleted before a collector read them, or could not be exported. `on_disk_error` is called each
    time the folder or a file of the spool cannot be written.
    """

    def __init__(self, on_lost: Callable[[int], None], on_disk_error: Callable[[], None]) -> None:
        self.recorder = Recorder(self._keep)
        self._on_lost, self._on_disk_error = on_lost, on_disk_error
        self._max_records = settings.whole(settings.SPOOL_RECORDS)
        self._spool: Spool | None = None
        self._file: ExportFile | None = None

    def start(self, node: str) -> ExecutionsPage:
        """Start the threads that write execution records. Return the WSGI application of /executions.

        `node` is the worker's Celery name, such as `celery@host`. Call this method after the pool has forked. At its
        end, the process waits up to 3 s until the last records are on disk, and until a current client has read them.
        """
        owner, spool_id = {"node": node}, secrets.token_hex(8)
        base = Path(settings.read(settings.SPOOL_FOLDER) or folder.default_base())
        own_folder = folder.claim(base, spool_id, owner)
        if own_folder is None:
            self._on_disk_error()
        self._spool = Spool(
            own_folder, max_records=self._max_records, on_lost=self._on_lost, on_disk_error=self._on_disk_error
        )
        self._spool.start()
        if path := settings.read(settings.EXECUTIONS_FILE):
            self._file = ExportFile(Path(path), {"spool": spool_id, **owner}, lambda: self._on_lost(1))
            self._file.start()
        page = ExecutionsPage(spool_id, owner, self._spool, base if own_folder else None)
        _at_end_of_process(lambda: self._finish(page))
        return page

    def _keep(self, record: Mapping[str, Any]) -> None:
        if self._spool is not None:
            self._spool.append(record)
        if self._file is not None:
            self._file.append(record)

    def _finish(self, page: ExecutionsPage) -> None:
        """Wait until the last records are on disk and, if somebody reads this worker, until they were read."""
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline and not self._is_finished(page):
            time.sleep(0.05)

    def _is_finished(self, page: ExecutionsPage) -> bool:
        spool, file = self._spool, self._file
        written = spool is None or spool.newest == spool.last_number
        is_read = spool is None or not page.has_reader or spool.read_up_to == spool.last_number
        return written and is_read and (file is None or file.is_written)


def _at_end_of_process(finish: Callable[[], None]) -> None:
    """Call `finish` at the end of this process, not at the end of a process forked from it."""
    home = os.getpid()
    atexit.register(lambda: finish() if os.getpid() == home else None)
