"""Wait until the native stack is ready.

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
    """Poll until `holds()` is true.

    After `seconds`, print the end of `log` and raise EnvironmentFault about `what`.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            click.echo(_tail(log), err=True)
            raise EnvironmentFault(what, f"not ready after {seconds:.0f} s", f"its log is {log}")
        time.sleep(POLL_SECONDS)


def listens(port: int) -> bool:
    """Return True if this machine accepts connections on `port`."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def worker_slots(program: Program) -> int | None:
    """Return the slots of the worker, from its /metrics. Return None while the worker does not answer."""
    families = promql.scrape("127.0.0.1", program.port) or {}
    slots = families.get("aforo_worker_slots")
    return int(slots[0].value) if slots else None


def is_scraped(prometheus_url: str, job: str, port: int) -> bool:
    """Return True if Prometheus has scraped the target of `job` on `port`. Return False while it does not answer.

    The samples of targets that a stack had before its restart stay for five minutes, so the port is named.
    """
    return promql.single(prometheus_url, f'up{{job="{job}",instance="127.0.0.1:{port}"}}') == 1


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"  {log.stem} | {line[:200]}" for line in lines[-LOG_LINES:]) or f"  {log.stem} | (no output)"
