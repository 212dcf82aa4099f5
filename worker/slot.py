"""A slot is one worker process, told from any other whatever the clock does and however often its pid is used again."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_GONE = {b"Z", b"X"}


@dataclass(frozen=True)
class Slot:
    """One worker process: node name, pid, and the start that makes the pid unambiguous."""

    node: str
    pid: int
    start: str

    @classmethod
    def this(cls) -> Slot:
        """Return the slot of the calling process."""
        return cls(platform.node(), os.getpid(), start_of(os.getpid()) or "")

    @property
    def owner(self) -> str:
        """Return the text a claim is signed with."""
        return f"{self.node}|{self.pid}|{self.start}"


def may_live(owner: str) -> bool:
    """Say whether the slot that signed a claim may still work on it: it is of another node, or its process lives."""
    node, pid, start = owner.rsplit("|", 2)
    return node != platform.node() or start_of(int(pid)) == start


def start_of(pid: int) -> str | None:
    """Return the start of a process in words that no step of the clock changes; None for one that is dead.

    Linux counts it in ticks since the boot; psutil adds the moment of the boot, which moves with the clock. Elsewhere
    the kernel notes the moment itself.
    """
    boot = _boot()
    if boot is None:
        return _start_by_clock(pid)
    try:
        state, *others = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if state in _GONE else f"{boot}:{int(others[18])}"  # field 22 of proc(5); `state` is the third


@lru_cache(maxsize=1)
def _boot() -> str | None:
    """Return which boot of the machine this is, in eight digits; None where there is no /proc."""
    try:
        return _BOOT_ID.read_text(encoding="ascii")[:8]
    except OSError:
        return None


def _start_by_clock(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None
