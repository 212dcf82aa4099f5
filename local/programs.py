"""List the programs of Aforo on this machine, each with its port and the setting for that port."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from core.settings import Settings, is_local

STATE = Path(".local")
#: port of a program that listens on none
NO_PORT = 0
LIVE_PAGE = "/consoles/index.html"


@dataclass(frozen=True)
class Program:
    """One program that supervisord runs on this machine.

    `port` is 0 if the program has no port. `variable` is the setting for the port. `path` is the path of the program's
    page for a browser, or ''. `scraped` is True if Prometheus collects the program's metrics.
    """

    name: str
    port: int
    variable: str
    path: str = "/metrics"
    scraped: bool = True

    @property
    def url(self) -> str:
        """Return the URL of the program's page for a browser, or '' if it has no page."""
        return f"http://127.0.0.1:{self.port}{self.path}" if self.path else ""

    @property
    def log(self) -> Path:
        """Return the path of the log file that has the program's output."""
        return STATE / "log" / f"{self.name}.log"


def programs(settings: Settings) -> list[Program]:
    """Return the programs that run on this machine.

    Programs that a setting places on another machine are left out. Grafana is left out if it is not installed.
    """
    return [*_foundations(settings), *_observers(settings), *_worker(settings)]


def _foundations(settings: Settings) -> list[Program]:
    result = []
    if settings.stack == "native" and is_local(settings.aws.endpoint_url):  # with an app: its own endpoint
        port = _port(settings.aws.endpoint_url, 4566)
        result.append(Program("emulator", port, "AWS_ENDPOINT_URL", "", scraped=False))
    if is_local(settings.events.redis_url):
        port = _port(settings.events.redis_url, 6379)
        result.append(Program("events", port, "AFORO_EVENTS_REDIS_URL", "", scraped=False))
    if is_local(settings.prometheus.url):
        page = LIVE_PAGE if settings.lang == "es" else f"{LIVE_PAGE}?lang={settings.lang}"
        result.append(
            Program("prometheus", _port(settings.prometheus.url, 80), "AFORO_PROMETHEUS_URL", page, scraped=False)
        )
    return result


def _observers(settings: Settings) -> list[Program]:
    result = [
        Program("sqs-exporter", settings.exporters.sqs_port, "AFORO_EXPORTER_SQS_PORT"),
        Program("db-exporter", settings.exporters.db_port, "AFORO_EXPORTER_DB_PORT"),
    ]
    if settings.app_file is not None:
        result.append(Program("collector", settings.collector.port, "AFORO_COLLECTOR_PORT"))
    if settings.events.redis_url:
        result.append(
            Program("celery-exporter", settings.prometheus.celery_exporter_port, "AFORO_CELERY_EXPORTER_PORT")
        )
    if shutil.which("grafana") and Path("grafana/provisioning").is_dir() and is_local(settings.prometheus.grafana_url):
        port = _port(settings.prometheus.grafana_url, 3000)
        result.append(Program("grafana", port, "AFORO_GRAFANA_URL", "/d/aforo-capacity", scraped=False))
    return result


def _worker(settings: Settings) -> list[Program]:
    """Return the worker of this stack: ours, or that of an app.

    Return nothing if the app's worker is somewhere else.
    """
    app, port = settings.app, settings.worker.metrics_port
    if app is None:
        return [Program("worker", port, "AFORO_WORKER_METRICS_PORT")]
    if app.worker.command is None:
        return []
    if app.worker.instrument:
        return [Program("worker", port, "AFORO_WORKER_METRICS_PORT", scraped=not app.worker.metrics)]
    return [Program("worker", NO_PORT, "", "", scraped=False)]


def _port(url: str | None, default: int) -> int:
    return urlsplit(url or "").port or default
