"""Wait until one of Aforo's programs on this machine is ready.

A timeout error names the program and shows the end of its log.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import click

from core import promql
from core.errors import EnvironmentFault
from local.programs import Program

POLL_SECONDS = 0.1
LOG_LINES = 8


def until(holds: Callable[[], bool], what: str, seconds: float, log: Path) -> None:
    """Wait until `holds()` returns True.

    After `seconds`, print the end of the file `log` and raise EnvironmentFault. `what` names the program or event for
    which the caller waits. The error message begins with this name.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            click.echo(_tail(log), err=True)
            raise EnvironmentFault(what, f"not ready after {seconds:.0f} s", f"its log is {log}")
        time.sleep(POLL_SECONDS)


def listens(port: int) -> bool:
    """Return True if a program on this machine accepts connections on `port`."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def worker_slots(program: Program) -> int | None:
    """Return the worker's number of slots, read from its /metrics, or None if /metrics does not answer.

    `program` gives the port of /metrics.
    """
    families = promql.scrape("127.0.0.1", program.port) or {}
    slots = families.get("aforo_worker_slots")
    return int(slots[0].value) if slots else None


def is_scraped(prometheus_url: str, job: str, port: int) -> bool:
    """Return True if Prometheus' last scrape of the job `job` on this machine's port `port` succeeded.

    Return False if the scrape failed, if there was no scrape of this port, or if Prometheus does not answer.
    """
    return promql.single(prometheus_url, f'up{{job="{job}",instance="127.0.0.1:{port}"}}') == 1


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"  {log.stem} | {line[:200]}" for line in lines[-LOG_LINES:]) or f"  {log.stem} | (no output)"
