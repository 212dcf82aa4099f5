"""The server of /metrics: silent clients occupy a limited number of threads for a limited time."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Counter

from aforo.telemetry import server
from testing.polling import until
from testing.ports import free_port


@pytest.fixture
def port():
    registry, chosen = CollectorRegistry(), free_port()
    spent = Counter("spent", "CPU", registry=registry)
    server.serve(registry, "127.0.0.1", [chosen], spent)
    return chosen


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return answer.read().decode()


def test_idle_clients_hold_a_bounded_number_of_threads_and_delay_a_scrape_by_seconds(port, monkeypatch):
    monkeypatch.setattr(server.SilentHandler, "timeout", 0.5)
    before = {*threading.enumerate()}
    added = lambda: len({*threading.enumerate()} - before)  # noqa: E731
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(3 * server.MAX_CONNECTIONS)]
    until(added, "they were accepted")
    started = time.monotonic()
    assert "spent_total" in scrape(port)
    assert time.monotonic() - started < 5
    assert added() <= server.MAX_CONNECTIONS
    until(lambda: not added(), "they were all dropped")
    for client in idle:
        client.close()


def test_a_slow_client_is_disconnected_without_a_log_line(port, capfd):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(b"GET /met")
        assert slow.recv(1) == b""
    assert "spent_total" in scrape(port)
    assert capfd.readouterr().err == ""
