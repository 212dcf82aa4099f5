"""Kernel values from /proc: the boot id and the virtual-memory counters."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_VMSTAT = Path("/proc/vmstat")


@lru_cache(maxsize=1)
def boot_id() -> str | None:
    """Return the kernel's boot id, or None without /proc.

    All containers of a machine have the same boot id. It changes at each boot.
    """
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return None


def vmstat() -> dict[str, int]:
    """Return the counters of /proc/vmstat, such as `oom_kill`. Return an empty dict without /proc."""
    try:
        pairs = (line.split() for line in _VMSTAT.read_text(encoding="ascii").splitlines())
    except OSError:
        return {}
    return {name: int(value) for name, value in pairs}
