"""HTTP server of a worker's pages /metrics and /executions. Its threads count their own CPU time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import ThreadingWSGIServer

from aforo.telemetry.cpu_time import cpu_counted
from aforo.telemetry.exposition import Exposition
from aforo.telemetry.host_check import only_for_this_machine

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Limits for scrapes: connections at a time, and seconds that a silent one stays open.
MAX_CONNECTIONS = 8
IDLE_SECONDS = 3.0


def serve(
    registry: CollectorRegistry,
    host: str,
    ports: Sequence[int],
    telemetry_cpu: Counter | None = None,
    executions: Callable[..., Any] | None = None,
) -> int:
    """Start the HTTP server of /metrics and /executions on the first free port, and return that port.

    `executions` is the WSGI application that answers /executions. Without it, the answer is 404. Every other path is
    answered with the metrics. On a loopback address, a request for another host is answered with 421. The CPU seconds
    of the server's threads are added to `telemetry_cpu`. Raise OSError if no port is free.
    """
    exposition = Exposition(registry)

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a request for /executions, or answer any other path with the metrics (WSGI).

        The metrics are always in Prometheus' plain text format, without compression.
        """
        if environ.get("PATH_INFO") == "/executions":
            return (executions or _not_found)(environ, start_response)
        body = exposition.render()  # OpenMetrics or gzip would double the CPU time of a scrape
        start_response("200 OK", [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body)))])
        return [body]

    server = _bind(host, ports, only_for_this_machine(answer, host))
    server.telemetry_cpu = telemetry_cpu
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return int(server.server_port)


class MetricsServer(ThreadingWSGIServer):
    """HTTP server with one thread per connection, up to MAX_CONNECTIONS. Further connections wait."""

    telemetry_cpu: Counter | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(*args, **options)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for this connection, as soon as fewer than MAX_CONNECTIONS threads run."""
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer the requests of one connection, and count the CPU time of this thread."""
        try:
            with cpu_counted(self.telemetry_cpu) if self.telemetry_cpu else nullcontext():
                super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """Do nothing: the client was too slow or has disconnected."""


class SilentHandler(WSGIRequestHandler):
    """HTTP request handler with a timeout and without an access log."""

    timeout = IDLE_SECONDS

    def log_message(self, *_args: Any) -> None:
        """Write no access log: ignore the line that the standard handler would print for a request."""


def _not_found(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"this worker records no executions\n"]


def _bind(host: str, ports: Sequence[int], answer: Any) -> MetricsServer:
    for port in ports:
        try:
            return make_server(host, port, answer, MetricsServer, SilentHandler)
        except OSError:
            if port == ports[-1]:
                raise
    raise ValueError("no port to listen on")
