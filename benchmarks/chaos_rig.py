"""Run what one attack of `chaos.py` needs: emulator, proxy, PostgreSQL and the attacked worker."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import psutil
from sqlalchemy import Engine, create_engine, func, insert, select

from benchmarks.chaos_jobs import JOBS
from core.models import ExecutionRow, VideoRow
from core.video import Outcome
from testing import postgresql
from testing.clips import H264, make
from testing.emulator import KEYS, ROOT, Emulator, program
from testing.messages import b64, envelope
from testing.queues import QueueFactory, TestQueue
from testing.tcp_proxy import TcpProxy
from testing.worker_rig import VISIBILITY_SECONDS, Rig, Worker, new_rig

SLOTS = 4
#: of a video, and of a job of the foreign app, which has no heartbeat and must end within the visibility timeout
VIDEO_SECONDS, JOB_SECONDS = 4.0, 1.0
#: A crashed server keeps what it committed only with this. The library of tests turns it off for speed.
DURABLE = "-c synchronous_commit=on -c shared_buffers=16MB"
MAX_RECEIVES = 8
#: scheme of PostgreSQL, and the one that names SQLAlchemy's driver
DRIVER = ("postgresql://", "postgresql+psycopg://")
FINAL = frozenset({"done", "failed"})


@dataclass(frozen=True)
class Job:
    """Row of one job. `pid` is the process whose task holds the claim. `ended_at` is in epoch seconds."""

    id: str
    state: str
    pid: int | None
    executions: int
    done_count: int
    ended_at: float | None

    @property
    def is_final(self) -> bool:
        """Return True if the job is done or failed."""
        return self.state in FINAL


@dataclass
class Site:
    """The servers of one attack. The worker reaches SQS through `proxy`, and this process without it."""

    folder: Path
    emulator: Emulator
    proxy: TcpProxy
    queue: TestQueue
    database_url: str
    #: messages that were in the emulator before a restart and not after it
    lost_by_emulator: int = 0

    @property
    def proxy_url(self) -> str:
        """Endpoint URL of SQS for the worker."""
        return f"http://127.0.0.1:{self.proxy.port}"

    def messages(self) -> int:
        """Return the number of messages in the queue and its dead-letter queue."""
        return sum(self.queue.counts().values())

    def cut_network(self, seconds: float) -> None:
        """Abort each connection between worker and SQS, and refuse new ones for `seconds`."""
        self.proxy.cut()
        time.sleep(seconds)
        self.proxy.restore()

    def restart_emulator(self) -> None:
        """End the emulator, and start it again with the messages that it had.

        The proxy is cut meanwhile, so a message that is missing afterwards was lost by the emulator and not deleted by
        the worker.
        """
        self.proxy.cut()
        time.sleep(0.2)  # requests that have arrived are answered
        before = self.messages()
        self.emulator.stop()
        self.emulator.start()
        self.lost_by_emulator += max(0, before - self.messages())
        self.proxy.restore()

    def restart_database(self) -> None:
        """Kill PostgreSQL as a crash would, and start it again."""
        postgresql.restart(self.folder / "pg")

    def texts_left(self) -> list[str]:
        """Receive all messages of the queue and its dead-letter queue, and return their decoded texts.

        Wait up to 60 s per queue for messages that are in flight. No worker may run.
        """
        texts: list[str] = []
        for url in (self.queue.url, self.queue.dead_letter_url):
            texts += _texts(self.queue.client, str(url))
        return texts


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    """Context manager: run an emulator with one queue, a proxy and PostgreSQL in `folder`. Yield the Site."""
    (folder / "emulator").mkdir()
    (folder / "pg").mkdir()
    emulator = Emulator(program() or "ministack", folder / "emulator")
    with ExitStack() as stack:
        stack.callback(emulator.stop)
        emulator.start()
        database_url = stack.enter_context(postgresql.running_server(folder / "pg", DURABLE))
        proxy = stack.enter_context(TcpProxy("127.0.0.1", emulator.port))
        queue = QueueFactory(emulator.url)(VISIBILITY_SECONDS, MAX_RECEIVES)
        yield Site(folder, emulator, proxy, queue, database_url)


class Subject(Protocol):
    """A worker that is attacked, with the rows of its jobs."""

    worker: Worker
    #: name of the child program of a task
    program: str

    def start(self) -> None:
        """Start a worker, without waiting until it is ready."""

    def send(self, count: int) -> None:
        """Record `count` new jobs in the database, and send their messages."""

    def jobs(self) -> list[Job]:
        """Return all jobs that were sent, as the database records them."""

    def end(self) -> None:
        """Kill all started workers and their children."""


@dataclass
class OurWorker:
    """The reference worker with real videos of four seconds, which ffmpeg transcodes in real time."""

    site: Site
    rig: Rig
    worker: Worker = field(init=False)
    program: str = "ffmpeg"
    _batches: int = 0

    def __post_init__(self) -> None:
        picture = f"testsrc2=size=160x90:rate=10:duration={VIDEO_SECONDS:g}"
        clip = make(self.site.folder / "clip.mp4", "-f", "lavfi", "-i", picture, *H264, "-movflags", "+faststart")
        self._stored = self.rig.store(clip)

    def start(self) -> None:
        """Start a worker with SLOTS slots, without waiting until it is ready."""
        self.worker = self.rig.start(SLOTS)

    def send(self, count: int) -> None:
        """Record and send `count` videos in a new run, as the injector does."""
        self.rig.send(self._stored, count, f"batch-{self._batches}")
        self._batches += 1

    def jobs(self) -> list[Job]:
        """Return one job per video that was sent."""
        done = select(ExecutionRow.video_id, func.count()).where(ExecutionRow.outcome == Outcome.DONE)
        columns = (VideoRow.id, VideoRow.state, VideoRow.owner, VideoRow.execution_number, VideoRow.updated_at)
        with self.rig.sessions() as session:
            completed = dict(session.execute(done.group_by(ExecutionRow.video_id)).tuples().all())
            return [_job_of(*row, completed.get(row[0], 0)) for row in session.execute(select(*columns)).tuples()]

    def end(self) -> None:
        """Kill all started workers and their children."""
        self.rig.end()


@dataclass
class ForeignWorker:
    """The worker of the app in `chaos_app.py`, on our transport (`is_hardened`) or on stock Celery.

    `is_reentrant` is explained in the class Jobs.
    """

    site: Site
    is_hardened: bool
    is_reentrant: bool
    worker: Worker = field(init=False)
    program: str = "sleep"
    _workers: list[Worker] = field(default_factory=list)
    _engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self._engine = create_engine(self.site.database_url.replace(*DRIVER), pool_pre_ping=True)
        JOBS.metadata.create_all(self._engine)

    def start(self) -> None:
        """Start a worker with SLOTS slots, without waiting until it is ready."""
        output = self.site.folder / f"worker-{len(self._workers)}.out"
        flags = ["-c", str(SLOTS), "--without-gossip", "--without-mingle", "-l", "INFO", "-n", f"w{len(self._workers)}"]
        command = [sys.executable, "-m", "celery", "-A", "benchmarks.chaos_app", "worker", *flags]
        with output.open("wb") as stream:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self._environment(), stdout=stream, stderr=stream, start_new_session=True
            )
        self.worker = Worker(process, output, 0)
        self._workers.append(self.worker)

    def send(self, count: int) -> None:
        """Record `count` new jobs in the app's table, and send their messages."""
        ids = [uuid.uuid4().hex for _ in range(count)]
        with self._engine.begin() as connection:
            connection.execute(insert(JOBS), [{"id": job} for job in ids])
        for first in range(0, count, 10):
            entries = [{"Id": job, "MessageBody": self._message(job)} for job in ids[first : first + 10]]
            self.site.queue.client.send_message_batch(QueueUrl=self.site.queue.url, Entries=entries)

    def jobs(self) -> list[Job]:
        """Return all jobs that were sent, as the app's table records them."""
        columns = (JOBS.c.id, JOBS.c.state, JOBS.c.pid, JOBS.c.executions, JOBS.c.done_count, JOBS.c.ended_at)
        with self._engine.connect() as connection:
            return [Job(*row) for row in connection.execute(select(*columns))]

    def end(self) -> None:
        """Kill all started workers and their children."""
        for worker in self._workers:
            worker.kill()
        self._engine.dispose()

    def _message(self, job: str) -> str:
        routing = {"properties__delivery_info__routing_key": self.site.queue.name}
        return b64(json.dumps(envelope(job, JOB_SECONDS, headers__task="chaos.work", **routing)))

    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AFORO_", "AWS_"))}
        return inherited | KEYS | {
            "AWS_ENDPOINT_URL": self.site.proxy_url,
            "CHAOS_QUEUE": self.site.queue.name,
            "CHAOS_QUEUE_URL": self.site.proxy_url + urlsplit(self.site.queue.url).path,
            "CHAOS_DATABASE_URL": self.site.database_url.replace(*DRIVER),
            "CHAOS_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS),
            "CHAOS_HARDENED": str(int(self.is_hardened)),
            "CHAOS_REENTRANT": str(int(self.is_reentrant)),
        }  # fmt: skip


