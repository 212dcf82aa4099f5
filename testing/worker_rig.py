"""Run our real worker in a test, with its own queue, database and storage folder.

There is no supervisor and no Prometheus.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select

from core.broker import make_celery
from core.database import Sessions, open_engine, open_sessions, upgrade_schema
from core.models import ExecutionRow, RunRow, VideoRow
from core.settings import Settings
from core.storage import DirectoryStorage, StoredObject, describe
from injector.parallel_sender import send_videos
from injector.senders import NewVideo, Sender, VideoSender
from testing.emulator import KEY, REGION, ROOT, sqs_client
from testing.polling import until
from testing.ports import free_port
from testing.queues import TestQueue
from testing.rows import run_row
from testing.slow_ffmpeg import slow_ffmpeg

VISIBILITY_SECONDS = 4
LONG_POLL_SECONDS = 1
READY = " ready."


@dataclass
class Worker:
    """A started worker, by which a test observes, signals and kills its processes.

    `output` is the file with the worker's output.
    """

    process: subprocess.Popen[bytes]
    output: Path
    metrics_port: int
    _left_behind: list[psutil.Process] = field(default_factory=list)

    def log_text(self) -> str:
        """Return everything that the worker wrote."""
        return self.output.read_text(errors="replace")

    def is_alive(self) -> bool:
        """Return True if the worker's main process runs."""
        return self.process.poll() is None

    def children(self) -> list[psutil.Process]:
        """Return the worker's child processes other than ffmpeg: its task processes."""
        try:
            return [p for p in self.descendants(recursive=False) if "ffmpeg" not in p.name()]
        except psutil.NoSuchProcess:
            return []

    def descendants(self, *, recursive: bool = True) -> list[psutil.Process]:
        """Return the worker's child processes, and with `recursive` their descendants too.

        Return an empty list if the worker has ended.
        """
        if self.process.returncode is not None:  # its process id may belong to another program by now
            return []
        try:
            return psutil.Process(self.process.pid).children(recursive=recursive)
        except psutil.NoSuchProcess:
            return []

    def is_ready(self) -> bool:
        """Return True if the worker's output says that it is ready for messages."""
        return READY in self.log_text()

    def await_ready(self) -> Worker:
        """Wait until the worker takes messages. Return the worker.

        Raise AssertionError if the worker ends, or after 60 s.
        """
        until(lambda: self.is_ready() or not self.is_alive(), "the worker is ready", seconds=60)
        assert self.is_alive(), self.log_text()
        return self

    def await_end(self, seconds: float = 40.0) -> int:
        """Wait until the worker ends. Return its exit status.

        Raise subprocess.TimeoutExpired after `seconds`.
        """
        return self.process.wait(timeout=seconds)

    def count(self, metric: str, **labels: str) -> float:
        """Return the sum of a metric's samples with these labels, read from the worker's /metrics.

        Return 0 if there is no such sample.
        """
        with urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            samples = [s for family in families for s in family.samples if s.name == metric]
        return sum(s.value for s in samples if labels.items() <= s.labels.items())

    def send(self, number: int) -> None:
        """Send a signal to the worker's main process."""
        if number == signal.SIGKILL:
            self._left_behind = self.descendants()
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill the main process and its descendants, also those that an earlier SIGKILL left behind."""
        if self.process.returncode is None:  # until it is waited for, nothing else has its process group
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        for process in self._left_behind:
            with suppress(psutil.NoSuchProcess):  # psutil compares start times, so a reused id is left alone
                process.kill()
        self.process.wait()


@dataclass
class Rig:
    """Settings, queue, database and workers of one test, with methods that send videos and read results.

    `variables` are the environment variables of the workers.
    """

    folder: Path
    queue: TestQueue
    variables: dict[str, str]
    workers: list[Worker] = field(default_factory=list)
    sessions: Sessions = field(init=False)
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = Settings.from_env(self.variables)
        engine = open_engine(self.settings.database.url)
        upgrade_schema(engine)
        self.sessions = open_sessions(engine)

    @property
    def work_path(self) -> Path:
        """Return the folder in which the workers keep temporary files."""
        return self.settings.worker.work_path

    def start(self, concurrency: int = 1, altered: str = "", pool: str = "prefork", **variables: str) -> Worker:
        """Start a worker without waiting until it is ready. Return the worker.

        `altered` is a comma-separated list of alterations, which the module `testing.altered` describes. `variables`
        are additional environment variables. A second worker needs its own AFORO_WORKER_WORK_PATH.
        """
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AFORO_", "AWS_"))}
        environment |= self.variables | {"AFORO_WORKER_METRICS_PORT": str(free_port())} | variables
        output = self.folder / f"worker-{len(self.workers)}.out"
        module = ["testing.altered", altered] if altered else ["worker"]
        command = [sys.executable, "-m", *module, "--concurrency", str(concurrency), "--pool", pool]
        with output.open("wb") as stream:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=stream, stderr=stream, start_new_session=True
            )
        self.workers.append(Worker(process, output, int(environment["AFORO_WORKER_METRICS_PORT"])))
        return self.workers[-1]

    def end(self) -> None:
        """Kill the workers that were started."""
        for worker in self.workers:
            worker.kill()

    def store(self, clip: Path, key: str = "uploads/clip.mp4") -> StoredObject:
        """Put a file into the storage."""
        return DirectoryStorage(self.settings.storage.path).upload(clip, key)

    def send(self, stored: StoredObject, count: int = 1, run_id: str = "run", endpoint_url: str = "") -> list[str]:
        """Record and send `count` videos of one input file as the injector does. Return their ids, in order.

        The row of the run is created if it is missing. `endpoint_url` is the URL of SQS, by default that of the queue.
        """
        with self.sessions.begin() as session:
            if session.get(RunRow, run_id) is None:
                session.add(_run(run_id, count, stored))
        send_videos(self.video_sender(endpoint_url), [_video(run_id, k, stored) for k in range(count)])
        with self.sessions() as session:
            query = select(VideoRow.id).where(VideoRow.run_id == run_id).order_by(VideoRow.sequence)
            return list(session.scalars(query))

    def video_sender(self, endpoint_url: str = "") -> VideoSender:
        """Return the injector's sender for the queue of this rig.

        `endpoint_url` is the URL of SQS, by default that of the queue.
        """
        client = sqs_client(endpoint_url or self.queue.endpoint_url)
        return VideoSender(make_celery(self.settings, self.queue.url), Sender(client, self.queue.url), self.sessions)

    def video(self, video_id: str) -> VideoRow:
        """Return a video's row."""
        with self.sessions() as session:
            return session.get_one(VideoRow, video_id)

    def videos(self) -> list[VideoRow]:
        """Return the rows of all videos, ordered by run and number."""
        with self.sessions() as session:
            return list(session.scalars(select(VideoRow).order_by(VideoRow.run_id, VideoRow.sequence)))

    def run(self, run_id: str = "run") -> RunRow:
        """Return a run's row."""
        with self.sessions() as session:
            return session.get_one(RunRow, run_id)

    def executions(self, video_id: str | None = None) -> list[ExecutionRow]:
        """Return the execution rows of one video, or of all videos, in the order in which they were recorded."""
        with self.sessions() as session:
            query = select(ExecutionRow).order_by(ExecutionRow.id)
            rows = session.scalars(query if video_id is None else query.where(ExecutionRow.video_id == video_id))
            return list(rows)

    def outcomes(self, video_id: str | None = None) -> list[str | None]:
        """Return the outcomes of the executions. The outcome of a running execution is None."""
        return [execution.outcome for execution in self.executions(video_id)]

    def states(self) -> Counter[str]:
        """Return the number of videos by state. A video with a reason counts as `failed(REASON)`."""
        return Counter(f"failed({v.reason})" if v.reason else v.state for v in self.videos())

    def has_ended(self) -> bool:
        """Return True if every video has its final state."""
        return all(video.state in {"done", "failed"} for video in self.videos())

    def await_states(self, seconds: float = 40.0, **expected: int) -> None:
        """Wait until the numbers of videos by state are exactly these, such as `done=3, failed_corrupt=1`.

        `failed_corrupt` stands for the state `failed(corrupt)`. Fail the test after `seconds`.
        """
        states = {k if not k.startswith("failed_") else f"failed({k[7:]})": v for k, v in expected.items()}
        try:
            until(lambda: self.states() == states, f"videos are {states}", seconds, 0.1)
        except AssertionError as late:
            log = self.workers[-1].log_text()[-3000:] if self.workers else "no worker"
            pytest.fail(f"{late}: {dict(self.states())}; log of the worker:\n{log}")

    def await_running(self) -> ExecutionRow:
        """Wait until an ffmpeg runs in this rig. Return the newest execution that has no outcome yet."""
        until(self.ffmpegs, "an ffmpeg runs", seconds=30)
        return next(execution for execution in reversed(self.executions()) if execution.outcome is None)

    def task_process(self, execution: ExecutionRow) -> psutil.Process:
        """Return the task process of a running execution, by the process id in the claim of its video."""
        owner = self.video(execution.video_id).owner
        assert owner is not None
        return psutil.Process(int(owner.rsplit("|", 2)[1]))

    def ffmpegs(self) -> list[psutil.Process]:
        """Return the ffmpeg processes that transcode in this rig's folder."""
        processes = []
        for process in psutil.process_iter(["name", "cmdline"]):
            words = process.info["cmdline"] or []
            if process.info["name"] == "ffmpeg" and any(str(self.folder) in word for word in words):
                processes.append(process)
        return processes

    def await_empty(self, seconds: float = 20.0) -> None:
        """Wait until the queue holds no message."""
        until(lambda: self.waiting() == 0, "the queue is empty", seconds, 0.1)

    def waiting(self) -> int:
        """Return the number of messages in the queue, including those in flight."""
        counts = self.queue.counts()
        return counts["visible"] + counts["in_flight"]

    def leftovers(self) -> list[Path]:
        """Return the files that must not be left: temporary files, and outputs that belong to no video."""
        outputs = {self.settings.storage.path / v.output_key for v in self.videos() if v.output_key}
        unused = [p for p in (self.settings.storage.path / "processed").rglob("*") if p.is_file() and p not in outputs]
        return unused + [p for p in self.work_path.rglob("*") if p.is_file() and p.name != ".lock"]

    def check(self) -> None:
        """Check that every video has ended, and that nothing was lost, repeated or left behind.

        Wait up to 20 s until the queue is empty. Then raise AssertionError unless all of this is true:

        - Every video is done or failed.
        - Each done video has exactly one execution with the outcome done, and an output of the recorded size.
        - Each failed video has a reason. No video has more executions than the setting allows.
        - After 10 s at most, no ffmpeg process, temporary file or unused output is left.
        """
        self.await_empty()
        videos, executions = self.videos(), self.executions()
        done = Counter(a.video_id for a in executions if a.outcome == "done")
        assert self.has_ended(), self.states()
        assert done == Counter(v.id for v in videos if v.state == "done")
        assert all(v.reason for v in videos if v.state == "failed")
        assert all(v.execution_number <= self.settings.worker.max_executions for v in videos)
        for video in videos:
            if video.state == "done":
                output = self.settings.storage.path / str(video.output_key)
                assert describe(output, "x").size_bytes == video.output_bytes
        until(lambda: not self.ffmpegs(), "no ffmpeg is left", seconds=10)
        until(lambda: not self.leftovers(), f"no file is left, but there are {self.leftovers()}", seconds=10)


