"""Instrument Celery workers without a change of the app's code, and add the command `celery aforo`.

Celery's command line imports this module as an entry point of the group `celery.commands`. With AFORO_INSTRUMENT=1,
each worker that starts exports metrics.
"""

from __future__ import annotations

from typing import Any

import click
from celery.signals import celeryd_init

import aforo
from aforo import __version__, settings


def instrument_worker(instance: Any = None, **_signal: Any) -> None:
    """Instrument the app of a worker that is starting. Celery's signal `celeryd_init` calls this.

    `instance` is Celery's object for the worker.
    """
    aforo.instrument(instance.app)  # imports the telemetry: only a measured worker loads it


@click.command("aforo")
def command() -> None:
    """Print the name and meaning of each metric that a worker exports, and the address of /metrics."""
    from aforo.telemetry.catalogue import NODE, WORKER  # noqa: PLC0415 (Celery imports this module for every command)

    state = "on" if settings.is_on(settings.INSTRUMENT) else f"off, set {settings.INSTRUMENT.name}=1"
    address = f"{settings.read(settings.METRICS_HOST)}:{settings.read(settings.METRICS_PORT)}"
    click.echo(f"aforo {__version__}; measuring at start: {state}; /metrics on {address}")
    for metric in (*WORKER, *NODE):
        click.echo(f"{metric.name}: {metric.help}")


if settings.is_on(settings.INSTRUMENT):
    celeryd_init.connect(instrument_worker, weak=False)
