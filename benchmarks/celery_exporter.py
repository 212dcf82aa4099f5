"""Compare what task metrics cost, and how many tasks they miss: our metrics and celery-exporter's.

Our metrics are counted in the worker. Celery-exporter counts Celery's events. The same worker (prefork, 2 slots) runs
the same no-op tasks from a separate Redis in three variants:

- without metrics
- with our metrics (`aforo.instrument`)
- with Celery's events on and celery-exporter running

Each variant is scraped as in `prometheus/prometheus.yml`: the worker every second, celery-exporter every five seconds.
CPU is that of the worker with its children, plus celery-exporter's. For the last line, celery-exporter is killed and
restarted half way, as in a deploy.

    .venv/bin/python benchmarks/celery_exporter.py [--tasks 10000] [--repeats 3]
    .venv/bin/python benchmarks/celery_exporter.py --quick
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version

import psutil
import redis
from celery import Celery

import aforo
from benchmarks.programs import ROOT, running, scrape
from testing.polling import seconds_until
from testing.ports import free_port, is_open

EXPORTER = ROOT / ".tools/celery-exporter"
TASK = "noop"
PLAIN, OURS, PEER, RESTARTED = "no metrics", "ours", "celery-exporter", "celery-exporter restarted"
PORTS = {OURS: 20694, PEER: 20695, RESTARTED: 20695}
SCRAPE_SECONDS = {OURS: 1.0, PEER: 5.0, RESTARTED: 5.0}
COUNTS = {
    OURS: re.compile(r'^aforo_worker_tasks_total\{.*outcome="succeeded".*\} (\S+)$', re.M),
    PEER: re.compile(r"^celery_task_succeeded_total\{.*\} (\S+)$", re.M),
}
COUNTS[RESTARTED] = COUNTS[PEER]
DEADLINE_SECONDS = 300.0
AS_ROOT = {"C_FORCE_ROOT": "1"}
FINAL_COUNT_SECONDS = 8.0


def main() -> None:
    """Print the CPU seconds and the missed tasks of each variant. With --worker, run the worker that is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--worker", nargs=2, metavar=("KIND", "BROKER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return run_worker(*arguments.worker)
    if arguments.quick:
        arguments.tasks, arguments.repeats = 200, 1
    kinds = [PLAIN, OURS, PEER] if arguments.quick else [PLAIN, OURS, PEER, RESTARTED]
    cpu: dict[str, list[float]] = {kind: [] for kind in kinds}
    lost: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(arguments.repeats):
        for kind in kinds:
            seconds, counted = measured(kind, arguments.tasks)
            cpu[kind].append(seconds / arguments.tasks * 10_000)
            lost[kind].append(arguments.tasks - counted)
    show(cpu, lost, arguments.tasks)
    return None


def application(broker: str) -> Celery:
    """Return an application with one task that does nothing."""
    app = Celery("bench", broker=broker)
    app.conf.task_ignore_result = True
    app.task(name=TASK)(noop)
    return app


def noop() -> None:
    """Do nothing."""


def run_worker(kind: str, broker: str) -> None:
    """Run the worker of the variant `kind` until SIGTERM."""
    app = application(broker)
    if kind == OURS:
        aforo.instrument(app, port=PORTS[OURS])
    events = ["--task-events"] if kind in {PEER, RESTARTED} else []
    app.worker_main(["worker", "--concurrency", "2", "--loglevel", "WARNING", *events])


