"""Measure time and memory of `capacity report` with a million recorded videos.

    python benchmarks/report_million.py [--videos 1000000] [--runs 1]

A temporary database is filled with `--runs` runs and one execution per video. Then the real command runs in a separate
process without Prometheus. For comparison, a bare SELECT reads the same rows through the same driver. The first report
also writes the files of runs up to 200,000 videos. The second report reuses these files. Nothing outside a temporary
folder changes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SLOTS = 64
SELECT = "SELECT * FROM videos JOIN executions ON executions.video_id = videos.id"


def main() -> None:
    """Fill, measure and print one JSON object per measurement."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--videos", type=int, default=1_000_000)
    options.add_argument("--runs", type=int, default=1)
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "AFORO_DATABASE_URL": f"sqlite:///{folder}/store.db",
            "AFORO_RESULTS_PATH": f"{folder}/results",
            "AFORO_PROMETHEUS_URL": "http://127.0.0.1:9",
        }
        fill(Path(folder, "store.db"), environment, arguments.runs, arguments.videos // arguments.runs)
        size = Path(folder, "store.db").stat().st_size
        print(
            f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
        )
        print(f"{arguments.videos} videos in {arguments.runs} runs, a store of {size / 1e6:.0f} MB", flush=True)
        bare = measure("bare SELECT", [sys.executable, "-c", bare_select(Path(folder, "store.db"))], environment, None)
        report = [sys.executable, "-m", "capacity", "report", "--json"]
        for name in ("first report", "second report"):
            measure(name, report, environment, bare)


def fill(path: Path, environment: dict[str, str], runs: int, videos: int) -> None:
    """Create the database with the real program, then insert `runs` runs with `videos` videos each."""
    subprocess.run(
        [sys.executable, "-m", "capacity", "table"], cwd=ROOT, env=environment, check=True, capture_output=True
    )
    with sqlite3.connect(path) as store:
        store.execute("PRAGMA synchronous=OFF")
        for number in range(runs):
            run = run_row(f"run-{number:05}", videos, 1.7e9 + 1e6 * number)
            insert(store, "runs", [run])
            insert(store, "videos", video_rows(run, videos))
            insert(store, "executions", execution_rows(run, videos))


def insert(store: sqlite3.Connection, table: str, rows: Iterator[dict[str, object]] | list[dict[str, object]]) -> None:
    """Insert rows, given as dictionaries with the same keys."""
    rows = iter(rows)
    first = next(rows)
    names, marks = ", ".join(first), ", ".join(f":{name}" for name in first)
    store.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", [first])  # noqa: S608 (our own names)
    store.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608


def run_row(run_id: str, count: int, at: float) -> dict[str, object]:
    """Return the row of a finished burst."""
    host = {"name": "bench", "system": "bench", "cpu_model": "bench", "cpu_count": 64, "memory_bytes": 1}
    return dict(
        id=run_id, status="finished", mode="burst", size_label="5MB", size_bytes=5_000_000, count=count,
        concurrency=SLOTS, nodes=1, slots=SLOTS, profile="full", source="bench", source_sha256="0" * 64,
        created_at=at, started_at=at, finished_at=at + 1, note="", environment=json.dumps({"host": host}),
    )  # fmt: skip


def stamps(run: dict[str, object], k: int) -> tuple[float, float]:
    """Return start and end of video k.

    The service time is 6 s, and 6.1 s for one video in eight.
    """
    start = float(str(run["created_at"])) + 1 + 6.2 * (k // SLOTS) + 0.01 * (k % SLOTS)
    return start, start + 6 + 0.1 * (k % 8 == 0)


def video_rows(run: dict[str, object], count: int) -> Iterator[dict[str, object]]:
    """Yield the rows of the run's videos, all of them done."""
    for k in range(count):
        start, end = stamps(run, k)
        yield dict(
            id=f"{run['id']}-{k:08}", run_id=run["id"], sequence=k, task_id=f"{k:036}", state="done",
            source_key="uploads/bench.mp4", source_bytes=5_000_000, source_sha256="0" * 64, profile="full",
            output_key="processed/bench.mp4", output_bytes=1_000_000, uploaded_at=run["created_at"],
            sent_at=run["created_at"], started_at=start, updated_at=end, execution_number=1,
        )  # fmt: skip


def execution_rows(run: dict[str, object], count: int) -> Iterator[dict[str, object]]:
    """Yield one execution row per video."""
    for k in range(count):
        start, end = stamps(run, k)
        yield dict(
            run_id=run["id"], video_id=f"{run['id']}-{k:08}", execution_number=1, node="bench", slot=k % SLOTS,
            receive_count=1, started_at=start, ended_at=end, outcome="done", claim_seconds=0.01, fetch_seconds=0.2,
            probe_seconds=0.1, transcode_seconds=5.4, publish_seconds=0.2, finish_seconds=0.01, ffmpeg_cpu_seconds=5.0,
        )  # fmt: skip


def bare_select(path: Path) -> str:
    """Return the source of a program that only reads every row."""
    return (
        f"import sqlite3; rows = 0\nfor row in sqlite3.connect({str(path)!r}).execute({SELECT!r}): rows += 1\n"
        "assert rows > 0"
    )


def measure(name: str, command: list[str], environment: dict[str, str], reference: float | None) -> float:
    """Run the command, print its time and memory, and return its duration in seconds."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, errors = process.communicate()
    seconds = time.perf_counter() - started
    assert process.returncode == 0, errors.decode()
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    ratio = "" if reference is None else f", {seconds / reference:.1f} × the bare SELECT"
    print(f"{name}: {seconds:.2f} s{ratio}; largest process so far {peak_mb:.0f} MB", flush=True)
    return seconds


if __name__ == "__main__":
    main()
