"""Bandwidth limits that `python -m aforo measure-limits` stored, for the workers of the same user on this machine."""

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
    """Store limits in bytes/s by resource, with the time and the machine. Return the file. Raise OSError."""
    file = _file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps({"limits": limits, "measured_at": time.time(), "boot": boot_id()}), encoding="utf-8")
    partial.replace(file)
    return file


def stored_limits() -> Limits:
    """Return the limits measured on this machine within the last day, in bytes/s by resource."""
    try:
        stored = json.loads(_file().read_text(encoding="utf-8"))
        is_valid = stored["boot"] == boot_id() and 0 <= time.time() - stored["measured_at"] < VALID_SECONDS
        return {str(name): float(value) for name, value in stored["limits"].items()} if is_valid else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _file() -> Path:
    return Path(settings.read(settings.SPOOL_FOLDER) or default_base()) / FILE
