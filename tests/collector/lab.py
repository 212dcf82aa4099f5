"""A queue, workers of `foreign_app` on it, and a collector of their executions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress

from sqlalchemy import func, select

from core import database
from core.models import ExecutionRow, VideoRow
from core.promql import scrape
from core.run import END_OF_VIDEO, EndOfVideo
from testing.emulator import KEYS, ROOT
from testing.polling import until
from testing.ports import free_port
from testing.rows import run_row, video_row

APP = "tests.collector.foreign_app"


@contextmanager
def active_run(url):
    """Context manager: create the tables at `url`, and the active run `r` of an app without a table.

    Yield the sessions of the database.
    """
    engine = database.open_engine(url)
    database.upgrade_schema(engine)
    opened = database.open_sessions(engine)
    with opened.begin() as session:
        environment = {END_OF_VIDEO: EndOfVideo.EXECUTIONS}
        session.add(run_row(executions_missed=0, environment=environment, created_at=100.0, started_at=100.0))
    try:
        yield opened
    finally:
        engine.dispose()


class Lab:
    """A queue, workers of the foreign app on it, and a collector of their executions."""

    def __init__(self, folder, queue, sessions):
        self.folder, self.queue, self.sessions, self.running = folder, queue, sessions, []
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "AFORO_"))}
        self.environment = inherited | KEYS | {
            "PYTHONPATH": str(ROOT),
            "AWS_ENDPOINT_URL": queue.endpoint_url,
            "QUEUE_NAME": queue.name,
            "QUEUE_URL": queue.url,
            "AFORO_INSTRUMENT": "1",
            "AFORO_SPOOL_FOLDER": str(folder / "spools"),
            "AFORO_DATABASE_URL": f"sqlite:///{folder}/aforo.db",
            "AFORO_PROMETHEUS_URL": f"http://127.0.0.1:{free_port()}",
            "AFORO_COLLECTOR_INTERVAL_SECONDS": "0.1",
        }  # fmt: skip

    def start(self, name, *command, **environment):
        with (self.folder / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=self.environment | environment,
                cwd=self.folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def worker(self, *options, pool="prefork", slots=2, **environment):
        """Start a worker. Return its process and the port of its /metrics."""
        port = free_port()
        command = ("celery", "-A", APP, "worker", "--pool", pool, "--concurrency", str(slots), *options)
        process = self.start(f"worker-{port}", *command, AFORO_METRICS_PORT=str(port), **environment)
        until(lambda: scrape("127.0.0.1", port), "the worker serves its metrics", seconds=60)
        return process, port

    def collector(self, *worker_ports):
        """Start a collector. Return its process and the port of its /metrics."""
        port, addresses = free_port(), ",".join(f"127.0.0.1:{each}" for each in worker_ports)
        environment = {"AFORO_COLLECTOR_WORKERS": addresses, "AFORO_COLLECTOR_PORT": str(port)}
        return self.start("collector", "collector", "serve", **environment), port

    def send(self, *kinds):
        """Record one video for each kind, with the task ids m0, m1, …, and send its first message."""
        self.record(range(len(kinds)))
        self.send_messages(*kinds)

    def record(self, numbers):
        """Record the videos x0, x1, … with these numbers, whose first messages have the task ids m0, m1, …"""
        with self.sessions.begin() as session:
            session.add_all(video_row(id=f"x{n}", task_id=f"m{n}", uploaded_at=100.0) for n in numbers)

    def send_messages(self, *kinds, first=0):
        """Send the first message of one video for each kind. `first` is the number of the first video."""
        calls = "\n".join(f"send({kind!r}, 'm{n}')" for n, kind in enumerate(kinds, first))
        code = f"from {APP} import send\n{calls}"
        environment = self.environment | {"AFORO_INSTRUMENT": "0"}
        subprocess.run([sys.executable, "-c", code], env=environment, cwd=self.folder, check=True, timeout=100)

    def executions(self):
        with self.sessions() as session:
            return session.scalars(select(ExecutionRow).order_by(ExecutionRow.started_at)).all()

    def count(self, table):
        with self.sessions() as session:
            return session.scalar(select(func.count()).select_from(table))

    def states(self):
        with self.sessions() as session:
            return dict(session.execute(select(VideoRow.id, VideoRow.state).where(VideoRow.id.like("x%"))).all())

    def stop(self):
        for process in self.running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def value(port, family, **labels):
    samples = (scrape("127.0.0.1", port) or {}).get(family, [])
    return sum(s.value for s in samples if labels.items() <= s.labels.items() and s.value < 1e9)  # no _created
