import os
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import EnvironmentFault
from core.ffmpeg import sandbox
from core.ffmpeg.sandbox import Ending, Limits, run_sandboxed
from testing.polling import until

LIMITS = Limits(deadline_seconds=30, stall_seconds=None, memory_bytes=1 << 30)
#: A small worker: it runs `sleep` in the sandbox, prints its pid, and waits.
WORKER = """
import sys
from core.ffmpeg import sandbox
if sys.argv[1] == "unprotected":
    which = sandbox.shutil.which
    sandbox.shutil.which = lambda name: None if name == "setpriv" else which(name)
sandbox.run_sandboxed(
    ["sh", "-c", "echo $$; exec sleep 60"],
    sandbox.Limits(60, None, 1 << 30),
    on_stdout=lambda chunk: print(chunk.decode().strip(), flush=True),
)
"""


class Interrupted(Exception):
    """Exception that a signal handler raises, like Celery's soft time limit."""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids_in(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def test_the_result_of_a_program_holds_its_status_its_output_and_its_resource_usage():
    finished = run_sandboxed(
        [sys.executable, "-c", "import sys; sum(range(10**6)); print('hi'); sys.exit('no')"], LIMITS
    )
    assert (finished.ending, finished.returncode, finished.succeeded) == (Ending.EXITED, 1, False)
    assert (finished.stdout, finished.stderr_tail) == ("hi\n", "no")
    assert 0 < finished.cpu_seconds <= finished.wall_seconds * (os.cpu_count() or 1)
    assert finished.max_rss_bytes > 1 << 20


def test_written_bytes_are_counted(tmp_path):
    blocks = resource.getrusage(resource.RUSAGE_CHILDREN).ru_oublock
    finished = run_sandboxed(["dd", "if=/dev/zero", f"of={tmp_path}/zeros", "bs=64k", "count=16"], LIMITS)
    assert finished.succeeded
    # the kernel adds a reaped child to our own total, which is 0 bytes where the folder is on no block device
    assert finished.written_bytes == 512 * (resource.getrusage(resource.RUSAGE_CHILDREN).ru_oublock - blocks)


def test_the_child_inherits_no_secret(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    names = {line.partition("=")[0] for line in run_sandboxed(["env"], LIMITS).stdout.splitlines()}
    assert names <= {"PATH", "LANG", "TMPDIR", "PWD", "SHLVL", "_"}


def test_a_program_that_is_not_installed_is_an_error_in_one_line():
    with pytest.raises(EnvironmentFault, match=r"^nosuchprogram; it is not on PATH or not executable; install"):
        run_sandboxed(["nosuchprogram"], LIMITS)


def test_the_deadline_ends_the_whole_process_group():
    finished = run_sandboxed(["sh", "-c", "echo $$; sleep 60 & echo $!; wait"], replace(LIMITS, deadline_seconds=0.3))
    assert (finished.ending, finished.returncode) == (Ending.DEADLINE, -signal.SIGKILL)
    leader, member = pids_in(finished.stdout)
    until(lambda: not is_alive(leader) and not is_alive(member), "both have ended", 5)


def test_the_children_of_a_program_are_killed_when_it_ends():
    finished = run_sandboxed(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], LIMITS)
    assert finished.succeeded
    until(lambda: not is_alive(int(finished.stdout)), "the program has ended", 5)


def test_a_program_without_progress_has_stalled():
    finished = run_sandboxed(["sleep", "60"], replace(LIMITS, stall_seconds=0.3), lambda: "frame 7")
    assert finished.ending is Ending.STALLED
    assert finished.wall_seconds < 5


def test_a_program_with_progress_may_take_longer_than_the_stall_limit():
    finished = run_sandboxed(["sleep", "0.8"], replace(LIMITS, stall_seconds=0.5), time.monotonic)
    assert finished.succeeded


def test_a_program_that_floods_its_output_is_ended():
    finished = run_sandboxed(["yes"], replace(LIMITS, stdout_bytes=100_000))
    assert finished.ending is Ending.FLOODED
    assert len(finished.stdout) < 100_000 + 10 * sandbox.READ_BYTES


def test_only_the_end_of_standard_error_is_returned():
    finished = run_sandboxed(["sh", "-c", "yes | head -c 1000000 >&2; echo the end >&2"], LIMITS)
    assert len(finished.stderr_tail) <= sandbox.STDERR_TAIL_BYTES
    assert finished.stderr_tail.endswith("the end")


def test_a_signal_from_outside_is_recorded_as_one():
    finished = run_sandboxed(["sh", "-c", "kill -SEGV $$"], LIMITS)
    assert (finished.ending, finished.returncode) == (Ending.SIGNALLED, -signal.SIGSEGV)


def test_memory_is_limited():
    finished = run_sandboxed([sys.executable, "-c", "bytearray(1 << 29)"], replace(LIMITS, memory_bytes=200 << 20))
    assert "MemoryError" in finished.stderr_tail


@pytest.mark.skipif(sys.platform != "linux", reason="there is no RLIMIT_AS")
def test_a_program_at_its_memory_limit_has_exhausted_it():
    reserve = "import mmap, sys, time\nm = mmap.mmap(-1, int(sys.argv[1]) << 20)\nprint(1, flush=True)\ntime.sleep(0.5)"
    limits = replace(LIMITS, memory_bytes=1 << 30)
    assert run_sandboxed([sys.executable, "-c", reserve, "970"], limits).memory_exhausted
    assert not run_sandboxed([sys.executable, "-c", reserve, "500"], limits).memory_exhausted


def test_the_size_of_a_file_is_limited(tmp_path):
    command = ["dd", "if=/dev/zero", f"of={tmp_path}/zeros", "bs=64k", "count=64"]
    finished = run_sandboxed(command, replace(LIMITS, file_bytes=1 << 20))
    assert finished.returncode == -signal.SIGXFSZ
    assert (tmp_path / "zeros").stat().st_size == 1 << 20


def test_there_are_no_core_files_and_few_open_files():
    finished = run_sandboxed(["sh", "-c", "ulimit -c; ulimit -n; ulimit -t"], replace(LIMITS, deadline_seconds=10))
    assert finished.stdout.split() == ["0", "256", str(10 * (os.cpu_count() or 1) + 1)]


def test_an_exception_from_outside_leaves_no_child_and_passes_through():
    children: list[int] = []

    def interrupt(chunk: bytes) -> None:
        children.append(int(chunk))
        raise Interrupted

    with pytest.raises(Interrupted):
        run_sandboxed(["sh", "-c", "echo $$; exec sleep 60"], LIMITS, on_stdout=interrupt)
    until(lambda: not is_alive(children[0]), "the child has ended", 5)


def test_a_soft_time_limit_while_the_child_is_being_started_leaves_no_child(monkeypatch):
    """The signal arrives right after the fork, before the parent has the child's pid."""
    started: list[subprocess.Popen[bytes]] = []

    class SignalledPopen(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)  # not to a thread of another test

    def soft_limit(*_: object) -> None:
        raise Interrupted

    monkeypatch.setattr(sandbox.subprocess, "Popen", SignalledPopen)
    before = signal.signal(signal.SIGUSR1, soft_limit)
    try:
        with pytest.raises(Interrupted):
            run_sandboxed(["sleep", "60"], LIMITS)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert started[0].returncode == -signal.SIGKILL


def test_children_of_several_threads_are_independent():
    codes: dict[int, int] = {}

    def run(code: int) -> None:
        codes[code] = run_sandboxed(["sh", "-c", f"sleep 0.0{code}; exit {code}"], LIMITS).returncode

    threads = [threading.Thread(target=run, args=(code,)) for code in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {code: code for code in range(1, 9)}


def start_worker(kind: str) -> tuple[subprocess.Popen[str], int]:
    worker = subprocess.Popen([sys.executable, "-c", WORKER, kind], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    return worker, int(worker.stdout.readline())


@pytest.mark.skipif(bool(sandbox.missing_protections()), reason="needs setpriv of util-linux")
def test_the_child_dies_with_a_killed_worker():
    worker, child = start_worker("protected")
    worker.kill()
    worker.communicate()
    until(lambda: not is_alive(child), "the child has ended", 5)


@pytest.mark.skipif(bool(sandbox.missing_protections()), reason="needs setpriv of util-linux")
def test_control_without_setpriv_the_child_outlives_a_killed_worker():
    worker, child = start_worker("unprotected")
    worker.kill()
    worker.wait()
    try:
        with pytest.raises(AssertionError):
            until(lambda: not is_alive(child), "the child has ended", 0.3)
    finally:
        os.kill(child, signal.SIGKILL)
        worker.communicate()


def test_a_child_whose_parent_is_already_gone_does_not_start():
    launch = ["/bin/sh", "-c", sandbox._launcher(LIMITS), "sh", "999999999", "/bin/echo", "started"]
    refused = subprocess.run(launch, capture_output=True, check=False)
    assert (refused.returncode, refused.stdout) == (1, b"")


def test_missing_protections_are_named(monkeypatch):
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    monkeypatch.setattr(sandbox.sys, "platform", "darwin")
    assert sandbox.missing_protections() == (
        "ffmpeg outlives a killed worker (there is no setpriv)",
        "ffmpeg's memory is not limited (there is no RLIMIT_AS)",
    )
