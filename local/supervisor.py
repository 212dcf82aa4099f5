"""Control Aforo's programs on this machine through supervisord.

If supervisord has died, this module ends the processes that supervisord left running.
"""

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
#: Variable that supervisord and all its programs inherit. It identifies processes of a dead supervisord as ours.
MARK = "AFORO_STACK_FOLDER"
ANSWER_SECONDS = 10
LONGEST_SOCKET_PATH = 100
SHUTDOWN_STATE = 6
NO_SUCH_PROCESS_STATE = {60: "ALREADY_STARTED", 70: "NOT_RUNNING"}


class Stopping(EnvironmentFault):
    """Error for a request that supervisord refuses because it is shutting down."""


@dataclass(frozen=True)
class Process:
    """State of one program under supervisord.

    `state` is supervisord's word for the state, such as `RUNNING`. `pid` is 0 if the program does not run. `started_at`
    is the time of the program's last start in epoch seconds.
    """

    name: str
    state: str
    pid: int
    started_at: float

    @property
    def is_running(self) -> bool:
        """Return True if supervisord reports the program as running or starting."""
        return self.state in {"RUNNING", "STARTING"}


def processes() -> dict[str, Process] | None:
    """Return the state of each program that supervisord runs, by the name of the program.

    Return None if the supervisord of this checkout does not run. Raise Stopping while it shuts down.
    """
    if not SOCKET.exists():
        return None
    try:
        programs: Any = _call("supervisor.getAllProcessInfo")
    except OSError:
        return None
    except xmlrpc.client.Fault as fault:
        raise _fault(fault) from fault
    return {p["name"]: Process(p["name"], p["statename"], p["pid"], p["start"]) for p in programs}


def launch(environment: Mapping[str, str]) -> None:
    """Start supervisord in the background with these environment variables.

    Raise EnvironmentFault if supervisord does not start.
    """
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
    """Ask supervisord to start the program `name`, without waiting until it runs.

    If the program is already running, nothing happens. Raise EnvironmentFault if supervisord does not answer.
    """
    _call_tolerantly("supervisor.startProcess", name, False)


def stop(name: str) -> None:
    """Ask supervisord to stop the program `name`, without waiting until it has stopped.

    To see whether the program has stopped, call the function `processes`. Raise EnvironmentFault if supervisord does
    not answer.
    """
    _call_tolerantly("supervisor.stopProcess", name, False)


def shut_down() -> None:
    """Ask supervisord to stop all programs, last started first, and to exit. Do not wait.

    Do nothing if supervisord is already shutting down.
    """
    with suppress(Stopping):
        _call_tolerantly("supervisor.shutdown")


def orphans() -> list[psutil.Process]:
    """Return the running processes of this checkout's stack, except the calling process.

    If supervisord runs, the result has supervisord and its programs. If supervisord has died, the result has the
    programs that supervisord left running.
    """
    return [p for p in psutil.process_iter() if p.pid != os.getpid() and _is_ours(p)]


def end_orphans(timeout_seconds: float = 10) -> int:
    """End all processes of this checkout's stack, and return their number.

    Call this only while no supervisord runs. Each process gets SIGTERM. If it still runs after `timeout_seconds`, it
    gets SIGKILL.
    """
    processes = orphans()
    for process in processes:
        _end(process, kill=False)
    _, alive = psutil.wait_procs(processes, timeout=timeout_seconds)
    for process in alive:
        _end(process, kill=True)
    psutil.wait_procs(alive, timeout=2)
    return len(processes)


def restarts(name: str) -> int:
    """Return how often the program `name` has exited by itself since supervisord started.

    The exits are counted in the log of supervisord.
    """
    log = STATE / "log" / "supervisord.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return text.rpartition("supervisord started")[2].count(f"exited: {name} ")


def _is_ours(process: psutil.Process) -> bool:
    """Return True if the process belongs to the stack of this checkout: its environment has MARK.

    Redis overwrites its environment with its process title, so its working directory is compared instead.
    """
    try:
        if process.name() == "redis-server":
            return Path(process.cwd()) == SOCKET.parent.resolve()
        return process.environ().get(MARK) == str(Path.cwd())
    except (psutil.Error, OSError):
        return False


def _end(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return


def _call_tolerantly(method: str, *arguments: Any) -> None:
    try:
        _call(method, *arguments)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode not in NO_SUCH_PROCESS_STATE:
            raise _fault(fault) from fault
    except OSError as error:
        raise EnvironmentFault(
            "supervisord", f"it does not answer: {error}", "run `make down`, then try again"
        ) from error


def _fault(fault: xmlrpc.client.Fault) -> EnvironmentFault:
    if fault.faultCode == SHUTDOWN_STATE:
        return Stopping("stack", "it is shutting down", "wait until `make status` shows that it is down")
    return EnvironmentFault("supervisord", fault.faultString, "see .local/log/supervisord.log")


def _call(method: str, *arguments: Any) -> Any:
    with xmlrpc.client.ServerProxy("http://localhost", transport=_SocketTransport(), allow_none=True) as proxy:
        return getattr(proxy, method)(*arguments)


class _SocketTransport(xmlrpc.client.Transport):
    """XML-RPC over the unix socket of supervisord, with a timeout."""

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _SocketConnection("localhost", timeout=ANSWER_SECONDS)


class _SocketConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(SOCKET))
