"""Collector, database and Prometheus are away: no task notices, each execution is stored later, once.

The real programs are killed while a worker that is not ours works. This is ten minutes with 1,000 tasks:

    AFORO_OUTAGE_SECONDS=600 AFORO_OUTAGE_TASKS=1000 .venv/bin/pytest -s -q tests/collector/test_outage.py
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise

import pytest

from core.models import ExecutionRow, RunRow
from testing.polling import until
from testing.ports import free_port, is_open
from testing.postgresql import binaries, running_server
from testing.prometheus_server import running_prometheus
from tests.collector.lab import Lab, active_run, value

OUTAGE_SECONDS = float(os.environ.get("AFORO_OUTAGE_SECONDS", "6"))
TASKS = int(os.environ.get("AFORO_OUTAGE_TASKS", "24"))
#: Tasks before the outage, whose durations the others are compared with.
EARLIER = max(8, TASKS // 20)
SLOTS = 2
#: The tasks fill nine tenths of the outage.
TASK_SECONDS = 0.9 * SLOTS * OUTAGE_SECONDS / TASKS
#: A task that waited for the answer of a program that is away would take longer by at least this.
DISTURBED_SECONDS = 3.0
#: The database is killed, and what it committed has to be there when it comes back.
DURABLE = "-c synchronous_commit=on"

pytestmark = [pytest.mark.postgresql, pytest.mark.timeout(180 + 3 * OUTAGE_SECONDS)]


class Aforo:
    """PostgreSQL, Prometheus and a collector, which finds the worker among Prometheus' targets."""

    def __init__(self, lab, folder, ports):
        self.lab, self.folder, self.ports = lab, folder, ports

    @contextmanager
    def running(self, worker_port):
        """Run the three programs during the block. Kill them at its end."""
        targets = self.lab.folder / "targets.json"
        targets.write_text(json.dumps([{"targets": [f"127.0.0.1:{worker_port}"]}]))
        database, prometheus, collector = self.ports
        with (
            running_server(self.folder, DURABLE, database),
            running_prometheus(self.lab.folder / "prometheus", targets, prometheus),
        ):
            process = self.lab.start("collector", "collector", "serve")
            try:
                until(lambda: is_open(collector), "the collector serves its metrics", seconds=60)
                yield
            finally:
                process.kill()
                process.wait()

    def is_away(self):
        """Return True if none of the three programs listens."""
        return not any(is_open(port) for port in self.ports)


@pytest.fixture
def aforo(tmp_path, server_folder, sqs_queue):
    if binaries() is None or shutil.which("prometheus") is None:
        pytest.skip("needs PostgreSQL and Prometheus (Debian: apt install postgresql prometheus)")
    ports = free_port(), free_port(), free_port()
    with running_server(server_folder, DURABLE, ports[0]) as url, active_run(url) as sessions:
        pass  # create the tables
    lab = Lab(tmp_path, sqs_queue(visibility_timeout_seconds=60), sessions)
    lab.environment |= {
        "AFORO_DATABASE_URL": url,
        "AFORO_PROMETHEUS_URL": f"http://127.0.0.1:{ports[1]}",
        "AFORO_COLLECTOR_PORT": str(ports[2]),
    }
    yield Aforo(lab, server_folder, ports)
    lab.stop()


@dataclass(frozen=True)
class Note:
    """What one task wrote about itself: its id, its process, and its start and end in epoch seconds."""

    task_id: str
    pid: int
    started_at: float
    ended_at: float


def notes_of(file):
    """Return the notes of all tasks, the earliest start first."""
    lines = file.read_text().splitlines() if file.exists() else []
    words = [line.split() for line in lines]
    return sorted((Note(i, int(p), float(s), float(e)) for i, p, s, e in words), key=lambda note: note.started_at)


def longest(notes):
    """Return the longest task, and the longest pause between two tasks of one process, in seconds."""
    by_process = groupby(sorted(notes, key=lambda note: note.pid), key=lambda note: note.pid)
    pauses = [after.started_at - before.ended_at for _, own in by_process for before, after in pairwise(own)]
    return max(note.ended_at - note.started_at for note in notes), max(pauses)


def test_an_outage_of_aforo_disturbs_no_task_and_each_execution_comes_later_once(aforo):
    lab, total = aforo.lab, EARLIER + TASKS
    file = lab.folder / "notes"
    worker, port = lab.worker(slots=SLOTS, HARDEN="1", TASK_SECONDS=str(TASK_SECONDS), NOTES=str(file))
    with aforo.running(port):
        lab.record(range(total))
        lab.send_messages(*["noting"] * EARLIER)
        until(lambda: lab.count(ExecutionRow) == EARLIER, "the executions before the outage", EARLIER * 3 + 60)
    started = time.monotonic()
    spend_outage(aforo, file, started)
    seconds = time.monotonic() - started
    notes = notes_of(file)
    with aforo.running(port):
        until(lambda: lab.count(ExecutionRow) >= total, "the executions of the outage", seconds=120)
        by_video = Counter(execution.video_id for execution in lab.executions())
        before, during = longest(notes[:EARLIER]), longest(notes[EARLIER:])
        show(seconds, before, during, by_video, len(notes))
        assert Counter(note.task_id for note in notes) == {f"m{n}": 1 for n in range(total)}
        assert by_video == {f"x{n}": 1 for n in range(total)}
        assert set(lab.states().values()) == {"done"}
        with lab.sessions() as session:
            assert session.get(RunRow, "r").executions_missed == 0
    assert worker.poll() is None
    assert value(port, "aforo_worker_tasks", outcome="succeeded") == value(port, "aforo_worker_tasks") == total
    assert lab.queue.counts() == {"visible": 0, "in_flight": 0, "dead": 0}
    assert all(now < earlier + DISTURBED_SECONDS for now, earlier in zip(during, before, strict=True))


def spend_outage(aforo, file, started):
    """Send the tasks of the outage, and return when they have ended and its time has passed."""
    assert aforo.is_away()
    aforo.lab.send_messages(*["noting"] * TASKS, first=EARLIER)
    until(lambda: len(notes_of(file)) >= EARLIER + TASKS, "the end of all tasks", 2 * OUTAGE_SECONDS + 60, every=0.5)
    time.sleep(max(0.0, started + OUTAGE_SECONDS - time.monotonic()))
    assert aforo.is_away()


def show(seconds, before, during, by_video, ended):
    """Print what was seen."""
    total = EARLIER + TASKS
    print(f"\noutage of {seconds:.0f} s: {ended - EARLIER} of {TASKS} tasks ended during it, {EARLIER} before it")
    for name, figures in (("before", before), ("during", during)):
        print(
            f"{name} it: longest task {figures[0]:.3f} s, longest pause of a process between tasks {figures[1]:.3f} s"
        )
    duplicates = sum(by_video.values()) - len(by_video)
    print(f"after it: {by_video.total()} executions, {duplicates} duplicates, {total - len(by_video)} lost")
