"""Exporters that run as processes."""

from __future__ import annotations

import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testing.emulator import ROOT
from testing.polling import until
from testing.ports import free_port


@dataclass
class Server:
    port: int
    process: subprocess.Popen[bytes]
    scheme: str = "http"

    def get(self, path: str = "/metrics", **headers: str) -> tuple[int, str, str]:
        return self.ask(urllib.request.Request(f"{self.scheme}://127.0.0.1:{self.port}{path}", headers=headers))

    def ask(self, request: urllib.request.Request) -> tuple[int, str, str]:
        trusting = ssl._create_unverified_context() if self.scheme == "https" else None
        try:
            with urllib.request.urlopen(request, timeout=5, context=trusting) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read().decode()


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[Server]:
    port = free_port()
    settings = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "AFORO_DATABASE_URL": f"sqlite:///{folder}/a.db",
        "AFORO_EXPORTER_DB_PORT": str(port),
    }
    command = [sys.executable, "-m", "exporters", "db"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, env=settings | environment, cwd=folder, stderr=log) as process,
    ):
        scheme = "https" if "AFORO_EXPORTER_TLS_KEY" in environment else "http"
        server = Server(port, process, scheme)
        try:
            until(lambda: answers(server), f"the exporter to answer: {(folder / 'log').read_text()}")
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def answers(server: Server) -> bool:
    try:
        return server.get("/healthz")[0] == 200
    except (OSError, urllib.error.URLError):
        return False
