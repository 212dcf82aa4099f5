"""What measuring costs: the CPU that threads of the main process spend on it, and the server of /metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, Counter, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

#: what a scrape may be: so many at once, and none that says nothing for so long
MOST_CONNECTIONS = 8
IDLE_SECONDS = 3.0


@contextmanager
def spending(counter: Counter) -> Iterator[None]:
    """Add the CPU seconds that this thread uses in the body to `counter`."""
    begun = time.thread_time()
    try:
        yield
    finally:
        counter.inc(time.thread_time() - begun)


def serve(registry: CollectorRegistry, host: str, port: int, spent: Counter) -> None:
    """Answer /metrics in threads of their own, whose whole CPU time goes to `spent`; raise OSError for a taken port."""

    class MeasuredServer(_BoundedServer):
        def process_request_thread(self, request: Any, client_address: Any) -> None:
            with spending(spent):
                super().process_request_thread(request, client_address)

    stock = make_wsgi_app(registry, disable_compression=True)

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        """Answer in the plain form: OpenMetrics and compression would double what a scrape costs."""
        return stock(environ | {"HTTP_ACCEPT": "text/plain"}, start_response)

    server = make_server(host, port, answer, MeasuredServer, _SilentHandler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _BoundedServer(ThreadingWSGIServer):
    """A thread for each connection, but for no more than some at once; others wait until one is free."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(*args, **options)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """Say nothing of a client that was too slow or went away."""


class _SilentHandler(WSGIRequestHandler):
    timeout = IDLE_SECONDS

    def log_message(self, *_args: Any) -> None:
        """Log no scrape."""
