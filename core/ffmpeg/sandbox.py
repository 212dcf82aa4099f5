"""Run ffmpeg or ffprobe in a sandbox: the program cannot outlive this process, exceed limits or hang.

The child process is first setpriv, then a shell, then the program:

    setpriv --pdeathsig KILL --no-new-privs  →  sh: is the parent still alive? ulimit …  →  the program

`--pdeathsig KILL` makes the kernel kill the program when this process ends. The shell sets the limits.
The function `missing_protections` lists the protections that this machine cannot give.
"""

from __future__ import annotations

import math
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from resource import struct_rusage
from typing import IO, cast

from aforo.kernel import vmstat
from core.errors import EnvironmentFault

STDERR_TAIL_BYTES = 8192
READ_BYTES = 65536
TICK_SECONDS = 0.2  # pause between two checks of deadline and progress
#: Pause between two readings of the address space while it may grow fast: at the start, when decoder and encoder open,
#: and while more than half of the limit is used. With a pause of 0.2 s, 9 of 24 programs without memory were missed.
GROWTH_TICK_SECONDS = 0.01
START_SECONDS = 5.0
REAP_SECONDS = 0.002  # pause between two checks for the child's end, once it has closed its pipes
BLOCK_BYTES = 512  # unit of ru_inblock, ru_oublock and `ulimit -f`
OPEN_FILES = 256
KEPT_VARIABLES = ("PATH", "TMPDIR")
#: A program whose address space came this close to its limit was refused memory. ffmpeg of 4K in 10 bits ended within
#: 0.4 % of a limit of 768 to 1536 MiB. The thread budget leaves more than this.
EXHAUSTED_RATIO = 15 / 16
_PEAK = re.compile(rb"^VmPeak:\s+(\d+) kB", re.MULTILINE)
#: Signals whose Python handlers raise (Ctrl-C, Celery's soft time limit); blocked while the child is being started.
RAISING_SIGNALS = frozenset({signal.SIGINT, signal.SIGUSR1})


class Ending(StrEnum):
    """How a sandboxed program ended, for example by itself, by a signal or at its deadline."""

    EXITED = "exited"
    SIGNALLED = "signalled"  # by another process, the kernel or a resource limit
    DEADLINE = "deadline"
    STALLED = "stalled"
    FLOODED = "flooded"  # wrote more to standard output than is kept


@dataclass(frozen=True)
class Limits:
    """Limits for one sandboxed program: its time, memory, file size and amount of standard output.

    The program is killed after `deadline_seconds`, or after `stall_seconds` without progress. If `stall_seconds` is
    None, progress is not checked. `memory_bytes` limits the address space, `file_bytes` the size of each file, and
    `stdout_bytes` the standard output that is kept.
    """

    deadline_seconds: float
    stall_seconds: float | None
    memory_bytes: int
    file_bytes: int = 20 * 10**9
    stdout_bytes: int = 1 << 20


@dataclass(frozen=True)
class Finished:
    """Result of a sandboxed program: how it ended, its output, and its resource usage from wait4.

    A negative `returncode` means that a signal with the number `-returncode` ended the program. `read_bytes` does not
    include reads from the page cache.
    """

    ending: Ending
    returncode: int
    wall_seconds: float
    cpu_seconds: float
    max_rss_bytes: int
    read_bytes: int
    written_bytes: int
    stdout: str
    stderr_tail: str
    #: the kernel's OOM killer killed a process of this machine in the meantime
    oom_killer_struck: bool = False
    #: the address space came close to `Limits.memory_bytes`, so the program was probably refused memory
    memory_exhausted: bool = False

    @property
    def succeeded(self) -> bool:
        """Return True if the program exited with status 0."""
        return self.ending is Ending.EXITED and self.returncode == 0


