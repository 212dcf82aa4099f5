"""Check the Host header of requests, to stop foreign web pages that use DNS rebinding.

In DNS rebinding, the owner of evil.example makes this name resolve to 127.0.0.1. Scripts of the owner's page then send
requests to a local server. These requests have the Host header evil.example, so this check refuses them.
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
    """Return a WSGI application that refuses a request if its Host header does not name this machine.

    A refused request is answered with 421. Every other request is passed to `application`. If the server's address
    `host` is not a loopback address, `application` itself is returned.
    """
    # this machine does not know all names of its other addresses
    if not _is_loopback(host):
        return application
    own = frozenset({"localhost", socket.gethostname().lower()})

    def checked(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request if its Host header names this machine. Refuse it (421) if not.

        A request without that header is answered: it comes from an HTTP/1.0 client, which is no browser.
        """
        if names_this_machine(environ.get("HTTP_HOST", ""), own):
            return application(environ, start_response)
        length = str(len(REFUSAL))
        start_response("421 Misdirected Request", [("Content-Type", "text/plain"), ("Content-Length", length)])
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else REFUSAL]

    return checked


def names_this_machine(header: str, own_names: frozenset[str]) -> bool:
    """Return True if a Host header is empty, an IP address, `localhost`, `*.localhost` or one of `own_names`."""
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
