"""Measured bandwidth limits, stored in a file for the workers that start within a day.

`python -m aforo measure-limits` stores them for all workers that the same user starts on this machine.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from aforo import settings
from aforo.bandwidth import Limits
from aforo.executions.folder import default_base
from aforo.kernel import boot_id

FILE = "bandwidth-limits.json"
#: A stored limit is used for a day: credits of a disk and neighbours on a network change.
VALID_SECONDS = 24 * 3600.0


def store_limits(limits: Limits) -> Path:
    """Write measured bandwidth limits to a file, and return its path. Raise OSError if that fails.

    `limits` maps a resource, such as `disk_read`, to bytes/s. The time and the boot id of the machine are stored too.
    """
    file = _file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_limits(file, limits, boot=boot_id())
    return file


def stored_limits() -> Limits:
    """Return the stored bandwidth limits: bytes/s by resource, such as `disk_read`.

    Return an empty dict if there are none, if they are older than a day, or if the machine has been restarted since.
    """
    return read_limits(_file(), boot=boot_id()) or {}


def write_limits(file: Path, limits: Limits, **conditions: str | None) -> None:
    """Write bandwidth limits to `file`, with the current time and the conditions of the measurement.

    `limits` maps a resource to bytes/s. `conditions` are texts by name, such as the boot id of the machine.
    The function `read_limits` requires the same conditions. Raise OSError if the file cannot be written.
    """
    partial = file.with_suffix(".part")
    content = {**conditions, "measured_at": time.time(), "limits": limits}
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.replace(file)


def read_limits(file: Path, **conditions: str | None) -> Limits | None:
    """Return the bandwidth limits in a file that the function `write_limits` wrote: bytes/s by resource.

    Return None if the file cannot be read, if the limits are older than a day, or if they were written with other
    `conditions`.
    """
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        is_valid = 0 <= time.time() - stored["measured_at"] < VALID_SECONDS
        if not is_valid or any(stored[name] != value for name, value in conditions.items()):
            return None
        return {str(name): float(value) for name, value in stored["limits"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _file() -> Path:
    return Path(settings.read(settings.SPOOL_FOLDER) or default_base()) / FILE