def run_sandboxed(
    argv: Sequence[str],
    limits: Limits,
    progress: Callable[[], object] | None = None,
    *,
    on_stdout: Callable[[bytes], None] | None = None,
) -> Finished:
    """Run the command `argv` in the sandbox until it ends or exceeds a limit, and return its result.

    On return and after an exception, the program and its children are dead. The program counts as stalled when
    `progress()` returns the same value for `limits.stall_seconds`. `on_stdout` gets each chunk of standard output. If
    `on_stdout` is None, the result has the output. Raise EnvironmentFault if the program is not installed.
    """
    command, oom_kills, started = _command(argv, limits), vmstat().get("oom_kill", 0), time.monotonic()
    with _child(command) as process:
        supervisor = _Supervisor(process, limits, progress, on_stdout)
        ending, usage = supervisor.wait()
    return Finished(
        ending=Ending.SIGNALLED if ending is Ending.EXITED and process.returncode < 0 else ending,
        returncode=process.returncode,
        wall_seconds=time.monotonic() - started,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        max_rss_bytes=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        read_bytes=usage.ru_inblock * BLOCK_BYTES,
        written_bytes=usage.ru_oublock * BLOCK_BYTES,
        stdout=supervisor.stdout.decode("utf-8", "replace"),
        stderr_tail=supervisor.stderr.decode("utf-8", "replace").strip(),
        oom_killer_struck=vmstat().get("oom_kill", 0) > oom_kills,
        memory_exhausted=supervisor.peak_address_space_bytes >= EXHAUSTED_RATIO * limits.memory_bytes,
    )


def missing_protections() -> tuple[str, ...]:
    """Return a text for each sandbox protection that this machine cannot give.

    On Linux with the package util-linux, the result is empty.
    """
    missing = []
    if shutil.which("setpriv") is None:
        missing.append("ffmpeg outlives a killed worker (there is no setpriv)")
    if sys.platform != "linux":
        missing.append("ffmpeg's memory is not limited (there is no RLIMIT_AS)")
    return tuple(missing)


def _command(argv: Sequence[str], limits: Limits) -> list[str]:
    # No Python code runs in the child: a `preexec_fn` can deadlock in a process with threads, and a launcher in Python
    # takes 17 ms instead of 2 ms. --pdeathsig takes effect when the *thread* that started the child ends. That thread
    # waits in `run_sandboxed`. If the parent dies before setpriv runs, the shell notices it and exits.
    guard = ["setpriv", "--pdeathsig", "KILL", "--no-new-privs", "--"] if shutil.which("setpriv") else []
    return [*guard, "/bin/sh", "-c", _launcher(limits), "sh", str(os.getpid()), _installed(argv[0]), *argv[1:]]


