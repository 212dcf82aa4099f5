"""Validate the settings of the compose stack, or wait until the stack is ready.

The commands are `python -m core.compose_stack check|check-levels|ready`. `check-levels` validates the numbers of slots
and workers for a matrix or a search, such as `1,2,4`. The script deploy/compose/stack runs the commands.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from core import cli, promql
from core.errors import EnvironmentFault, UsageError
from core.ffmpeg.profiles import profile_text
from core.settings import MOST_SLOTS, MOST_WORKERS, Settings

READY_SECONDS = 60
POLL_SECONDS = 0.5
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@click.group()
def main() -> None:
    """Validate the settings of the compose stack, or wait until it is ready."""


def _worker_option(flag: str, variable: str, text: str, most: int, **attributes: Any) -> Decorator:
    whole = cli.WholeNumber(1, most)
    return cli.env_option(flag, variable, text, type=whole, empty_is_value=True, **attributes)


slots_option = _worker_option(
    "--concurrency", "CONCURRENCY", "Slots of each worker", MOST_SLOTS, unset="then AFORO_WORKER_CONCURRENCY"
)
workers_option = _worker_option("--workers", "WORKERS", "Worker containers", MOST_WORKERS, default=1)


@main.command(epilog="Example: WORKERS=3 python -m core.compose_stack check")
@slots_option
@workers_option
@cli.env_option("--profile", "PROFILE", "Encoding of the videos", unset="then AFORO_WORKER_PROFILE", type=profile_text)
def check(**_validated: object) -> None:
    """Validate CONCURRENCY, WORKERS, PROFILE and all settings. Exit with code 2 if one is invalid."""
    require_open_exporters(Settings.from_process())


@main.command(epilog="Example: WORKERS=1,2,3 CONCURRENCY=2 python -m core.compose_stack check-levels")
@cli.env_option("--concurrency", "CONCURRENCY", "Slots of each worker, such as 1,2,4", default="2", empty_is_value=True)
@cli.env_option("--workers", "WORKERS", "Worker containers, such as 1,2,3", default="1", empty_is_value=True)
def check_levels(concurrency: str, workers: str) -> None:
    """Validate the numbers of slots and of workers for a matrix or a search.

    Both options are lists of numbers, such as 1,2,4. Exit with code 2 if one is invalid.
    """
    cli.whole_numbers("CONCURRENCY", concurrency, "slots", MOST_SLOTS)
    cli.whole_numbers("WORKERS", workers, "workers", MOST_WORKERS)


@main.command(epilog="Example: WORKERS=3 CONCURRENCY=2 python -m core.compose_stack ready")
@slots_option
@workers_option
def ready(concurrency: int | None, workers: int) -> None:
    """Wait until Prometheus scrapes every target, and print the number of workers and slots.

    A run that starts earlier would record wrong numbers of workers and slots.

    Exit codes: 0 ready, 2 wrong input, 3 Prometheus does not see the workers after a minute.
    """
    settings = Settings.from_process()
    slots = concurrency or settings.worker.concurrency
    wait_for_scrapes(settings, workers, slots, READY_SECONDS)
    click.echo(f"up: {workers} workers with {slots} slots each")


def require_open_exporters(settings: Settings) -> None:
    """Raise UsageError if the settings demand TLS or a password for the exporters' /metrics.

    The Prometheus of the compose stack supports neither.
    """
    files = {
        "AFORO_EXPORTER_TLS_CERTIFICATE": settings.exporters.tls_certificate,
        "AFORO_EXPORTER_TLS_KEY": settings.exporters.tls_key,
        "AFORO_EXPORTER_AUTH_FILE": settings.exporters.auth_file,
    }
    for name, file in files.items():
        if file is not None:
            why = "this stack's Prometheus scrapes exporters without it"
            raise UsageError(name, why, "leave it empty for STACK=compose", value=file)


def wait_for_scrapes(settings: Settings, workers: int, slots: int, seconds: float) -> None:
    """Wait until Prometheus scrapes all targets, among them `workers` workers with `slots` slots each.

    Raise EnvironmentFault if that takes longer than `seconds`.
    """
    all_up = 'min(up) == 1 and count(up{job="worker"})'
    expression = f"{all_up} == {workers} and count(aforo_worker_slots == {slots}) == {workers}"
    deadline = time.monotonic() + seconds
    while promql.single(settings.prometheus.url, expression) is None:
        if time.monotonic() > deadline:
            page = settings.prometheus.page or settings.prometheus.url
            why = f"it does not see {workers} workers with {slots} slots"
            raise EnvironmentFault("Prometheus", why, f"see {page}/targets")
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    cli.run(main, "python -m core.compose_stack")
