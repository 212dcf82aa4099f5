"""Collect the conditions of a worker for the labels of `aforo_worker_info`.

The conditions are the machine, its limits, the versions of programs, and settings.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

import celery
import kombu
import psutil

from aforo import __version__, machine, settings
from aforo.cgroup import Cgroup
from aforo.process_identity import WorkerProcess
from aforo.telemetry.ffmpeg import ffmpeg_version

UNKNOWN = "unknown"
#: A limit that does not exist is known, unlike a limit that could not be read.
NO_LIMIT = "none"
POOLS = {"prefork": "prefork", "thread": "threads", "solo": "solo"}


def worker_conditions(app: Any, pool: Any, facts: Mapping[str, str]) -> dict[str, str]:
    """Return the conditions of this worker by name, such as `cpu_model`, as labels of aforo_worker_info.

    Call this in the worker's main process. `pool` is the Celery pool. `facts` has what only the app knows: `profile`,
    `threads` (of one ffmpeg), `threads_setting` (`auto` or a number) and `autoscale`, the value of Celery's option. An
    unknown profile and no autoscaling are an empty text. Any other unknown condition is `unknown`. A CPU quota or
    memory limit that does not exist is `none`.
    """
    return {
        "worker": WorkerProcess.this().owner,
        "version": __version__,
        "python": platform.python_version(),
        "celery": celery.__version__,
        "kombu": kombu.__version__,
        "transport": str(app.conf.broker_url or "").partition(":")[0] or UNKNOWN,
        "pool": _pool_name(pool),
        "profile": facts.get("profile", ""),
        "threads_setting": facts.get("threads_setting", UNKNOWN),
        "threads": facts.get("threads", UNKNOWN),
        "ffmpeg": ffmpeg_version(),
        "image": settings.read(settings.IMAGE) or UNKNOWN,
        "autoscale": facts.get("autoscale", ""),
        **_machine(Cgroup()),
    }


def _machine(cgroup: Cgroup) -> dict[str, str]:
    quota, memory_limit, smt = cgroup.cpu_quota(), cgroup.memory_limit_bytes(), machine.smt()
    return {
        "cpu_model": machine.cpu_model(),
        "instance_type": machine.instance_type(),
        "cores": str(os.cpu_count() or UNKNOWN),
        "smt": UNKNOWN if smt is None else "on" if smt else "off",
        "memory_bytes": str(psutil.virtual_memory().total),
        "cpu_quota_cores": NO_LIMIT if quota is None else f"{quota.cores:g}",
        "memory_limit_bytes": NO_LIMIT if memory_limit is None else str(memory_limit),
    }


def _pool_name(pool: Any) -> str:
    modules = (parent.__module__.rpartition(".")[2] for parent in type(pool).__mro__)
    return next((POOLS[module] for module in modules if module in POOLS), UNKNOWN)