@contextmanager
def new_rig(folder: Path, queue: TestQueue, *, slow: bool = False, **variables: str) -> Iterator[Rig]:
    """Context manager: yield a rig with its database and files in `folder`. Kill its workers at the end.

    With `slow`, ffmpeg takes as long as the video lasts. `variables` replace the environment variables of the workers.
    """
    environment = {
        "STACK": "native",
        "AWS_ENDPOINT_URL": queue.endpoint_url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "SQS_QUEUE_NAME": queue.name,
        "UPLOAD_PATH": str(folder / "videos"),
        "AFORO_DATABASE_URL": f"sqlite:///{folder}/aforo.db",
        "AFORO_WORKER_WORK_PATH": str(folder / "work"),
        "AFORO_WORKER_THREADS": "1",
        "AFORO_EVENTS_REDIS_URL": "",
        "AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS": str(VISIBILITY_SECONDS),
        "AFORO_QUEUE_LONG_POLL_SECONDS": str(LONG_POLL_SECONDS),
        **variables,
    }
    if slow:
        environment["PATH"] = f"{slow_ffmpeg(folder)}:{os.environ['PATH']}"
    rig = Rig(folder, queue, environment)
    try:
        yield rig
    finally:
        rig.end()


def _run(run_id: str, count: int, stored: StoredObject) -> RunRow:
    source = {"size_bytes": stored.size_bytes, "source_sha256": stored.sha256}
    return run_row(id=run_id, count=count, created_at=time.time(), **source)


def _video(run_id: str, sequence: int, stored: StoredObject) -> NewVideo:
    return NewVideo(
        run_id=run_id,
        sequence=sequence,
        source_key=stored.key,
        source_bytes=stored.size_bytes,
        source_sha256=stored.sha256,
        profile="full",
        user_id=None,
        intended_at=None,
    )
