"""Identify a worker's process so that a reused pid or a changed clock cannot cause a mix-up."""

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
    """Host name (`node`), pid and start time, which together identify one process of a worker.

    `start` is a text of `start_of`. It differs between two processes that had the same pid.
    """

    node: str
    pid: int
    start: str

    @classmethod
    def this(cls) -> WorkerProcess:
        """Return the identity of the calling process."""
        return cls(platform.node(), os.getpid(), start_of(os.getpid()) or "")

    @property
    def owner(self) -> str:
        """Return the identity as text, `node|pid|start`.

        Claims, executions and the table of workers name a process by this text.
        """
        return f"{self.node}|{self.pid}|{self.start}"


def may_live(owner: str) -> bool:
    """Return True if the process that `owner` names (`node|pid|start`) is alive, or is on another node.

    The processes of another node cannot be seen from this node, so each of them could be alive.
    """
    node, pid, start = owner.rsplit("|", 2)
    return node != platform.node() or start_of(int(pid)) == start


def start_of(pid: int) -> str | None:
    """Return a text for the start time of process `pid`, or None if no such process is alive.

    The text is for comparison only. On Linux, the text has the boot id and the kernel ticks from boot to the start. On
    other systems, the text is the start in epoch seconds.
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
