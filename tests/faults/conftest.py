"""Workers for fault tests: our own worker, and `tiny_app`.

`tiny_app` also runs on kombu's own transport.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from testing.clips import H264, make
from testing.emulator import KEY, REGION, ROOT
from testing.fault_proxy import FaultProxy
from testing.messages import send_task
from testing.polling import until
from testing.queues import TestQueue
from testing.worker_rig import VISIBILITY_SECONDS, Rig, new_rig

#: the Python of the tiny workers, for the tests of other versions of Celery and kombu
PYTHON = os.environ.get("AFORO_FAULTS_PYTHON", sys.executable)


@dataclass
class TinyWorker:
    """A running worker: its process, its queue and the output of its tasks."""

    process: subprocess.Popen[bytes]
    queue: TestQueue
    log: Path
    output: Path

    def lines(self, word: str) -> list[list[str]]:
        """Return the words after `word` in each log line that starts with `word`."""
        text = self.log.read_text() if self.log.exists() else ""
        return [line.split()[1:] for line in text.splitlines() if line.split()[0] == word]

    def names(self, word: str) -> list[str]:
        """Return the names of the tasks that wrote `start` or `end`, in order."""
        return [words[0] for words in self.lines(word)]

    def is_alive(self) -> bool:
        """Return True if the main process runs."""
        return self.process.poll() is None

    def has_stopped_working(self) -> bool:
        """Return True if the process has ended, or if an error has stopped its polling."""
        return not self.is_alive() or "Error in timer" in self.log_text()

    def log_text(self) -> str:
        """Return the output of the worker."""
        return self.output.read_text(errors="replace")

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end of the worker. Return its exit status."""
        self.process.send_signal(signal_number)
        return self.process.wait(timeout=30)


@pytest.fixture
def proxy(emulator):
    with FaultProxy(emulator) as proxy:
        yield proxy


@pytest.fixture
def tiny_worker(tmp_path):
    """Return a factory of workers: `with tiny_worker(queue, endpoint_url, concurrency=1, TINY_STOCK="1") as worker`.

    `pool` is Celery's option --pool.
    """

    @contextmanager
    def start(
        queue: TestQueue, endpoint_url: str, concurrency: int = 1, pool: str = "prefork", **extra: str
    ) -> Iterator[TinyWorker]:
        number = len(list(tmp_path.glob("worker-*.out")))
        log, output = tmp_path / "log", tmp_path / f"worker-{number}.out"
        environment = os.environ | {
            "TINY_LOG": str(log),
            "TINY_QUEUE": queue.name,
            "TINY_QUEUE_URL": queue.url,
            "TINY_ENDPOINT": endpoint_url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            **extra,
        }
        flags = ["-c", str(concurrency), "-P", pool, "-Ofair", "--without-gossip", "--without-mingle", "-l", "INFO"]
        command = [PYTHON, "-m", "celery", "-A", "tests.faults.tiny_app", "worker", *flags, "-n", f"w{number}"]
        with output.open("wb") as stream:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=stream, stderr=stream, start_new_session=True
            )
        worker = TinyWorker(process, queue, log, output)
        try:
            send_task(queue, "warm-up")
            until(lambda: "warm-up" in worker.names("end"), "the worker did its first task", seconds=40)
            if extra.get("TINY_STOCK") != "1":  # so that a fault of deletes does not hit this one
                until(lambda: ["0"] in worker.lines("pending"), "the message of its first task is deleted")
            yield worker
        finally:
            _end(process)

    return start


@pytest.fixture
def rig(tmp_path, sqs_queue):
    """Return a factory of rigs with our own worker: `with rig(slow=True) as it: it.start()`."""

    @contextmanager
    def build(
        endpoint_url: str = "", slow: bool = False, max_receive_count: int | None = 8, **variables: str
    ) -> Iterator[Rig]:
        timeout = int(variables.get("AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS", VISIBILITY_SECONDS))
        queue = sqs_queue(timeout, max_receive_count)
        if endpoint_url:
            variables["AWS_ENDPOINT_URL"] = endpoint_url
        with new_rig(tmp_path, queue, slow=slow, **variables) as new:
            yield new

    return build


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Return small real videos by their length in seconds. Each video is encoded when it is first used."""
    folder = tmp_path_factory.mktemp("clips")

    def clip(seconds: float, size: str = "160x90") -> Path:
        file = folder / f"{seconds:g}-{size}.mp4"
        if not file.exists():
            picture = f"testsrc2=size={size}:rate=10:duration={seconds:g}"
            make(file, "-f", "lavfi", "-i", picture, *H264, "-movflags", "+faststart")
        return file

    return clip


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the worker and its children, which are in one process group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
