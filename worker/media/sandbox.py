"""Run one foreign program so that it can neither outlive us, nor outgrow its limits, nor hang.

The child starts through two tiny programs that replace themselves. No Python code runs between fork and exec, because
a `preexec_fn` can deadlock in a process with threads:

    setpriv --pdeathsig KILL --no-new-privs  →  sh: is our parent still there? ulimit …  →  the program

That costs about 2 ms; a launcher in Python costs 17 ms. PR_SET_PDEATHSIG fires when the *thread* that started the child
ends; that thread waits in `run_contained`, so it cannot end earlier. A parent that died before the signal was armed is
found by `sh`, which compares its parent with us. `missing_protections` names what a machine without setpriv lacks.
"""

from __future__ import annotations

import math
import os
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

from core.errors import EnvironmentFault

STDERR_TAIL_BYTES = 8192
READ_BYTES = 65536
TICK_SECONDS = 0.2  # how often deadline and progress are looked at
REAP_SECONDS = 0.002  # how often the end is looked for once the child has closed its pipes
BLOCK_BYTES = 512  # unit of ru_inblock, ru_oublock and `ulimit -f`
OPEN_FILES = 256
KEPT_VARIABLES = ("PATH", "TMPDIR")
#: Signals whose Python handlers raise (Ctrl-C, Celery's soft time limit); held back while the child is being started.
RAISING_SIGNALS = frozenset({signal.SIGINT, signal.SIGUSR1})


class Ending(StrEnum):
    """How a contained program came to its end."""

    EXITED = "exited"
    SIGNALLED = "signalled"  # by somebody else, or by a resource limit
    DEADLINE = "deadline"
    STALLED = "stalled"
    FLOODED = "flooded"  # wrote more to standard output than is kept


@dataclass(frozen=True)
class Limits:
    """What one program may use; `stall_seconds` None means that silence is no fault.

    CPU time is limited to the deadline on every core: a backstop for when we are stopped and cannot watch.
    """

    deadline_seconds: float
    stall_seconds: float | None
    memory_bytes: int
    file_bytes: int = 20 * 10**9
    stdout_bytes: int = 1 << 20


@dataclass(frozen=True)
class Finished:
    """How a program ended and what it used, from wait4's rusage; a negative `returncode` is a signal's number.

    Bytes are those of the block layer: a read that the page cache served is not among them.
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
    #: the kernel's OOM killer struck somewhere on this machine meanwhile
    oom_killer_struck: bool = False

    @property
    def succeeded(self) -> bool:
        """Say whether it ended by itself with status 0."""
        return self.ending is Ending.EXITED and self.returncode == 0


def run_contained(
    argv: Sequence[str],
    limits: Limits,
    progress: Callable[[], object] | None = None,
    *,
    on_stdout: Callable[[bytes], None] | None = None,
) -> Finished:
    """Run `argv` to its end, at latest to its deadline; its whole process group is dead on every way out.

    The program is stalled when `progress()` returns the same for `stall_seconds`. `on_stdout` takes each chunk of
    standard output; without it the output is kept, up to `limits.stdout_bytes`. Raises EnvironmentFault if the program
    is not installed; an exception from outside (soft time limit, Ctrl-C) passes through after the kill.
    """
    command, oom_kills, begun = _command(argv, limits), _oom_kills(), time.monotonic()
    with _child(command) as process:
        attendant = _Attendant(process, limits, progress, on_stdout)
        ending, usage = attendant.wait()
    return Finished(
        ending=Ending.SIGNALLED if ending is Ending.EXITED and process.returncode < 0 else ending,
        returncode=process.returncode,
        wall_seconds=time.monotonic() - begun,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        max_rss_bytes=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        read_bytes=usage.ru_inblock * BLOCK_BYTES,
        written_bytes=usage.ru_oublock * BLOCK_BYTES,
        stdout=attendant.stdout.decode("utf-8", "replace"),
        stderr_tail=attendant.stderr.decode("utf-8", "replace").strip(),
        oom_killer_struck=_oom_kills() > oom_kills,
    )


def missing_protections() -> tuple[str, ...]:
    """Name the protections this machine cannot give; empty on a Linux with util-linux."""
    missing = []
    if shutil.which("setpriv") is None:
        missing.append("ffmpeg outlives a killed worker (there is no setpriv)")
    if sys.platform != "linux":
        missing.append("ffmpeg's memory is not limited (there is no RLIMIT_AS)")
    return tuple(missing)


def _command(argv: Sequence[str], limits: Limits) -> list[str]:
    guard = ["setpriv", "--pdeathsig", "KILL", "--no-new-privs", "--"] if shutil.which("setpriv") else []
    return [*guard, "/bin/sh", "-c", _launcher(limits), "sh", str(os.getpid()), _installed(argv[0]), *argv[1:]]


def _installed(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise EnvironmentFault(program, "it is not on PATH or not executable", "install the package ffmpeg")
    return path


def _launcher(limits: Limits) -> str:
    """Return the script that refuses a parent that died, limits itself and becomes the program."""
    wanted = {
        "c": 0,
        "t": math.ceil(limits.deadline_seconds * (os.cpu_count() or 1)) + 1,
        "f": limits.file_bytes // BLOCK_BYTES,
        "n": OPEN_FILES,
        "v": limits.memory_bytes // 1024,
    }
    if sys.platform != "linux":
        del wanted["v"]
    # A limit that is refused is one that was already tighter.
    ulimits = [f"ulimit -{letter} {value} 2>/dev/null" for letter, value in wanted.items()]
    return "; ".join(['[ "$PPID" = "$1" ] || exit 1', "shift", *ulimits, 'exec "$@"'])


@contextmanager
def _child(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start `command` in a session of its own; on the way out nothing of its process group is left alive."""
    process = None
    held = signal.pthread_sigmask(signal.SIG_BLOCK, RAISING_SIGNALS)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        yield process
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        if process is not None:
            _end(process)


