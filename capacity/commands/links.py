"""Tell the user where to look at a run: its files, dashboards and live page."""

from __future__ import annotations

import socket
import time
from urllib.parse import quote, urlencode, urlsplit

from capacity.report.written_files import file_suffix
from core.language import Language, Text
from core.models import RunRow
from core.run import app_name
from core.settings import Settings

PORTS = {"http": 80, "https": 443}
#: what a dashboard shows before and after a run, because rates need samples there
MARGIN_SECONDS = 30.0


def links(settings: Settings, run: RunRow, lang: Language) -> str:
    """Return the text with the paths of a run's files and the URLs of its dashboards and live page.

    If Grafana does not run, the text says so instead of the URLs of the dashboards.
    """
    suffix = file_suffix(app_name(run.environment))
    folder, prometheus = settings.results.path, settings.prometheus
    page = _live_page(prometheus.page or prometheus.url, run.id, lang)
    dashboard = (
        _dashboard(prometheus.grafana_page or prometheus.grafana_url, run)
        if _accepts_connections(prometheus.grafana_url)
        else Text("Grafana no está en marcha", "Grafana is not running").to(lang)
    )
    return Text(
        f"\ninforme: {folder}/report{suffix}.html · datos: {folder}/runs/{run.id}/ · tabla: {folder}/table{suffix}.md\n"
        f"tableros: {dashboard} · Prometheus: {page}",
        f"\nreport: {folder}/report{suffix}.html · data: {folder}/runs/{run.id}/ · table: {folder}/table{suffix}.md\n"
        f"dashboards: {dashboard} · Prometheus: {page}",
    ).to(lang)


def _live_page(prometheus: str, run_id: str, lang: Language) -> str:
    """Return the URL of the run on Prometheus' live page, which is in Spanish by default."""
    query = "?lang=en" if lang == "en" else ""
    return f"{prometheus.rstrip('/')}/consoles/index.html{query}#{quote(run_id)}"


def _dashboard(grafana: str, run: RunRow) -> str:
    """Return the URL of the run's dashboard, with the run's whole time range."""
    start, end = run.started_at or run.created_at, run.finished_at or time.time()
    moments = {"from": start - MARGIN_SECONDS, "to": end + MARGIN_SECONDS}
    query = {"var-run_id": run.id} | {name: f"{1000 * moment:.0f}" for name, moment in moments.items()}
    return f"{grafana.rstrip('/')}/d/aforo-run?{urlencode(query)}"


def _accepts_connections(url: str) -> bool:
    address = urlsplit(url)
    try:
        port = address.port or PORTS.get(address.scheme, 80)
        with socket.create_connection((address.hostname or "", port), timeout=0.5):
            return True
    except OSError:
        return False
