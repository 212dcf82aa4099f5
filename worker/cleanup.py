"""Clears away what nobody wants: a killed worker's programs and files, outputs that lost, publications cut off."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from aforo.telemetry import event_channel
from aforo.telemetry.label_values import Operation
from core.errors import EnvironmentFault
from core.storage import Storage, StorageError

logger = logging.getLogger(__name__)
#: a publication that began so long ago, and was neither finished nor removed by a later execution, has nobody left
ABANDONED_SECONDS = 24 * 3600.0
LOCK = ".lock"
OURS = frozenset({"ffmpeg", "ffprobe"})


def take_work_folder(folder: Path) -> IO[str]:
    """Make the folder this worker's alone while the returned file is open; raise EnvironmentFault where it is not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        why = error.strerror or str(error)
        raise EnvironmentFault("work folder", why, "set AFORO_WORKER_WORK_PATH to another", value=folder) from error
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of this process alone: it ends with it, a fork has no part
    except OSError as error:
        remedy = "stop that one, or set AFORO_WORKER_WORK_PATH to another"
        raise EnvironmentFault("work folder", "another worker uses it", remedy, value=folder) from error
    return lock


def sweep(folder: Path) -> None:
    """Clear the work folder, which must be ours."""
    ended = end_orphans(folder)
    for leftover in folder.iterdir():
        if leftover.name != LOCK:
            _remove(leftover)
    if ended:
        logger.warning("ended %d programs of a worker that was killed", ended)


def discard(storage: Storage, keys: Iterable[str]) -> None:
    """Remove what executions that cannot win any more published, or began to; a storage may forbid it."""
    for key in keys:
        try:
            storage.delete(key)
        except (StorageError, OSError) as error:
            event_channel.handled_error(Operation.DELETE_OUTPUTS)
            logger.warning("what a lost execution published as %s is still there: %s", key, error)


def sweep_dead_slots(folder: Path) -> None:
    """Remove the temporary files of slots that were killed: each has a folder named by its pid."""
    for leftover in folder.iterdir():
        if leftover.name.isdigit() and not psutil.pid_exists(int(leftover.name)):
            _remove(leftover)


def end_orphans(folder: Path) -> int:
    """Kill each ffmpeg that works in the folder; return how many. Where there is setpriv none outlives its worker."""
    place, ended = f"file:{folder.resolve()}{os.sep}", 0
    for process in psutil.process_iter(["name", "cmdline"]):
        words = process.info["cmdline"] or []
        if process.info["name"] in OURS and any(word.startswith(place) for word in words):
            with suppress(psutil.NoSuchProcess):
                process.kill()
                ended += 1
    return ended


def _remove(leftover: Path) -> None:
    if leftover.is_dir():
        shutil.rmtree(leftover, ignore_errors=True)
    else:
        leftover.unlink(missing_ok=True)
