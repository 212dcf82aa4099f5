"""Limit the CPU or the disk of running processes, for tests. Both limits need root and cgroup v1."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

CPU, BLKIO = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/blkio")
PERIOD_MICROSECONDS = 100_000
DISK_BYTES = 512 << 20


def missing_requirement() -> str | None:
    """Return a text that says why CPU and disk cannot be limited on this machine, or None if they can."""
    if os.geteuid() != 0:
        return "only root can limit a disk and the CPU"
    if not (CPU / "cpu.cfs_quota_us").exists() and not (CPU / "cgroup.procs").exists():
        return "there is no cgroup v1 controller for the CPU"
    return None if (BLKIO / "cgroup.procs").exists() else "there is no cgroup v1 controller for disks"


@contextmanager
def cpu_quota(cores: float) -> Iterator[Path]:
    """Context manager: create a cgroup that limits its processes to `cores` cores. Yield its folder.

    The function `enter` moves processes into the cgroup.
    """
    with _cgroup(CPU) as group:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
        (group / "cpu.cfs_quota_us").write_text(str(round(cores * PERIOD_MICROSECONDS)))
        yield group


@contextmanager
def busy_cores() -> Iterator[None]:
    """Context manager: keep the CPU busy with one endless process per core while the block runs."""
    loop = [sys.executable, "-c", "while True: pass"]
    neighbours = [subprocess.Popen(loop) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()


def enter(group: Path, pid: int) -> None:
    """Move the process `pid` and its descendants into the cgroup with the folder `group`.

    Child processes that start later are in the cgroup too.
    """
    process = psutil.Process(pid)
    for each in (process, *process.children(recursive=True)):
        (group / "cgroup.procs").write_text(str(each.pid))


@contextmanager
def slow_disk(folder: Path, bytes_per_second: int) -> Iterator[Path]:
    """Context manager: mount a new, slow disk in a subfolder of `folder`, and yield the subfolder.

    Reads and writes of this process and of its new child processes are limited to `bytes_per_second` each.
    """
    image, mount_point = folder / "disk.img", folder / "disk"
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    _run("mkfs.ext4", "-q", "-F", "-O", "^has_journal", str(image))
    device = Path(_run("losetup", "--show", "-f", "--direct-io=on", str(image)).strip())
    mount_point.mkdir(exist_ok=True)
    try:
        _run("mount", "-o", "sync", str(device), str(mount_point))
        with _cgroup(BLKIO) as group:
            number = Path(f"/sys/block/{device.name}/dev").read_text(encoding="utf-8").strip()
            for direction in ("read", "write"):
                (group / f"blkio.throttle.{direction}_bps_device").write_text(f"{number} {bytes_per_second}")
            (group / "cgroup.procs").write_text(str(os.getpid()))
            yield mount_point
    finally:
        _run("umount", "--lazy", str(mount_point))
        _run("losetup", "-d", str(device))


@contextmanager
def _cgroup(controller: Path) -> Iterator[Path]:
    group = controller / f"aforo-limits-{os.getpid()}"
    group.mkdir()
    try:
        yield group
    finally:
        for pid in (group / "cgroup.procs").read_text(encoding="utf-8").split():
            (controller / "cgroup.procs").write_text(pid)
        group.rmdir()


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
