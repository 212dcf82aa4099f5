"""Entry point `celery.commands`: Celery imports this module when its command line starts.

The import happens before Celery loads the app. With AFORO_INSTRUMENT=1, this module instruments the app of each worker
that starts. Importing this module loads only one other module of the library, `aforo.settings`. The command `celery
aforo` prints what is measured.
"""

from __future__ import annotations

from typing import Any

import click
from celery.signals import celeryd_init

import aforo
from aforo import __version__, settings


def instrument_worker(instance: Any = None, **_signal: Any) -> None:
    """Instrument the app of a Celery worker that is starting."""
    aforo.instrument(instance.app)  # imports the telemetry: only a measured worker loads it


@click.command("aforo")
def command() -> None:
    """Print which metrics Aforo exports for a worker, and where."""
    from aforo.telemetry.catalogue import NODE, WORKER  # noqa: PLC0415 (Celery imports this module for every command)

    state = "on" if settings.is_on(settings.INSTRUMENT) else f"off, set {settings.INSTRUMENT.name}=1"
    address = f"{settings.read(settings.METRICS_HOST)}:{settings.read(settings.METRICS_PORT)}"
    click.echo(f"aforo {__version__}; measuring at start: {state}; /metrics on {address}")
    for metric in (*WORKER, *NODE):
        click.echo(f"{metric.name}: {metric.help}")


if settings.is_on(settings.INSTRUMENT):
    celeryd_init.connect(instrument_worker, weak=False)
