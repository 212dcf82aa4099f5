"""WSGI application of an exporter: answers GET requests for /metrics, /healthz and a landing page."""

from __future__ import annotations

import base64
import hmac
import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.exposition import choose_encoder

from core.errors import UsageError
from exporters.exposition import Exposition

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

TEXT = "text/plain; charset=utf-8"
#: Reserved from Prometheus's scrape timeout for the network and for encoding the response.
MARGIN_SECONDS = 0.25
TIMEOUT_HEADER = "HTTP_X_PROMETHEUS_SCRAPE_TIMEOUT_SECONDS"


@dataclass(frozen=True)
class Answer:
    """One HTTP response. `extra` has further headers, as pairs of name and value."""

    status: str
    body: bytes
    content_type: str = TEXT
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Application:
    """WSGI application of one exporter.

    `exposition` is the /metrics page. `credentials` is `user:password` for basic authentication. If `credentials` is
    None, no password is asked for. /healthz never needs one.
    """

    exposition: Exposition
    credentials: bytes | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        answer = self._answer(environ)
        headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body))), *answer.extra]
        start_response(answer.status, headers)
        return [answer.body if environ["REQUEST_METHOD"] != "HEAD" else b""]

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return Answer("405 Method Not Allowed", b"only GET\n", extra=(("Allow", "GET, HEAD"),))
        path = environ.get("PATH_INFO", "/")
        if path == "/healthz":
            return Answer("200 OK", b"ok\n")
        if not self._may_read(environ.get("HTTP_AUTHORIZATION", "")):
            challenge = ("WWW-Authenticate", 'Basic realm="metrics", charset="UTF-8"')
            return Answer("401 Unauthorized", b"user and password, please\n", extra=(challenge,))
        if path == "/metrics":
            return self._metrics(
                environ.get("HTTP_ACCEPT", ""), collection_timeout_seconds(environ.get(TIMEOUT_HEADER, ""))
            )
        if path == "/":
            return Answer("200 OK", landing_page(self.exposition.exporter), "text/html; charset=utf-8")
        return Answer("404 Not Found", b"there are /metrics, /healthz and /\n")

    def _metrics(self, accept: str, timeout_seconds: float) -> Answer:
        encode, content_type = choose_encoder(accept)
        return Answer("200 OK", self.exposition.render(encode, timeout_seconds), content_type)

    def _may_read(self, header: str) -> bool:
        if self.credentials is None:
            return True
        kind, _, encoded = header.partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except ValueError:
            return False
        return kind.lower() == "basic" and hmac.compare_digest(given, self.credentials)


def collection_timeout_seconds(scrape_timeout: str) -> float:
    """Return how many seconds an exporter may take to collect the metrics of one scrape.

    `scrape_timeout` is the text of the header in which Prometheus sends its timeout. The result is less than this
    timeout. If the text is not a positive number, the result is infinite.
    """
    try:
        seconds = float(scrape_timeout)
    except ValueError:
        return math.inf
    return max(seconds - MARGIN_SECONDS, seconds / 2) if seconds > 0 else math.inf


def landing_page(exporter: str) -> bytes:
    """Return an HTML page that names the exporter and links to its metrics."""
    title = escape(f"Aforo {exporter} exporter")
    return (
        f'<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1>'
        '<p><a href="/metrics">Metrics</a> · <a href="/healthz">Health</a></p></html>\n'
    ).encode()


def read_credentials(file: Path | None) -> bytes | None:
    """Return the line `user:password` in `file`, for basic authentication, or None if `file` is None.

    Raise UsageError if the file cannot be read or does not consist of one such line.
    """
    if file is None:
        return None
    try:
        line = file.read_bytes().strip()
    except OSError as error:
        why = f"it cannot be read: {error.strerror}"
        raise UsageError("AFORO_EXPORTER_AUTH_FILE", why, "name a readable file", value=file) from None
    if b"\n" in line or line.partition(b":")[0] in {b"", line}:
        raise UsageError(
            "AFORO_EXPORTER_AUTH_FILE", "it must hold one line user:password", "write such a line", value=file
        )
    return line
