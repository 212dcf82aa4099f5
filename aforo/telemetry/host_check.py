"""Check of the Host header, against web pages that read a server on this machine (DNS rebinding).

A page of evil.example can let its own name point to 127.0.0.1, and the browser then lets its scripts read our answers.
Such a request has that name in its Host header. Prometheus and people who mean this machine use its address or name.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]
REFUSAL = b"this server is for this machine only: ask for it by address, or as localhost\n"


def only_for_this_machine(application: WsgiApp, host: str) -> WsgiApp:
    """Return the WSGI application, which refuses names of other machines (421) if `host` is a loopback address.

    A server on any other address is on a network, where every name that leads to it may be right.
    """
    if not _is_loopback(host):
        return application
    own = frozenset({"localhost", socket.gethostname().lower()})

    def checked(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request whose Host is this machine. A client of HTTP/1.0 sends none, and is no browser."""
        if names_this_machine(environ.get("HTTP_HOST", ""), own):
            return application(environ, start_response)
        length = str(len(REFUSAL))
        start_response("421 Misdirected Request", [("Content-Type", "text/plain"), ("Content-Length", length)])
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else REFUSAL]

    return checked


def names_this_machine(header: str, own_names: frozenset[str]) -> bool:
    """Return True if a Host header is empty, an IP address, localhost, or one of `own_names`."""
    try:
        name = (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return False
    return not header or name in own_names or name.endswith(".localhost") or _is_address(name)


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
