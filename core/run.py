"""Mode, status, id and heartbeat of a run. A run is one test of one cell (size × concurrency × mode)."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import psutil

from aforo.machine import cpu_model, smt
from core.errors import UsageError

#: most videos of one run
MOST_VIDEOS = 1_000_000
LONGEST_RUN_ID = 63
#: longest size in a run's id; that of a mix may be longer
LONGEST_SIZE = 20
LEAST_ARRIVALS = 60
ARRIVALS_PER_SLOT = 10
#: Longest interval between heartbeats of a run while its injector, or a program that waits for the run, is alive.
HEARTBEAT_SECONDS = 60.0
#: a program that waits for a run of our worker gives up after this time without progress
STUCK_SECONDS = 1800.0
RUN_ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Mode(StrEnum):
    """How the videos of a run arrive: all at once (burst), or over time (sustained)."""

    BURST = "burst"
    SUSTAINED = "sustained"


#: Key of `runs.environment` for the load shape of a sustained run. Runs at equal intervals have none.
SHAPE = "shape"
#: key of `runs.environment` for the seed of random arrivals and of the order of a mix
SEED = "seed"
#: key of `runs.environment` for the weight and the file of each size of a mix; runs of one size have none
MIX = "mix"
#: key of `runs.environment`: whether the queue is in AWS, and no emulator's
REAL_SQS = "real_sqs"
#: name of the reference worker's app in the metrics' label `app`
OWN_APP = "aforo"
#: the shape of random arrivals at a constant rate
POISSON = "poisson"


def has_constant_rate(shape: str | None) -> bool:
    """Return True if the expected rate of a sustained run is the same from its start to its end.

    `shape` is the name of the run's load shape, or None for a fixed rate.
    """
    return shape in {None, POISSON}


class RunStatus(StrEnum):
    """Status of a run. A run that is finished, interrupted or failed never changes its status."""

    PREPARING = "preparing"
    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


#: Key of `runs.environment` for an EndOfVideo. Runs of the reference worker have none: its worker writes the states.
END_OF_VIDEO = "end_of_video"
#: Version of an app whose commit could not be read.
UNKNOWN_VERSION = "unknown"


class EndOfVideo(StrEnum):
    """Where Aforo reads the end of a video of a user's app: in the app's table, or in the executions."""

    TABLE = "table"  # the app's own table of videos
    EXECUTIONS = "executions"  # the recorded executions, for an app without such a table


def app_name(environment: Mapping[str, Any]) -> str | None:
    """Return the name of the app that a run tested, from the run's recorded environment.

    None means our reference worker.
    """
    name = environment.get("app", {}).get("name")
    return None if name is None else str(name)


def queue_of_run(environment: Mapping[str, Any]) -> str | None:
    """Return the name of the queue that carried a run's tasks, from the run's recorded environment.

    Return None for a run of an earlier version, which recorded no queue.
    """
    name = environment.get("queue") or environment.get("app", {}).get("queue")
    return None if name is None else str(name)


FINAL_STATUSES = frozenset({RunStatus.FINISHED, RunStatus.INTERRUPTED, RunStatus.FAILED})


@dataclass(frozen=True)
class Host:
    """A machine on which a program runs: name, CPU and memory. It is recorded with every result."""

    name: str
    system: str
    cpu_model: str
    cpu_count: int
    memory_bytes: int
    #: Two logical cores share a physical one, so the machine is saturated before all are busy. None means unknown.
    smt: bool | None

    @classmethod
    def this(cls) -> Host:
        """Return the facts of the machine on which this process runs."""
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


def fewest_arrivals(slots: int) -> int:
    """Return the smallest number of videos with which the stability of a sustained run can be judged.

    The number is max(60, 10 · slots + 1). Near full load, a stability verdict needs more videos.
    """
    return max(LEAST_ARRIVALS, ARRIVALS_PER_SLOT * slots + 1)


def new_run_id(
    mode: Mode,
    size_label: str,
    concurrency: int,
    app: str | None = None,
    *,
    nodes: int = 1,
    now: datetime | None = None,
) -> str:
    """Return a new run id such as `20261124-051233-burst-50mb-c2`.

    The id contains time (UTC), mode, size and concurrency. The number of workers follows if it is above 1 (`-w3`), then
    the name of the app under test.
    """
    moment = (now or datetime.now(UTC)).strftime("%Y%m%d-%H%M%S")
    size = re.sub(r"[^a-z0-9.]+", "-", size_label.lower().replace(":", "x"))[:LONGEST_SIZE].rstrip("-.")
    workers = f"-w{nodes}" if nodes > 1 else ""
    cell = f"{moment}-{mode}-{size}-c{concurrency}{workers}"
    return cell if app is None else f"{cell}-{app}"[:LONGEST_RUN_ID].rstrip("-.")


def is_heartbeat_overdue(heartbeat_at: float, rate_per_minute: float | None, now: float) -> bool:
    """Return True if a run's last heartbeat is so old that its injector must have died.

    `heartbeat_at` and `now` are epoch seconds. A heartbeat is too old after max(60, 120 / `rate_per_minute`) seconds,
    or after 60 s if `rate_per_minute` is None.
    """
    gap_seconds = 0.0 if rate_per_minute is None else 60 / rate_per_minute
    return now - heartbeat_at > max(HEARTBEAT_SECONDS, 2 * gap_seconds)


def check_run_id(run_id: str) -> str:
    """Return `run_id` unchanged if it is usable as a folder name and as the value of a metric label.

    Raise UsageError otherwise.
    """
    if not RUN_ID_PATTERN.fullmatch(run_id) or ".." in run_id:
        raise UsageError(
            "run id",
            "only a-z, 0-9, '.', '_' and '-' are allowed, 63 characters at most",
            "leave it out to generate one",
            value=run_id,
        )
    return run_id