#: the subjects by name: what they are, in the words of the results
SUBJECTS = {
    "worker": "our worker",
    "hardened": "foreign app, hardened",
    "not-reentrant": "the same, claim that cannot be entered again",
    "stock": "the same as hardened, on stock Celery",
}


@contextmanager
def running_subject(name: str, folder: Path) -> Iterator[tuple[Site, Subject]]:
    """Context manager: run the servers of the subject `name` of SUBJECTS. Yield them and the subject.

    The worker of the subject is not started.
    """
    with running_site(folder) as site, ExitStack() as stack:
        subject: Subject
        if name == "worker":
            addresses = {"AWS_ENDPOINT_URL": site.proxy_url, "AFORO_DATABASE_URL": site.database_url}
            subject = OurWorker(site, stack.enter_context(new_rig(folder, site.queue, slow=True, **addresses)))
        else:
            subject = ForeignWorker(site, is_hardened=name != "stock", is_reentrant=name != "not-reentrant")
        stack.callback(subject.end)
        yield site, subject


def programs_of(subject: Subject) -> list[psutil.Process]:
    """Return the processes of the programs that the running tasks have started: ffmpeg or `sleep`."""
    programs = []
    for process in subject.worker.descendants():
        with suppress(psutil.NoSuchProcess):
            if process.name() == subject.program:
                programs.append(process)
    return programs


def _job_of(video: str, state: str, owner: str | None, executions: int, updated_at: float, done_count: int) -> Job:
    pid = int(owner.rsplit("|", 2)[1]) if owner else None
    return Job(video, str(state), pid, executions, done_count, updated_at if state in FINAL else None)


def _texts(client: Any, url: str, seconds: float = 60.0) -> list[str]:
    """Receive the messages of a queue, of which some may still be invisible, and return their decoded texts."""
    bodies: list[str] = []
    deadline = time.monotonic() + seconds
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    while time.monotonic() < deadline:
        answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600)
        bodies += [message["Body"] for message in answer.get("Messages", [])]
        counts = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        if sum(map(int, counts.values())) <= len(bodies):
            break
        time.sleep(0.5)
    return [decoded(body) for body in bodies]


def decoded(body: str) -> str:
    """Return the envelope of a message and the decoded call in it."""
    text = body if body.startswith("{") else base64.b64decode(body).decode()
    return text + base64.b64decode(json.loads(text)["body"]).decode()
