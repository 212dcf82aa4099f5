"""Start and scrape the processes under measurement, and print percentiles of the scrape times."""

from __future__ import annotations

import http.client
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]


def exit_on_sigterm() -> None:
    """Make SIGTERM end this process like an exception, so that its `finally` clauses run.

    The command `timeout` sends SIGTERM.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[psutil.Popen]:
    """Context manager: run a program from the root of the project, and yield its process.

    The program has a process group of its own, which is killed at the end of the block. Its output goes to `log`, or
    nowhere without `log`.
    """
    exit_on_sigterm()
    settings = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    output = log.open("ab") if log else subprocess.DEVNULL
    process = psutil.Popen(command, cwd=ROOT, env=settings, stdout=output, stderr=output, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def scrape(port: int, timeout_seconds: float = 10) -> str:
    """Return the text of one scrape, or '' if the exporter does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    except OSError:
        return ""
    finally:
        connection.close()


def timed_scrape(port: int, timeout_seconds: float = 10) -> float:
    """Return the duration of one scrape in seconds. Raise AssertionError if the exporter does not answer."""
    started = time.perf_counter()
    assert scrape(port, timeout_seconds), "no answer"
    return time.perf_counter() - started


def percentiles(values: Sequence[float], unit: str) -> str:
    """Return a text with the median, the 99th percentile and the maximum."""
    ordered = sorted(values)
    p99 = statistics.quantiles(ordered, n=100, method="inclusive")[98]
    return f"p50 {statistics.median(ordered):.2f} p99 {p99:.2f} max {ordered[-1]:.2f} {unit} ({len(ordered)} times)"
