"""Folders of the spools (execution records on disk) of this machine's workers.

The main process of each worker has its own folder, with a locked file. The folder of a dead process stays for a day.
During that day, other workers of the same user serve the records of the dead process.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import tempfile
import time
from bisect import bisect_right
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aforo.executions.segment import SUFFIX
from aforo.executions.spool import Slice, number_of

logger = logging.getLogger(__name__)
LOCK = "lock"
KEPT_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class DeadSpool:
    """Spool of a dead worker: the folder of execution records that the worker's process left on disk.

    `id` is the name of the folder. `owner` has the Celery name of the dead worker in the key `node`. `owner` is empty
    if this name cannot be read.
    """

    id: str
    owner: Mapping[str, Any]
    path: Path

    def after(self, number: int, max_bytes: int) -> Slice:
        """Return the dead worker's execution records with numbers above `number`, oldest first.

        The records have at most `max_bytes` bytes in total. A larger first record is returned alone. The Slice also has
        the oldest and newest record number of the whole spool.
        """
        files = sorted(self.path.glob(f"*{SUFFIX}"))
        firsts = [_first(file) for file in files]
        newest = next((numbers[-1] for file in reversed(files) if (numbers := _numbers(file))), 0)
        lines: list[bytes] = []
        for file in files[max(0, bisect_right(firsts, number + 1) - 1) :]:
            lines += [line for line in _complete_lines(file) if number_of(line) > number]
            if sum(map(len, lines)) > max_bytes:
                break
        return Slice(firsts[0] if files else 1, newest, _fitting(lines, max_bytes))


def default_base() -> Path:
    """Return the default folder for this user's spools, below the machine's folder for temporary files."""
    return Path(tempfile.gettempdir()) / f"aforo-executions-{os.geteuid()}"


def claim(base: Path, spool_id: str, owner: Mapping[str, Any]) -> Path | None:
    """Create and lock the folder `spool_id` in `base` for this process's execution records.

    Return the path of the folder. If it cannot be created, or if other users can write to `base`, log a warning and
    return None. `owner` is written into the lock file. The lock ends with the process. The folders of dead processes
    that have not changed for a day are deleted from `base`.
    """
    try:
        _require_private(base)
        _delete_old(base)
        folder = base / spool_id
        folder.mkdir(mode=0o700)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)  # never closed: closing it would end the lock
        fcntl.lockf(lock, fcntl.LOCK_EX)
        os.write(lock, json.dumps(owner).encode())
    except OSError as error:
        logger.warning("aforo keeps execution records in memory only: %s", error)
        return None
    return folder


def dead_spools(base: Path, own_id: str) -> list[DeadSpool]:
    """Return the spools below `base` whose processes have died, the most recently changed first.

    `own_id` is the id of the calling process's own spool, which is left out. If `base` cannot be read, the list is
    empty.
    """
    spools = []
    with suppress(OSError):
        for folder in sorted(base.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True):
            if folder.name != own_id and _is_free(folder / LOCK):
                spools.append(DeadSpool(folder.name, _owner(folder / LOCK), folder))
    return spools


def _require_private(base: Path) -> None:
    """Create `base`, or raise OSError if another user could write into it."""
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = base.lstat()
    if base.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PermissionError(f"{base} is not a folder of this user alone")


def _delete_old(base: Path) -> None:
    for spool in dead_spools(base, ""):
        if time.time() - _last_change(spool.path) > KEPT_SECONDS:
            shutil.rmtree(spool.path, ignore_errors=True)


def _last_change(folder: Path) -> float:
    return max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)


def _is_free(lock: Path) -> bool:
    """Return True if no process holds the lock. It must not be a lock of this process."""
    try:
        with lock.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _owner(lock: Path) -> Mapping[str, Any]:
    try:
        owner = json.loads(lock.read_bytes())
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _complete_lines(file: Path) -> list[bytes]:
    """Return the lines of a file, without one that was cut by the end of its process."""
    try:
        *complete, _ = file.read_bytes().split(b"\n")
    except OSError:
        return []
    return complete


def _numbers(file: Path) -> list[int]:
    return [number_of(line) for line in _complete_lines(file)]


def _first(file: Path) -> int:
    return int(file.stem)


def _fitting(lines: list[bytes], max_bytes: int) -> list[bytes]:
    size_bytes = 0
    fitting: list[bytes] = []
    for line in lines:
        size_bytes += len(line) + 1
        if fitting and size_bytes > max_bytes:
            break
        fitting.append(line)
    return fitting
