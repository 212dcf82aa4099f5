"""Check that a TCP port of this machine is free. If it is not, name the process that uses it."""

from __future__ import annotations

import errno
import socket

import psutil

from core.errors import EnvironmentFault


def require_free(host: str, port: int, owner: str, variable: str) -> None:
    """Raise EnvironmentFault if the program named `owner` cannot listen on `port`.

    The error names the process that uses the port, and the setting `variable` that changes the port.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EnvironmentFault("port", _reason(error, port, owner), f"change {variable}", value=port) from error


def holder(port: int) -> str:
    """Return the pid and name of the process that listens on `port`, as a text such as `pid 4711 (nc)`.

    Return `a process of another user` if this process cannot see the pid, and also if no process listens.
    """
    try:
        listening = [c for c in psutil.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    except psutil.AccessDenied:
        listening = []
    pids = [c.pid for c in listening if c.laddr and c.laddr.port == port and c.pid]
    if not pids:
        return "a process of another user"
    return f"pid {pids[0]} ({_name(pids[0])})"


def _reason(error: OSError, port: int, owner: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{owner} needs it and it is taken by {holder(port)}"
    return f"{owner} may not listen there: {error.strerror}"


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "ended"