def _environment() -> dict[str, str]:
    """Return the child's environment: no AWS_*, no AFORO_DATABASE_URL, nothing a hostile file could want."""
    return {"LANG": "C.UTF-8", **{name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}}


def _end(process: subprocess.Popen[bytes]) -> None:
    _kill_group(process)
    if process.returncode is None:
        process.wait()
    for pipe in _pipes(process):
        pipe.close()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill whoever is left of the group.

    Its number stays taken while it has members, even when the leader has been waited for; without members the number
    was freed a moment ago, and the kernel hands numbers out in rising order.
    """
    with suppress(ProcessLookupError, PermissionError):  # PermissionError is how macOS names a group of zombies
        os.killpg(process.pid, signal.SIGKILL)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    return cast(IO[bytes], process.stdout), cast(IO[bytes], process.stderr)


class _Attendant:
    """Reads the pipes of one child and decides when it has had enough."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        limits: Limits,
        progress: Callable[[], object] | None,
        on_stdout: Callable[[bytes], None] | None,
    ) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self._process = process
        self._limits = limits
        self._progress = progress
        self._on_stdout = on_stdout or self.stdout.extend
        self._mark: object = None
        self._begun = self._moved = time.monotonic()

    def wait(self) -> tuple[Ending, struct_rusage]:
        """Return how the child ended and its rusage; its return code is in the process object."""
        ending = Ending.EXITED
        with selectors.DefaultSelector() as selector:
            for pipe in _pipes(self._process):
                selector.register(pipe, selectors.EVENT_READ)
            while not (waited := os.wait4(self._process.pid, os.WNOHANG))[0]:
                self._read(selector, TICK_SECONDS if selector.get_map() else REAP_SECONDS)
                if ending is Ending.EXITED and (ending := self._excess()) is not Ending.EXITED:
                    _kill_group(self._process)
            self._process.returncode = os.waitstatus_to_exitcode(waited[1])
            _kill_group(self._process)
            while self._read(selector, 0):
                pass  # what the pipes still hold; a stray that left the group may keep them open, so never wait
        return ending, waited[2]

    def _read(self, selector: selectors.BaseSelector, wait_seconds: float) -> bool:
        """Take one chunk of every pipe that has something; say whether any had."""
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

    def _excess(self) -> Ending:
        """Return why the child must end now, or EXITED if it need not."""
        now = time.monotonic()
        if self._progress is not None and (mark := self._progress()) != self._mark:
            self._mark, self._moved = mark, now
        if now - self._begun > self._limits.deadline_seconds:
            return Ending.DEADLINE
        if self._is_watched() and now - self._moved > cast(float, self._limits.stall_seconds):
            return Ending.STALLED
        return Ending.FLOODED if len(self.stdout) > self._limits.stdout_bytes else Ending.EXITED

    def _is_watched(self) -> bool:
        return self._progress is not None and self._limits.stall_seconds is not None


def _oom_kills() -> int:
    """Return how often the kernel's OOM killer struck since boot; 0 where the kernel does not tell."""
    with suppress(OSError), Path("/proc/vmstat").open(encoding="ascii") as vmstat:
        return next((int(line.split()[1]) for line in vmstat if line.startswith("oom_kill ")), 0)
    return 0