def measured(kind: str, tasks: int) -> tuple[float, float]:
    """Run the variant `kind` with this many tasks. Return two numbers: CPU seconds and counted tasks.

    The CPU seconds are those of the worker and its children, and of celery-exporter if it runs. The counted tasks are
    those in the metrics.
    """
    with ExitStack() as stack:
        broker = stack.enter_context(redis_server())
        exporter = stack.enter_context(celery_exporter(broker)) if kind in {PEER, RESTARTED} else None
        worker = stack.enter_context(running([sys.executable, __file__, "--worker", kind, broker], AS_ROOT))
        app = application(broker)
        seconds_until(lambda: bool(app.control.ping(timeout=0.5)), "the worker")
        if kind in PORTS:
            stack.enter_context(scraping(kind))
        processes = [psutil.Process(process.pid) for process in (worker, exporter) if process]
        before = sum(map(cpu_seconds, processes))
        spent = 0.0
        send(app, tasks // 2)
        if kind == RESTARTED and exporter:
            spent = cpu_seconds(processes[1])
            exporter.kill()
            exporter.wait()
            processes[1] = psutil.Process(stack.enter_context(celery_exporter(broker)).pid)
        send(app, tasks - tasks // 2)
        wait_until_done(broker)
        counted = final_count(kind, tasks)
        return sum(map(cpu_seconds, processes)) + spent - before, counted


def send(app: Celery, tasks: int) -> None:
    """Send `tasks` tasks."""
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(tasks):
            app.send_task(TASK, producer=producer)


def wait_until_done(broker: str) -> None:
    """Wait until no task is queued or running."""
    with redis.Redis.from_url(broker) as connection:
        seconds_until(
            lambda: not connection.llen("celery") and not connection.hlen("unacked"), "the tasks", DEADLINE_SECONDS
        )


def final_count(kind: str, tasks: int) -> float:
    """Return the number of tasks in the metrics when all tasks are counted, or after FINAL_COUNT_SECONDS.

    For the variant without metrics, return `tasks`.
    """
    if kind not in PORTS:
        return tasks
    end = time.monotonic() + FINAL_COUNT_SECONDS
    while time.monotonic() < end and counted(kind) < tasks:
        time.sleep(0.5)
    return counted(kind)


def counted(kind: str) -> float:
    """Return the number of succeeded tasks in the metrics."""
    return sum(float(count) for count in COUNTS[kind].findall(scrape(PORTS[kind])))


@contextmanager
def redis_server() -> Iterator[str]:
    """Context manager: run a Redis that stores nothing on disk, and yield its URL."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with running(command):
        url = f"redis://127.0.0.1:{port}/0"
        seconds_until(lambda: is_open(port), "Redis")
        yield url


@contextmanager
def celery_exporter(broker: str) -> Iterator[subprocess.Popen[bytes]]:
    """Context manager: run celery-exporter on the broker, and yield its process when its port is open."""
    program = [str(EXPORTER / "bin/python"), "-I", "-c", "from src.cli import cli; cli()"]
    address = ["--host=127.0.0.1", f"--port={PORTS[PEER]}"]
    with running([*program, f"--broker-url={broker}", "--retry-interval=1", *address]) as process:
        seconds_until(lambda: is_open(PORTS[PEER]), "celery-exporter")
        yield process


@contextmanager
def scraping(kind: str) -> Iterator[None]:
    """Context manager: scrape the metrics of the variant `kind` in a thread, as often as Prometheus would."""
    stop = threading.Event()

    def keep_scraping() -> None:
        while not stop.wait(SCRAPE_SECONDS[kind]):
            scrape(PORTS[kind])

    thread = threading.Thread(target=keep_scraping)
    thread.start()
    yield
    stop.set()
    thread.join()


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process and its children."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def peer_version() -> str:
    """Return celery-exporter's version, or a text that says that it is unknown."""
    command = [str(EXPORTER / "bin/pip"), "show", "prometheus-exporter-celery"]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return next((line.split()[1] for line in output.splitlines() if line.startswith("Version")), "(version unknown)")


def show(cpu: dict[str, list[float]], lost: dict[str, list[float]], tasks: int) -> None:
    """Print every repetition, the medians, and the ratio of the two costs.

    The cost of a variant is its median minus the median of the variant without metrics.
    """
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, celery {version('celery')}, celery-exporter {peer_version()}"
    )
    base = statistics.median(cpu[PLAIN])
    for kind, seconds in cpu.items():
        shown = " ".join(f"{value:.2f}" for value in seconds)
        more = statistics.median(seconds) - base
        print(
            f"{kind:>26}: {statistics.median(seconds):.2f} CPU s per 10,000 tasks ({shown}), {more:+.2f} for metrics;"
            f" events lost of {tasks}: {' '.join(f'{value:.0f}' for value in lost[kind])}"
        )
    ours, peer = (statistics.median(cpu[kind]) - base for kind in (OURS, PEER))
    ratio = f"{peer / ours:.1f}" if ours > 0 else f"unknown: {OURS} cost less than {tasks} tasks can show"
    print(f"ratio of CPU for metrics, {PEER} / {OURS}: {ratio}")


if __name__ == "__main__":
    main()
