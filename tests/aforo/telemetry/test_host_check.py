"""A page of another site that points its name to 127.0.0.1 reads none of our servers. Prometheus reads all of them."""

import http.client
import socket

import pytest
from prometheus_client import CollectorRegistry, Gauge

from aforo.telemetry import server
from aforo.telemetry.host_check import names_this_machine, only_for_this_machine
from collector.__main__ import _serve_metrics
from core.database import open_engine, upgrade_schema
from core.settings import Settings
from testing.ports import free_port
from tests.exporters.servers import serving

OTHERS = [
    "evil.example",
    "evil.example:9101",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "[evil]",
    "evil@127",
    "x:y",
]
OURS = [
    "127.0.0.1",
    "127.0.0.1:9101",
    "[::1]:9101",
    "localhost:1",
    "LOCALHOST",
    "app.localhost",
    "10.0.0.7",
    "",
    socket.gethostname(),
]


@pytest.fixture(params=["worker", "collector", "exporter"])
def port(request, tmp_path):
    registry = CollectorRegistry()
    Gauge("aforo_secret", "x", registry=registry)
    chosen = free_port()
    if request.param == "worker":
        server.serve(registry, "127.0.0.1", [chosen])
    elif request.param == "collector":
        _serve_metrics(Settings.from_env({"AFORO_COLLECTOR_PORT": str(chosen)}), registry)
    else:
        upgrade_schema(open_engine(f"sqlite:///{tmp_path}/a.db"))
        with serving(tmp_path) as running:
            yield running.port
        return
    yield chosen


def ask(port, host, path="/metrics"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_every_server_on_loopback_answers_only_to_names_of_this_machine(port):
    for host in OTHERS:
        status, body = ask(port, host)
        assert (status, b"aforo_" in body) in {(421, False), (400, False)}, host
    for host in OURS:
        status, body = ask(port, host)
        assert (status, b"aforo_" in body) == (200, True), host


def test_the_records_of_executions_are_refused_too():
    chosen = free_port()
    server.serve(
        CollectorRegistry(), "127.0.0.1", [chosen], executions=lambda _environ, start: (start("200 OK", []), [b"x"])[1]
    )
    assert ask(chosen, "evil.example", "/executions")[0] == 421
    assert ask(chosen, "127.0.0.1", "/executions") == (200, b"x")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "worker.internal"])  # noqa: S104 (nothing listens)
def test_a_server_on_a_network_answers_to_every_name_because_scrapes_use_those_of_services(host):
    def application(_environ, _start):
        return [b"x"]

    assert only_for_this_machine(application, host) is application


@pytest.mark.parametrize("header", OTHERS)
def test_other_names_are_no_names_of_this_machine(header):
    assert not names_this_machine(header, frozenset({"localhost", "mesa"}))
