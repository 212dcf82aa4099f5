"""Check that a worker's /metrics stays fast and small after a thousand child processes.

The worker has one slot and runs with `--max-tasks-per-child=1`. The read time, memory of the main process, open files
and files on disk are measured early and late in the same run.

    PYTHONPATH=. .venv/bin/python benchmarks/many_children.py [--children 1000]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.harness import Queue, emulator, machine, read_metrics
from benchmarks.noop import NoopWorker, worker
from testing.polling import seconds_until
from testing.ports import free_port

FLAGS = ("--pool", "prefork", "--concurrency", "1", "--max-tasks-per-child", "1", "-Ofair")
READS = 20


@dataclass(frozen=True)
class Snapshot:
    """State of the worker after a number of children."""

    children: int
    read_ms: list[float]
    answer_bytes: int
    rss_mib: float
    open_files: int
    files: int

    def __str__(self) -> str:
        return (
            f"after {self.children:>4} children: a read {statistics.median(self.read_ms):.1f} ms "
            f"(to {max(self.read_ms):.1f}), {self.answer_bytes} bytes; main process {self.rss_mib:.1f} MiB, "
            f"{self.open_files} open files; {self.files} files on disk"
        )


def main() -> None:
    """Print the read time, memory and open files of the worker, early and late."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--children", type=int, default=1000)
    arguments = parser.parse_args()
    print(machine())
    port = free_port()
    with emulator() as endpoint_url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        queue, tmp = Queue.make(endpoint_url, "children"), folder / "tmp"
        tmp.mkdir()
        options = {"NOOP_HARDENED": "1", "NOOP_PORT": str(port), "TMPDIR": str(tmp)}
        with worker(queue, folder, arguments.children, *FLAGS, **options) as noop_worker:
            for children in (
                arguments.children // 20,
                arguments.children // 4,
                arguments.children // 2,
                arguments.children,
            ):
                seconds_until(lambda n=children: len(noop_worker.moments()) >= n, f"{children} tasks", seconds=460)
                print(snapshot(noop_worker, port, tmp), flush=True)


def snapshot(noop_worker: NoopWorker, port: int, tmp: Path) -> Snapshot:
    """Read /metrics several times and measure the main process."""
    times, answer = [], b""
    for _ in range(READS):
        started = time.perf_counter()
        answer = read_metrics(port) or b""
        times.append(1000 * (time.perf_counter() - started))
    main = psutil.Process(noop_worker.process.pid)
    files = sum(1 for path in tmp.rglob("*") if path.is_file())
    return Snapshot(
        len(noop_worker.moments()), times, len(answer), main.memory_info().rss / 2**20, main.num_fds(), files
    )


if __name__ == "__main__":
    main()
