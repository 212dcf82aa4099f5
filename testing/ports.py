"""Find free TCP ports on the loopback interface, and test whether a port is in use."""

from __future__ import annotations

import random
import socket

#: Below the range from which Linux takes the ports of outgoing connections and of servers that ask for port 0. Such a
#: socket could take a port between `free_port` and the start of the program that is to listen there. Benchmarks have
#: fixed ports below 21000.
PORTS = range(21_000, 32_000)
_reservations: list[socket.socket] = []


def free_port() -> int:
    """Return a free TCP port. No other call on this machine returns it while this process runs."""
    while True:
        port = random.choice(PORTS)
        if _reserve(port) and not _is_in_use(port):
            return port


def is_open(port: int) -> bool:
    """Return True if a program listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _reserve(port: int) -> bool:
    """Reserve the port for this process. Return False if it is reserved already.

    The reservation is the name of an abstract Unix socket, which the kernel gives to one process and forgets when that
    process ends.
    """
    reservation = socket.socket(socket.AF_UNIX)
    try:
        reservation.bind(f"\0aforo-test-port-{port}")
    except OSError:
        reservation.close()
        return False
    _reservations.append(reservation)
    return True


def _is_in_use(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False
