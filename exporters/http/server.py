"""HTTP server with a limited number of threads. Slow and idle clients do not delay other scrapes.

Hypercorn reads all requests on one event loop. Only a complete request to an application that waits uses one of the
`THREADS` threads. An idle connection is closed after `IDLE_SECONDS`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from core.errors import EnvironmentFault, UsageError
from core.settings import Exporters
from exporters.http.asgi import adapted

if TYPE_CHECKING:
    from aforo.telemetry.host_check import WsgiApp

THREADS = 8
#: Time limit for the TLS handshake, and for request line and headers.
IDLE_SECONDS = 10
#: Time that SIGTERM leaves to requests in progress.
GRACE_SECONDS = 1.0
HEADER_BYTES = 16 * 1024


def listen(settings: Exporters, port: int, port_setting: str) -> socket.socket:
    """Return a socket that listens on `port`, at the address in the field `host` of `settings`.

    Raise EnvironmentFault if the port is not available. The error tells the user to change the setting `port_setting`.
    """
    try:
        return socket.create_server((settings.host, port), family=_family(settings.host), backlog=128)
    except OSError as error:
        shown = f"{settings.host}:{port}"
        raise EnvironmentFault("exporter port", _why(error), f"set {port_setting}", value=shown) from None


def serve(application: WsgiApp, config: Config, *, is_blocking: bool) -> None:
    """Serve HTTP requests until SIGTERM or SIGINT.

    `application` answers the requests. Pass `is_blocking=True` if the application may wait, for example for the
    database. `config` comes from the function `configuration`.
    """
    asyncio.run(_serve(adapted(application, is_blocking=is_blocking), config))


def configuration(settings: Exporters, listener: socket.socket) -> Config:
    """Return the configuration with which the HTTP server Hypercorn serves on the socket `listener`.

    Do not use `listener` afterwards. Raise UsageError if only one of TLS certificate and key is set, or if one of these
    files is missing.
    """
    config = Config()
    config.certfile, config.keyfile = _tls_pair(settings)
    config.bind = [f"fd://{listener.detach()}"]
    config.accesslog, config.errorlog = None, logging.getLogger(__name__)
    config.include_server_header = False
    config.alpn_protocols = ["http/1.1"]
    config.keep_alive_timeout = config.ssl_handshake_timeout = config.read_timeout = IDLE_SECONDS
    config.graceful_timeout = config.shutdown_timeout = GRACE_SECONDS
    config.h11_max_incomplete_size = HEADER_BYTES
    return config


async def _serve(application: Any, config: Config) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="scrape"))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await hypercorn_serve(application, config, shutdown_trigger=cast("Any", stop.wait), mode="asgi")


def _tls_pair(settings: Exporters) -> tuple[str | None, str | None]:
    pair = {
        "AFORO_EXPORTER_TLS_CERTIFICATE": settings.tls_certificate,
        "AFORO_EXPORTER_TLS_KEY": settings.tls_key,
    }
    given = {name: path for name, path in pair.items() if path is not None}
    if not given:
        return None, None
    for name, path in pair.items():
        if path is None:
            raise UsageError(name, "TLS needs a certificate and a key", "set both or neither")
        if not path.is_file():
            raise UsageError(name, "there is no such file", "name a PEM file", value=path)
    return str(settings.tls_certificate), str(settings.tls_key)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _why(error: OSError) -> str:
    return f"it cannot be listened on: {os.strerror(error.errno) if error.errno else error}"
