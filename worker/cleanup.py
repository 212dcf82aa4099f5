"""Clean up after a killed worker: its processes, its work files, and outputs that no video uses."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from aforo.telemetry import event_channel
from aforo.telemetry.label_values import Operation
from core.errors import EnvironmentFault
from core.storage import Storage, StorageError

logger = logging.getLogger(__name__)
#: age at which an unfinished upload counts as abandoned: no execution runs that long
ABANDONED_SECONDS = 24 * 3600.0
LOCK = ".lock"
OURS = frozenset({"ffmpeg", "ffprobe"})


def take_work_folder(folder: Path) -> IO[str]:
    """Lock the work folder for this worker. The lock lasts while the returned file is open.

    Create the folder if it does not exist. Raise EnvironmentFault if that fails, or if another worker holds the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        why = error.strerror or str(error)
        raise EnvironmentFault("work folder", why, "set AFORO_WORKER_WORK_PATH to another", value=folder) from error
    try:
        # the lock belongs to this process only: it ends with it, and a fork does not inherit it
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        remedy = "stop that one, or set AFORO_WORKER_WORK_PATH to another"
        raise EnvironmentFault("work folder", "another worker uses it", remedy, value=folder) from error
    return lock


def clean_up_work_folder(folder: Path) -> None:
    """Kill the ffmpeg processes of a killed worker, and empty the work folder except for the lock file.

    The calling worker must hold the lock of the folder. Files that cannot be deleted are logged and counted.
    """
    ended = end_orphans(folder)
    _remove([leftover for leftover in folder.iterdir() if leftover.name != LOCK])
    if ended:
        logger.warning("ended %d programs of a killed worker", ended)


def delete_outputs(storage: Storage, keys: Iterable[str]) -> None:
    """Delete the output files with these storage keys. The caller gives only outputs that no video uses.

    An error is logged and counted, but not raised, because some storages forbid deletes.
    """
    for key in keys:
        try:
            storage.delete(key)
        except (StorageError, OSError) as error:
            event_channel.handled_error(Operation.DELETE_OUTPUTS)
            logger.warning("could not delete the output %s of a lost execution: %s", key, error)


def clean_up_dead_slots(folder: Path) -> None:
    """Delete the work files of slots whose process is dead.

    Each slot has a subfolder of `folder` named after its process id. Files that cannot be deleted are logged and
    counted.
    """
    names = (leftover for leftover in folder.iterdir() if leftover.name.isdigit())
    _remove([leftover for leftover in names if not psutil.pid_exists(int(leftover.name))])


def end_orphans(folder: Path) -> int:
    """Kill each ffmpeg and ffprobe that still works on files in `folder`. Return how many were killed.

    On a machine with the program setpriv, the result is usually 0: the kernel kills ffmpeg when its worker dies.
    """
    argument_start, ended = f"file:{folder.resolve()}{os.sep}", 0
    for process in psutil.process_iter(["name", "cmdline"]):
        words = process.info["cmdline"] or []
        if process.info["name"] in OURS and any(word.startswith(argument_start) for word in words):
            with suppress(psutil.NoSuchProcess):
                process.kill()
                ended += 1
    return ended


def _remove(leftovers: Sequence[Path]) -> None:
    """Delete files and folders. If some of them cannot be deleted, log and count that once."""
    for leftover in leftovers:
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            with suppress(OSError):
                leftover.unlink()
    # another child may have deleted them at the same time, so an error alone does not mean that a file stays
    if left := [leftover for leftover in leftovers if os.path.lexists(leftover)]:
        event_channel.handled_error(Operation.CLEAN_UP)
        logger.warning("could not delete %d leftovers of a killed process, such as %s", len(left), left[0])
