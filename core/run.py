"""A run: one test of one cell (size × concurrency × mode)."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import psutil

from aforo.machine import cpu_model, smt
from core.errors import UsageError

RUN_ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Mode(StrEnum):
    """Arrival pattern of the videos: all at once, or at a fixed rate."""

    BURST = "burst"
    SUSTAINED = "sustained"


class RunStatus(StrEnum):
    """Status of a run. The last three values are final."""

    PREPARING = "preparing"
    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


FINAL_STATUSES = frozenset({RunStatus.FINISHED, RunStatus.INTERRUPTED, RunStatus.FAILED})


@dataclass(frozen=True)
class Host:
    """The machine on which a program runs, recorded with every result."""

    name: str
    system: str
    cpu_model: str
    cpu_count: int
    memory_bytes: int
    #: Two logical cores share a physical one, so the machine is saturated before all are busy. None means unknown.
    smt: bool | None

    @classmethod
    def this(cls) -> Host:
        """Return the machine of this process."""
        return cls(
            name=platform.node(),
            system=platform.platform(),
            cpu_model=cpu_model(),
            cpu_count=os.cpu_count() or 1,
            memory_bytes=psutil.virtual_memory().total,
            smt=smt(),
        )


#: note of a run that only warms up the slots, and the beginning of its id; no table shows it
WARM_UP = "warm-up"


def new_run_id(mode: Mode, size_label: str, concurrency: int, now: datetime | None = None) -> str:
    """Return a readable, sortable id such as `20261124-051233-burst-50mb-c2`."""
    moment = (now or datetime.now(UTC)).strftime("%Y%m%d-%H%M%S")
    size = re.sub(r"[^a-z0-9.]", "", size_label.lower())
    return f"{moment}-{mode}-{size}-c{concurrency}"


def check_run_id(run_id: str) -> str:
    """Return `run_id` if it is a safe folder name and label value. Raise UsageError otherwise."""
    if not RUN_ID_PATTERN.fullmatch(run_id) or ".." in run_id:
        raise UsageError(
            "run id",
            "only a-z, 0-9, '.', '_' and '-' are allowed, 63 characters at most",
            "leave it out to generate one",
            value=run_id,
        )
    return run_id
