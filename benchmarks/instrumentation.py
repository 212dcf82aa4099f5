"""Measure the cost of our metrics and execution records per task: no-op tasks with and without them.

The cost is CPU time and end-to-end time. The worker has one slot and uses our transport. The task has three stages.
Neither /metrics nor /executions is read while tasks run, which separates the cost of a task from that of a reading.
The readings are measured afterwards. The variants run in turns, and the bound is that of their paired differences.

    PYTHONPATH=. .venv/bin/python benchmarks/instrumentation.py [--tasks 400] [--repeats 30]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from scipy import stats

from benchmarks.harness import Queue, cpu_seconds, emulator, machine, read_metrics, spread
from benchmarks.noop import message, worker
from testing.polling import seconds_until
from testing.ports import free_port

FLAGS = ("--pool", "prefork", "--concurrency", "1", "-Ofair")
WARM_UP_TASKS = 50
SCRAPES = 50
TASK_SECONDS = 5.0


@dataclass(frozen=True)
class Cost:
    """Cost in milliseconds: two times per task, and the CPU time of one read of /metrics and one of /executions.

    The times per task are the CPU time of worker and child, and the time from one task to the next.
    """

    cpu_ms: float
    wall_ms: float
    scrape_ms: float = 0.0


def main() -> None:
    """Print the cost of our metrics and execution records per task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=30)
    arguments = parser.parse_args()
    print(machine())
    costs: dict[bool, list[Cost]] = {True: [], False: []}
    with emulator() as endpoint_url, tempfile.TemporaryDirectory() as folder:
        for repeat in range(arguments.repeats):
            for attached in (True, False) if repeat % 2 else (False, True):
                queue = Queue.make(endpoint_url, f"i{repeat}-{int(attached)}")
                costs[attached].append(cost(queue, Path(folder), arguments.tasks, attached))
    for attached, name in ((False, "without"), (True, "with")):
        cpu, wall = ([getattr(each, field) for each in costs[attached]] for field in ("cpu_ms", "wall_ms"))
        print(f"{name:>8}: CPU {spread(cpu)} ms per task, {spread(wall)} ms from task to task")
    show(costs)


def cost(queue: Queue, folder: Path, tasks: int, attached: bool) -> Cost:
    """Run a worker, and return the cost per task over `tasks` tasks, after a warm-up.

    With `attached`, the worker has our metrics and execution records.
    """
    port = free_port() if attached else 0
    with worker(queue, folder, WARM_UP_TASKS, *FLAGS, NOOP_HARDENED="1", NOOP_PORT=str(port)) as noop_worker:
        seconds_until(lambda: len(noop_worker.moments()) == WARM_UP_TASKS, "the tasks for warming up")
        before = cpu_seconds(noop_worker.process)
        queue.send([message(queue) for _ in range(tasks)])
        seconds_until(lambda: len(noop_worker.moments()) == WARM_UP_TASKS + tasks, "the tasks", seconds=300, every=0.5)
        used = cpu_seconds(noop_worker.process) - before
        moments = noop_worker.moments()[WARM_UP_TASKS:]
        wall = (moments[-1] - moments[0]) / (tasks - 1)
        return Cost(1000 * used / tasks, 1000 * wall, scrape_cost(noop_worker.process, port) if attached else 0.0)


def scrape_cost(process, port: int) -> float:
    """Return the CPU milliseconds of one read of /metrics, and of one of /executions without a new record."""
    read_metrics(port)
    page = read_executions(port, "", 0)
    before = cpu_seconds(process)
    for _ in range(SCRAPES):
        assert read_metrics(port)
        assert not read_executions(port, page["spool"], page["newest"])["records"]
    return 1000 * (cpu_seconds(process) - before) / SCRAPES


def read_executions(port: int, spool: str, after: int) -> dict[str, Any]:
    """Return the page of execution records that a worker serves at /executions.

    `spool` is the id of the worker's spool. Only records with a number above `after` are returned.
    """
    with urlopen(f"http://127.0.0.1:{port}/executions?spool={spool}&after={after}", timeout=10) as answer:
        return dict(json.load(answer))


def upper_bound(differences: Sequence[float]) -> float:
    """Return the upper end of the 95 % interval of a mean difference (t distribution); infinite for one pair."""
    if len(differences) < 2:
        return math.inf
    half = stats.t.ppf(0.975, len(differences) - 1) * statistics.stdev(differences) / math.sqrt(len(differences))
    return statistics.fmean(differences) + float(half)


def show(costs: dict[bool, list[Cost]]) -> None:
    """Print the cost of the metrics, and its share of a task of 5 s at one scrape per second."""
    pairs = list(zip(costs[True], costs[False], strict=True))
    cpu = statistics.median(on.cpu_ms - off.cpu_ms for on, off in pairs)
    walls = [on.wall_ms - off.wall_ms for on, off in pairs]
    wall, bound = statistics.median(walls), upper_bound(walls)
    scrape = statistics.median(each.scrape_ms for each in costs[True])
    whole = cpu + TASK_SECONDS * scrape
    print(f"metrics add {cpu:.2f} ms CPU and {wall:.2f} ms of time per task; a scrape costs {scrape:.2f} ms CPU")
    print(
        f"upper 95 % bound of the time, {len(pairs)} pairs: {bound:.2f} ms, {bound / TASK_SECONDS / 10:.3f} % of a task"
    )
    print(f"of a task of {TASK_SECONDS:.0f} s: time {wall / TASK_SECONDS / 10:.3f} %, ", end="")
    print(f"CPU with a scrape per second {whole / TASK_SECONDS / 10:.2f} % of a core")


if __name__ == "__main__":
    main()
