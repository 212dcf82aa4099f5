"""Command line of the exporters: `python -m exporters sqs|db` serves one of them on /metrics."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import closing

import click

from aforo.telemetry.host_check import only_for_this_machine
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
#: Thread switch interval. A scrape waits for it about nine times while another thread computes. The default is 5 ms.
SWITCH_SECONDS = 0.0005


@click.group(epilog="Examples: python -m exporters db; AFORO_EXPORTER_QUEUES='team-*' python -m exporters sqs")
def main() -> None:
    """Serve metrics for Prometheus until stopped.

    If the database or SQS does not answer, a metric reports it.
    The scrape still succeeds.
    """
    logs.configure()


@main.command(epilog="Example: AFORO_EXPORTER_DB_PORT=9203 python -m exporters db")
def db() -> None:
    """Serve metrics of the runs and videos in the database.

    Each of the newest runs has its own metrics. All older runs are summed together.
    The port is AFORO_EXPORTER_DB_PORT, by default 9103. See AFORO_EXPORTER_* in .env.example for all settings.

    Exit codes: 0 the exporter was stopped, 2 a setting is invalid, 3 the port is not available.
    """
    settings = Settings.from_process()
    table = VideosTable.of(settings.exporters)
    database = open_database(settings.database.reading_url, table)
    source = DatabaseSource(database, settings.exporters, settings.queue.name)
    port = settings.exporters.db_port
    _serve(settings, "db", [source], source.keep_building, port, "AFORO_EXPORTER_DB_PORT", is_blocking=True)


@main.command(epilog="Example: AFORO_EXPORTER_QUEUES=videos,audio python -m exporters sqs")
def sqs() -> None:
    """Serve metrics of the SQS queues.

    AFORO_EXPORTER_QUEUES names the queues. The port is AFORO_EXPORTER_SQS_PORT, by default 9102. See AFORO_EXPORTER_*
    in .env.example for all settings.

    Exit codes: 0 the exporter was stopped, 2 a setting is invalid, 3 the port is not available.
    """
    settings = Settings.from_process()
    sqs_sources = open_sources(settings)
    port = settings.exporters.sqs_port
    with closing(sqs_sources.queues.watcher):
        # every source answers from memory
        sources, polling = sqs_sources.all, sqs_sources.keep_polling
        _serve(settings, "sqs", sources, polling, port, "AFORO_EXPORTER_SQS_PORT", is_blocking=False)


def _serve(
    settings: Settings,
    name: str,
    sources: list[Source],
    background: Background,
    port: int,
    port_setting: str,
    *,
    is_blocking: bool,
) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    application = Application(Exposition(name, sources), read_credentials(settings.exporters.auth_file))
    stop = threading.Event()
    thread = threading.Thread(target=background, args=(stop,), name=f"{name}-background", daemon=True)
    with server.listen(settings.exporters, port, port_setting) as listener:
        configured = server.configuration(settings.exporters, listener)
        thread.start()
        try:
            checked = only_for_this_machine(application, settings.exporters.host)
            server.serve(checked, configured, is_blocking=is_blocking)
        finally:
            stop.set()


if __name__ == "__main__":
    cli.run(main, "python -m exporters")
