"""Validation of files and folders that a user names: whether they can be read or written.

The text of each error fits on one line, and says what the user can do.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import EnvironmentFault, UsageError

#: Table, page and records of a run of 10,000 videos.
LEAST_FREE_BYTES = 20_000_000


def expanded_path(text: str) -> Path:
    """Return the path in `text` with `~` expanded. Raise ValueError for a text that cannot be a path."""
    if not text or not text.isprintable():
        raise ValueError("a printable path")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("a path whose ~user exists") from None


def is_folder(text: str) -> bool:
    """Return True if `text` is the path of an existing folder.

    Return False for any other text, and for a folder that this process has no permission to see.
    """
    try:
        return Path(text).is_dir()
    except (OSError, ValueError):
        return False


def require_file(what: str, text: str, remedy: str, most_bytes: int | None = None) -> Path:
    """Return the path `text`. Raise UsageError unless it is a regular file that this process can read.

    Raise UsageError also for a file larger than `most_bytes`. None means no limit. The error contains `what`, a name
    for the file, and `remedy`, which says what the user can do.
    """
    try:
        status = os.stat(text)
        if not stat.S_ISREG(status.st_mode):
            why = "it is a directory" if stat.S_ISDIR(status.st_mode) else "it is not a regular file"
            raise UsageError(what, why, remedy, value=text)
        if most_bytes is not None and status.st_size > most_bytes:
            raise UsageError(what, f"it is larger than {most_bytes / 1e6:,.0f} MB", remedy, value=text)
        with open(text, "rb"):
            return Path(text)
    except FileNotFoundError:
        raise UsageError(what, "there is no such file", remedy, value=text) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(what, f"it cannot be read: {why}", remedy, value=text) from None


def read_text(what: str, path: Path, remedy: str, most_bytes: int) -> str:
    """Return the text of the file `path`, which must be a regular file in UTF-8.

    Raise UsageError for any other file, and above `most_bytes`. The error contains `what`, a name for the file, and
    `remedy`, which says what the user can do.
    """
    try:
        return require_file(what, str(path), remedy, most_bytes).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(what, "it is not text in UTF-8", remedy, value=path) from None
    except OSError as error:
        raise UsageError(what, f"it cannot be read: {error.strerror}", remedy, value=path) from None


@contextmanager
def written(what: str, path: Path, remedy: str) -> Iterator[None]:
    """Context manager for a block that writes the file `path`: turn an OSError into EnvironmentFault.

    The text of the error contains `what`, a name for the file, and `remedy`, which says what the user can do.
    """
    try:
        yield
    except OSError as error:
        why = f"it cannot be written: {error.strerror or error}"
        raise EnvironmentFault(what, why, remedy, value=path) from error


def require_writable(what: str, path: Path, remedy: str, *, make_folder: bool = False) -> None:
    """Raise an AforoError if this process cannot write the file `path`. The file stays unchanged.

    With `make_folder=True`, create the parent folder of `path` if it is missing. The error contains `what`, a name for
    the file, and `remedy`, which says what the user can do.
    """
    with written(what, path, remedy):
        if path.exists() and not path.is_file():
            raise UsageError(what, "it is not a regular file", remedy, value=path)
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.open("ab").close()
        else:
            tempfile.TemporaryFile(dir=path.parent).close()


def require_usable_folder(what: str, folder: Path, variable: str, least_free_bytes: int = LEAST_FREE_BYTES) -> str:
    """Return a text such as `/data, 12.3 GB free` if this process can write files in `folder`.

    Create a missing folder. Raise EnvironmentFault if no file can be written, or if fewer than `least_free_bytes` bytes
    are free. The error contains `what`, a name for the folder, and `variable`, the setting to change.
    """
    remedy = f"choose another {variable}, or make room and correct its permissions"
    with written(what, folder, remedy):
        folder.mkdir(parents=True, exist_ok=True)
        # A full quota does not show in the number of free bytes, only in a write.
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".aforo-check-") as probe:
            probe.write(b"\0" * 65536)
            probe.flush()
            os.fsync(probe.fileno())
        space = os.statvfs(folder)
    free = space.f_bavail * space.f_frsize
    if free < least_free_bytes:
        raise EnvironmentFault(what, f"only {free / 1e6:.0f} MB are free", remedy, value=folder)
    if space.f_files > 0 and space.f_favail == 0:
        raise EnvironmentFault(what, "it has no free inode", remedy, value=folder)
    return f"{folder}, {free / 1e9:.1f} GB free"
