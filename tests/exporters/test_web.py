"""The real server on a real port: its answers, with and without slow clients."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.database import open_engine, upgrade_schema
from core.errors import UsageError
from exporters.http.application import read_credentials
from testing.emulator import ROOT
from testing.polling import until
from tests.exporters.servers import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    upgrade_schema(open_engine(f"sqlite:///{folder}/a.db"))
    with serving(folder) as running:
        until(lambda: 'success{collector="db"} 1.0' in running.get()[2], "the first count")
        yield running


def test_metrics_have_the_content_type_that_prometheus_3_requires(server: Server) -> None:
    status, content_type, body = server.get()
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert 'aforo_videos{queue="aforo-videos",state="done"} 0.0' in body.splitlines()


def test_openmetrics_is_served_on_request(server: Server) -> None:
    _, content_type, body = server.get(Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/healthz", 200),
        ("GET", "/secret", 404),
        ("POST", "/metrics", 405),
        ("HEAD", "/", 200),
    ],
)
def test_only_three_pages_are_served(server: Server, method: str, path: str, status: int) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", method=method)
    assert server.ask(request)[0] == status


def test_idle_and_incomplete_requests_do_not_delay_other_clients(server: Server) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    for client in idle[::2]:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    began = time.monotonic()
    assert server.get()[0] == 200
    assert time.monotonic() - began < 2
    for client in idle:
        client.close()


def test_many_scrapes_at_once_are_all_answered_by_few_threads(server: Server) -> None:
    with ThreadPoolExecutor(50) as clients:
        statuses = [status for status, _, _ in clients.map(lambda _: server.get(), range(150))]
    assert statuses == [200] * 150
    threads = Path(f"/proc/{server.process.pid}/status").read_text().split("Threads:")[1].split()[0]
    assert int(threads) <= 12


def test_a_lost_database_sets_a_metric_and_its_values_are_absent(tmp_path: Path) -> None:
    with serving(tmp_path, AFORO_DATABASE_URL=f"sqlite:///{tmp_path}/none.db") as running:
        until(lambda: 'reason="unreachable"' in running.get()[2], "the reason")
        status, _, body = running.get()
        assert (status, 'aforo_exporter_collector_success{collector="db"} 0.0' in body) == (200, True)
        assert "aforo_videos" not in body
        upgrade_schema(open_engine(f"sqlite:///{tmp_path}/none.db"))
        until(
            lambda: 'aforo_videos{queue="aforo-videos",state="done"} 0.0' in running.get()[2],
            "the database that came back",
        )


def test_basic_auth_guards_all_but_the_health_check(tmp_path: Path) -> None:
    (tmp_path / "auth").write_text("prometheus:s3cret:with colon\n")
    with serving(tmp_path, AFORO_EXPORTER_AUTH_FILE=str(tmp_path / "auth")) as running:
        good = base64.b64encode(b"prometheus:s3cret:with colon").decode()
        wrong = base64.b64encode(b"prometheus:guess").decode()
        assert running.get()[0] == 401
        assert running.get(Authorization=f"Basic {wrong}")[0] == 401
        assert running.get(Authorization="Basic ###")[0] == 401
        assert running.get(Authorization=f"Basic {good}")[0] == 200
        assert running.get("/healthz")[0] == 200


def test_tls_clients_without_a_handshake_do_not_delay_other_clients(tmp_path: Path) -> None:
    pair = ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"]
    subject = ["-subj", "/CN=localhost", "-days", "2"]
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run([*openssl, *pair, *subject], check=True, capture_output=True)
    tls = {"CERTIFICATE": "cert.pem", "KEY": "key.pem"}
    with serving(tmp_path, **{f"AFORO_EXPORTER_TLS_{k}": str(tmp_path / v) for k, v in tls.items()}) as running:
        idle = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(50)]
        began = time.monotonic()
        assert running.get()[0] == 200
        assert time.monotonic() - began < 2
        for client in idle:
            client.close()


def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = run_once(tmp_path, AFORO_EXPORTER_DB_PORT=port)
    assert refused.returncode == 3
    why = "it cannot be listened on: Address already in use"
    assert refused.stderr == f"error: exporter port (127.0.0.1:{port}); {why}; set AFORO_EXPORTER_DB_PORT\n"


def test_half_a_tls_pair_is_an_error(tmp_path: Path) -> None:
    refused = run_once(tmp_path, AFORO_EXPORTER_TLS_KEY="key.pem", AFORO_EXPORTER_DB_PORT="9219")
    why = "TLS needs a certificate and a key"
    assert refused.stderr == f"error: AFORO_EXPORTER_TLS_CERTIFICATE; {why}; set both or neither\n"


def test_a_database_of_another_kind_is_an_error(tmp_path: Path) -> None:
    refused = run_once(tmp_path, AFORO_DATABASE_URL="mysql://root:hush@db/x")
    assert refused.returncode == 2
    assert "hush" not in refused.stderr
    assert "reads SQLite and PostgreSQL" in refused.stderr


@pytest.mark.parametrize("content", [b"", b"nocolon", b":nouser", b"a:b\nc:d"])
def test_a_password_file_holds_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "auth").write_bytes(content)
    with pytest.raises(UsageError, match="one line user:password"):
        read_credentials(tmp_path / "auth")


def run_once(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", "exporters", "db"]
    return subprocess.run(command, env=settings, cwd=folder, capture_output=True, text=True, timeout=20, check=False)
