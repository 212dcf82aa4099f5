"""Identity of a process of a worker, which clock changes and reused pids do not affect."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil

from aforo.kernel import boot_id

_GONE = {b"Z", b"X"}


@dataclass(frozen=True)
class WorkerProcess:
    """One process of a worker: node name, pid, and the start time.

    The start time tells two processes with the same pid apart.
    """

    node: str
    pid: int
    start: str

    @classmethod
    def this(cls) -> WorkerProcess:
        """Return the calling process."""
        return cls(platform.node(), os.getpid(), start_of(os.getpid()) or "")

    @property
    def owner(self) -> str:
        """Return the text that names this process in claims, in executions and in the table of workers."""
        return f"{self.node}|{self.pid}|{self.start}"


def may_live(owner: str) -> bool:
    """Return True if the process that owns a claim is on another node or alive."""
    node, pid, start = owner.rsplit("|", 2)
    return node != platform.node() or start_of(int(pid)) == start


def start_of(pid: int) -> str | None:
    """Return a process's start time, unaffected by clock changes. Return None for a dead process.

    Linux counts the start time in ticks since boot. psutil adds the boot time, which changes with the clock. Other
    kernels store the start time as an epoch time.
    """
    boot = boot_id()
    if boot is None:
        return _start_by_clock(pid)
    try:
        state, *others = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if state in _GONE else f"{boot[:8]}:{int(others[18])}"  # field 22 of proc(5); `state` is the third


def _start_by_clock(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None