def _installed(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise EnvironmentFault(program, "it is not on PATH or not executable", "install the package ffmpeg")
    return path


def _launcher(limits: Limits) -> str:
    """Return the shell script that starts the program.

    The script exits if this process has died. Otherwise it sets the limits and replaces itself by the program.
    """
    limit_values = {
        "c": 0,
        "t": math.ceil(limits.deadline_seconds * (os.cpu_count() or 1)) + 1,  # even if this process is stopped
        "f": limits.file_bytes // BLOCK_BYTES,
        "n": OPEN_FILES,
        "v": limits.memory_bytes // 1024,
    }
    if sys.platform != "linux":
        del limit_values["v"]
    # `ulimit` fails only where the present limit is already lower.
    ulimits = [f"ulimit -{letter} {value} 2>/dev/null" for letter, value in limit_values.items()]
    return "; ".join(['[ "$PPID" = "$1" ] || exit 1', "shift", *ulimits, 'exec "$@"'])


@contextmanager
def _child(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start `command` in its own session. At the end, kill its whole process group."""
    process = None
    signal_mask = signal.pthread_sigmask(signal.SIG_BLOCK, RAISING_SIGNALS)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, signal_mask)
        yield process
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, signal_mask)
        if process is not None:
            _end(process)


def _environment() -> dict[str, str]:
    """Return the environment of the child. It has no AWS_* and no AFORO_DATABASE_URL.

    A hostile file therefore cannot read secrets from the environment.
    """
    return {"LANG": "C.UTF-8", **{name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}}


def _end(process: subprocess.Popen[bytes]) -> None:
    _kill_group(process)
    if process.returncode is None:
        process.wait()
    for pipe in _pipes(process):
        pipe.close()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill all remaining processes of the group.

    While the group has members, the kernel keeps its number, even after the group leader was reaped. If the group has
    no member, its number has just become free. The kernel assigns numbers in rising order, so no new group has that
    number yet.
    """
    with suppress(ProcessLookupError, PermissionError):  # PermissionError is how macOS names a group of zombies
        os.killpg(process.pid, signal.SIGKILL)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    return cast(IO[bytes], process.stdout), cast(IO[bytes], process.stderr)


class _Supervisor:
    """Reader of one child's pipes, which kills the child when it exceeds a limit."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        limits: Limits,
        progress: Callable[[], object] | None,
        on_stdout: Callable[[bytes], None] | None,
    ) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.peak_address_space_bytes = 0
        self._process = process
        self._limits = limits
        self._progress = progress
        self._on_stdout = on_stdout or self.stdout.extend
        self._mark: object = None
        self._started = self._advanced = time.monotonic()

    def wait(self) -> tuple[Ending, struct_rusage]:
        """Wait until the sandboxed program ends. Return how it ended and its resource usage.

        Kill the program if it exceeds a limit. The program's Popen object has its exit code in `returncode` afterwards.
        """
        ending = Ending.EXITED
        with selectors.DefaultSelector() as selector:
            for pipe in _pipes(self._process):
                selector.register(pipe, selectors.EVENT_READ)
            while not (status := os.wait4(self._process.pid, os.WNOHANG))[0]:
                self._read(selector, self._tick_seconds() if selector.get_map() else REAP_SECONDS)
                self._update_peak()
                if ending is Ending.EXITED and (ending := self._excess()) is not Ending.EXITED:
                    _kill_group(self._process)
            self._process.returncode = os.waitstatus_to_exitcode(status[1])
            _kill_group(self._process)
            while self._read(selector, 0):
                pass  # drain the pipes, without waiting: a process that left the group may keep them open
        return ending, status[2]

    def _read(self, selector: selectors.BaseSelector, wait_seconds: float) -> bool:
        """Read one chunk from every pipe that has data. Return True if any pipe had data."""
        ready = selector.select(wait_seconds)
        for key, _ in ready:
            chunk = os.read(key.fd, READ_BYTES)
            if not chunk:
                selector.unregister(key.fileobj)
            elif key.fileobj is self._process.stderr:
                self.stderr[:] = (self.stderr + chunk)[-STDERR_TAIL_BYTES:]
            else:
                self._on_stdout(chunk)
        return bool(ready)

    def _tick_seconds(self) -> float:
        is_starting = time.monotonic() - self._started < START_SECONDS
        may_grow = is_starting or self.peak_address_space_bytes > self._limits.memory_bytes / 2
        return GROWTH_TICK_SECONDS if may_grow else TICK_SECONDS

    def _update_peak(self) -> None:
        """Read the peak of the child's address space, which the kernel forgets when the child ends."""
        with suppress(OSError):  # there is no /proc, or the child is gone
            peak = _PEAK.search(Path(f"/proc/{self._process.pid}/status").read_bytes())
            self.peak_address_space_bytes = int(peak[1]) * 1024 if peak else self.peak_address_space_bytes

    def _excess(self) -> Ending:
        """Return the limit that the child exceeds, or EXITED if the child exceeds none."""
        now = time.monotonic()
        if self._progress is not None and (mark := self._progress()) != self._mark:
            self._mark, self._advanced = mark, now
        if now - self._started > self._limits.deadline_seconds:
            return Ending.DEADLINE
        if self._is_watched() and now - self._advanced > cast(float, self._limits.stall_seconds):
            return Ending.STALLED
        return Ending.FLOODED if len(self.stdout) > self._limits.stdout_bytes else Ending.EXITED

    def _is_watched(self) -> bool:
        return self._progress is not None and self._limits.stall_seconds is not None
