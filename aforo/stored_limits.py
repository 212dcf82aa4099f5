"""Bandwidth limits that `python -m aforo measure-limits` has measured, stored in a file.

Workers that the same user starts on this machine afterwards read them from there.
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
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps({"limits": limits, "measured_at": time.time(), "boot": boot_id()}), encoding="utf-8")
    partial.replace(file)
    return file


def stored_limits() -> Limits:
    """Return the stored bandwidth limits: bytes/s by resource, such as `disk_read`.

    Return an empty dict if there are none, if they are older than a day, or if the machine has been restarted since.
    """
    try:
        stored = json.loads(_file().read_text(encoding="utf-8"))
        is_valid = stored["boot"] == boot_id() and 0 <= time.time() - stored["measured_at"] < VALID_SECONDS
        return {str(name): float(value) for name, value in stored["limits"].items()} if is_valid else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _file() -> Path:
    return Path(settings.read(settings.SPOOL_FOLDER) or default_base()) / FILE
