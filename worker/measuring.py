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

    class MeasuredServer(ThreadingWSGIServer):
        def process_request_thread(self, request: Any, client_address: Any) -> None:
            with spending(spent):
                super().process_request_thread(request, client_address)

    stock = make_wsgi_app(registry, disable_compression=True)

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        """Answer in the plain form: OpenMetrics and compression would double what a scrape costs."""
        return stock(environ | {"HTTP_ACCEPT": "text/plain"}, start_response)

    server = make_server(host, port, answer, MeasuredServer, _SilentHandler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, *_args: Any) -> None:
        """Log no scrape."""
