"""`python -m exporters sqs|db`: serve one source's figures on /metrics."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import closing

import click

from core import cli, logs
from core.settings import Settings
from exporters.db.reader import open_database
from exporters.db.source import DatabaseSource
from exporters.db.statements import VideosTable
from exporters.exposition import Exposition, Source
from exporters.http import server
from exporters.http.application import Application, read_credentials
from exporters.sqs.source import open_sources

Background = Callable[[threading.Event], None]
#: how long a scrape waits for a thread that computes to let it in; Python's own 5 ms add up, some nine times a scrape
SWITCH_SECONDS = 0.0005


@click.group(epilog="Examples: python -m exporters db; AFORO_EXPORTER_QUEUES='team-*' python -m exporters sqs")
def main() -> None:
    """Serve figures for Prometheus until stopped; a failing source shows as a metric, not as a failed scrape."""
    logs.configure()


@main.command()
def db() -> None:
    """Serve the database: exact figures of the newest runs, sums of all (port AFORO_EXPORTER_DB_PORT)."""
    settings = Settings.from_process()
    table = VideosTable.of(settings.exporters)
    source = DatabaseSource(open_database(settings.database.reading_url, table), settings.exporters)
    port = settings.exporters.db_port
    _serve(settings, "db", [source], source.keep_building, port, "AFORO_EXPORTER_DB_PORT")


@main.command()
def sqs() -> None:
    """Serve the SQS queues AFORO_EXPORTER_QUEUES names (port AFORO_EXPORTER_SQS_PORT)."""
    settings = Settings.from_process()
    watch = open_sources(settings)
    port = settings.exporters.sqs_port
    with closing(watch.queues.watcher):
        _serve(settings, "sqs", watch.sources, watch.keep_polling, port, "AFORO_EXPORTER_SQS_PORT")


def _serve(
    settings: Settings, name: str, sources: list[Source], background: Background, port: int, port_setting: str
) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    application = Application(Exposition(name, sources), read_credentials(settings.exporters.auth_file))
    stop = threading.Event()
    thread = threading.Thread(target=background, args=(stop,), name=f"{name}-background", daemon=True)
    with server.listening(settings.exporters, port, port_setting) as listener:
        configured = server.configuration(settings.exporters, listener)
        thread.start()
        try:
            server.serve(application, configured)
        finally:
            stop.set()


if __name__ == "__main__":
    cli.run(main, "python -m exporters")
