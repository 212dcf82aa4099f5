"""Compute how many threads ffmpeg is allowed to use in one slot, from the available CPU and memory.

The memory constants of this module are upper bounds of measurements with ffmpeg 5.1 and H.264 video.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import psutil

from aforo.cgroup import Cgroup
from core import settings

MIB = 1 << 20
#: measured: 390, 1370, 2380, 4353 MiB with 1, 8, 16, 32 threads; no growth above 8 threads per core
ADDRESS_SPACE_BYTES, ADDRESS_SPACE_PER_THREAD_BYTES = 352 * MIB, 144 * MIB
#: with the Python process of the slot; measured for ffmpeg at 2160p: 166, 421, 704, 1251 MiB with 1, 8, 16, 32 threads
RESIDENT_BYTES, RESIDENT_PER_THREAD_BYTES = 300 * MIB, 40 * MIB


@dataclass(frozen=True)
class HostLimits:
    """Cores and memory that all slots of a worker share.

    They are the limits of the worker's container, or those of the machine if the container has none.
    """

    cores: float
    memory_bytes: int

    @classmethod
    def this(cls, cgroup: Cgroup | None = None) -> HostLimits:
        """Return the limits of this process's container. Where it has none, return those of the machine.

        `cgroup` is the Linux cgroup to read, by default that of this process.
        """
        cgroup = cgroup or Cgroup()
        quota, memory_limit = cgroup.cpu_quota(), cgroup.memory_limit_bytes()
        cores, memory_bytes = float(_usable_cores()), psutil.virtual_memory().total
        return cls(min(cores, quota.cores) if quota else cores, min(memory_bytes, memory_limit or memory_bytes))


def thread_budget(worker: settings.Worker, limits: HostLimits | None = None) -> int:
    """Return the number of threads for one ffmpeg: AFORO_WORKER_THREADS, or what CPU and memory allow.

    `limits` has the cores and memory of all slots together, by default those of the container or machine. The result is
    at least 1.
    """
    if worker.threads:
        return worker.threads
    limits = limits or HostLimits.this()
    by_cpu = math.ceil(limits.cores) // worker.concurrency
    address_space_left = worker.ffmpeg_memory_mib * MIB - ADDRESS_SPACE_BYTES
    resident_left = limits.memory_bytes // worker.concurrency - RESIDENT_BYTES
    by_memory = min(address_space_left // ADDRESS_SPACE_PER_THREAD_BYTES, resident_left // RESIDENT_PER_THREAD_BYTES)
    return max(1, min(by_cpu, by_memory))


def _usable_cores() -> int:
    """Return the cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
