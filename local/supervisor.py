"""The supervisord of the native stack: asked over its socket, and replaced when it died and left its children."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import xmlrpc.client
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from core.errors import EnvironmentFault
from local.programs import STATE

CONFIG = Path(__file__).with_name("supervisord.conf")
SOCKET = STATE / "run" / "supervisor.sock"
#: set for supervisord and so for everything it starts: how a process left by a dead supervisord is known as ours
MARK = "AFORO_STACK_FOLDER"
ANSWER_SECONDS = 10
LONGEST_SOCKET_PATH = 100
SHUTDOWN_STATE = 6
NO_SUCH_PROCESS_STATE = {60: "ALREADY_STARTED", 70: "NOT_RUNNING"}


class Stopping(EnvironmentFault):
    """Supervisord is ending what it runs, then itself, and answers no question until then."""


@dataclass(frozen=True)
class Process:
    """What supervisord says of one program: state, process id (0 without one), and when it started (epoch)."""

    name: str
    state: str
    pid: int
    started_at: float

    @property
    def is_running(self) -> bool:
        """Say whether it has a process, young or settled."""
        return self.state in {"RUNNING", "STARTING"}


def processes() -> dict[str, Process] | None:
    """Return what supervisord says of each program; None when none of ours answers; raise Stopping while it ends."""
    if not SOCKET.exists():
        return None
    try:
        found: Any = _ask("supervisor.getAllProcessInfo")
    except OSError:
        return None
    except xmlrpc.client.Fault as fault:
        raise _told(fault) from fault
    return {p["name"]: Process(p["name"], p["statename"], p["pid"], p["start"]) for p in found}


def launch(environment: Mapping[str, str]) -> None:
    """Start supervisord in the background with `environment`; raise EnvironmentFault when it refuses."""
    if len(str(SOCKET.resolve())) > LONGEST_SOCKET_PATH:
        raise EnvironmentFault("folder", "its path is too long for a socket", "move the checkout", value=Path.cwd())
    for folder in ("run", "log", "work", "prometheus"):
        (STATE / folder).mkdir(parents=True, exist_ok=True)
    command = [str(Path(sys.executable).with_name("supervisord")), "-c", str(CONFIG)]
    marked = {**environment, MARK: str(Path.cwd())}
    done = subprocess.run(command, env=marked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentFault("supervisord", (done.stderr or done.stdout).strip()[-200:], "see .local/log")


def start(name: str) -> None:
    """Start a program unless it runs; supervisord goes on trying when it dies at once."""
    _tolerant("supervisor.startProcess", name, False)


def stop(name: str) -> None:
    """Ask a program to stop; `processes` tells when it has."""
    _tolerant("supervisor.stopProcess", name, False)


def shut_down() -> None:
    """Ask supervisord to stop everything, last started first, and itself, unless it is about it."""
    with suppress(Stopping):
        _tolerant("supervisor.shutdown")


def leftovers() -> list[psutil.Process]:
    """Return the processes of this checkout's stack, whoever started them; pid files are never believed."""
    return [p for p in psutil.process_iter() if p.pid != os.getpid() and _is_ours(p)]


def end_leftovers(patience_seconds: float = 10) -> int:
    """End what a dead supervisord left behind, first kindly; return how many there were."""
    found = leftovers()
    for process in found:
        _signal(process, kindly=True)
    _, stubborn = psutil.wait_procs(found, timeout=patience_seconds)
    for process in stubborn:
        _signal(process, kindly=False)
    psutil.wait_procs(stubborn, timeout=2)
    return len(found)


def restarts(name: str) -> int:
    """Return how often `name` died by itself since supervisord started, as its log tells."""
    log = STATE / "log" / "supervisord.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return text.rpartition("supervisord started")[2].count(f"exited: {name} ")


def _is_ours(process: psutil.Process) -> bool:
    """Tell by the mark, or by the folder for Redis, which writes its title over its environment."""
    try:
        if process.name() == "redis-server":
            return Path(process.cwd()) == SOCKET.parent.resolve()
        return process.environ().get(MARK) == str(Path.cwd())
    except (psutil.Error, OSError):
        return False


def _signal(process: psutil.Process, *, kindly: bool) -> None:
    try:
        process.terminate() if kindly else process.kill()
    except psutil.NoSuchProcess:
        return


def _tolerant(method: str, *arguments: Any) -> None:
    try:
        _ask(method, *arguments)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode not in NO_SUCH_PROCESS_STATE:
            raise _told(fault) from fault
    except OSError as error:
        raise EnvironmentFault(
            "supervisord", f"it does not answer: {error}", "call `make down`, then try again"
        ) from error


def _told(fault: xmlrpc.client.Fault) -> EnvironmentFault:
    if fault.faultCode == SHUTDOWN_STATE:
        return Stopping("stack", "it is being stopped", "wait until `make status` says that it is down")
    return EnvironmentFault("supervisord", fault.faultString, "see .local/log/supervisord.log")


def _ask(method: str, *arguments: Any) -> Any:
    with xmlrpc.client.ServerProxy("http://localhost", transport=_SocketTransport(), allow_none=True) as proxy:
        return getattr(proxy, method)(*arguments)


class _SocketTransport(xmlrpc.client.Transport):
    """XML-RPC over supervisord's unix socket, with a time limit."""

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _SocketConnection("localhost", timeout=ANSWER_SECONDS)


class _SocketConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(SOCKET))
