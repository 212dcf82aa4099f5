"""Command line of the collector: `python -m collector serve|import FILE`.

`import` reads the executions file of a worker that the collector cannot reach over HTTP.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click
from prometheus_client import CollectorRegistry

from aforo.telemetry import server
from collector.executions_file import import_file
from collector.metrics import CollectorMetrics
from collector.round import Round
from collector.table_states import TableStates
from collector.workers import Workers
from core import cli, database, logs
from core.errors import EnvironmentFault
from core.settings import Settings


@click.group()
def main() -> None:
    """Store the executions of instrumented workers in Aforo's database."""
    logs.configure()


@main.command(epilog="Example: AFORO_COLLECTOR_WORKERS=10.0.0.7:9101 python -m collector serve")
def serve() -> None:
    """Store the executions of all instrumented workers, until SIGTERM or Ctrl-C.

    Also store the states of an app's videos, read from the app's own database table. The collector serves its own
    metrics on port AFORO_COLLECTOR_PORT, by default 9104. See AFORO_COLLECTOR_* in .env.example for all settings.

    Exit codes: 0 the collector was stopped, 2 a setting is invalid, 3 the port is not available.
    """
    settings = Settings.from_process()
    registry = CollectorRegistry()
    sessions = database.open_sessions(database.open_engine(settings.database.url))
    metrics = CollectorMetrics(registry)
    reading = Round(sessions, metrics)
    workers = Workers(settings.prometheus.url, settings.collector.workers, metrics)
    app = settings.app
    states = None if app is None or app.videos is None else TableStates(settings, app, sessions, metrics)
    _serve_metrics(settings, registry)
    stop = _stop_signal()
    while not stop.wait(settings.collector.interval_seconds):
        reading.run(workers.addresses())
        if states is not None:
            states.run()


@main.command("import", epilog="Example: python -m collector import executions.jsonl")
@click.argument("file", type=click.Path(path_type=Path))
def import_(file: Path) -> None:
    """Read a worker's executions file, and store its executions in Aforo's database.

    The worker writes that file if AFORO_EXECUTIONS_FILE is set. A second import of the same file adds nothing. The
    tables of the database are created or upgraded first.

    Exit codes: 0 stored, 2 FILE or a setting is invalid, 3 the database is not available.
    """
    settings = Settings.from_process()
    engine = database.open_engine(settings.database.url)
    database.upgrade_schema(engine)
    stored = import_file(database.open_sessions(engine), file)
    click.echo(f"{stored.added} executions stored; {stored.missed} missing in {file}")


def _serve_metrics(settings: Settings, registry: CollectorRegistry) -> None:
    host, port = settings.exporters.host, settings.collector.port
    try:
        server.serve(registry, host, [port])
    except OSError as error:
        why = f"it cannot be listened on: {error.strerror}"
        raise EnvironmentFault("collector port", why, "set AFORO_COLLECTOR_PORT", value=f"{host}:{port}") from None


def _stop_signal() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set. The round in progress is finished first."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


if __name__ == "__main__":
    cli.run(main, "python -m collector")
