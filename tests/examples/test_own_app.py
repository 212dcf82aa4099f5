"""The example app, run as its team would run it.

Its metrics are exact with every pool, without our database.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager, suppress

import pytest

from core.promql import scrape
from testing.emulator import KEY, REGION, ROOT
from testing.polling import until
from testing.ports import free_port

APP = ROOT / "examples/own_app"
TASK = "app.tasks.process_video"
GOOD = '{"video_id": "{video_id}", "path": "{path}", "uploaded_at": "{uploaded_at}"}'
BAD = '{"video_id": "{video_id}", "path": "/no/such.mp4", "uploaded_at": "{uploaded_at}"}'
#: Settings of the database exporter for their table.
TABLE = {
    "AFORO_EXPORTER_VIDEOS_TABLE": "clips",
    "AFORO_EXPORTER_VIDEOS_COLUMNS": "id=clip_id,run_id=,state=status,uploaded_at=created,started_at=started,"
    "updated_at=changed",
    "AFORO_EXPORTER_VIDEOS_STATES": "running=processing,completed=done,error=failed",
}


class OwnApp:
    """The example app: a queue, a worker on the queue, and our programs."""

    def __init__(self, folder, queue):
        self.folder, self.queue = folder, queue
        self.metrics_port, self.exporter_port = free_port(), free_port()
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "AFORO_"))}
        self.environment = inherited | {
            "PYTHONPATH": f"{APP}:{ROOT}",
            "AWS_ENDPOINT_URL": queue.endpoint_url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "QUEUE_NAME": queue.name,
            "QUEUE_URL": queue.url,
            "METRICS_PORT": str(self.metrics_port),
            "OUTPUT_PATH": str(folder / "out"),
            "CLIPS_DATABASE": str(folder / "clips.db"),
            "SQS_QUEUE_NAME": queue.name,
            "AFORO_DATABASE_URL": f"sqlite:///{folder}/clips.db",
            "AFORO_WORKER_METRICS_PORT": str(self.metrics_port),
            "AFORO_EXPORTER_DB_PORT": str(self.exporter_port),
            **TABLE,
        }
        (folder / "out").mkdir()

    @contextmanager
    def running(self, *command):
        """Run `python -m COMMAND` during the test. At the end, end its process group."""
        with (self.folder / f"{command[0]}.out").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def inject(self, count, payload, *more):
        command = [sys.executable, "-m", "injector", "--count", str(count), "--size", "300KB", "--task", TASK]
        return subprocess.run(
            [*command, "--payload", payload, *more],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def value(self, family, **labels):
        """Return the sum of the worker's samples of a family that have `labels`.

        Return None if there are none.
        """
        return total(self.metrics_port, family, **labels)


def total(port, family, **labels):
    families = scrape("127.0.0.1", port) or {}
    values = [s.value for s in families.get(family, []) if labels.items() <= s.labels.items() and s.value < 1e9]
    return sum(values) if values else None


def counts_of(port, family, **labels):
    """Return the number of observations of a histogram."""
    families = scrape("127.0.0.1", port) or {}
    infinite = {"le": "+Inf"} | labels
    return sum(s.value for s in families.get(family, []) if infinite.items() <= s.labels.items())


@pytest.fixture
def own_app(tmp_path, sqs_queue):
    return OwnApp(tmp_path, sqs_queue(visibility_timeout_seconds=60))


RECYCLED = ("--max-tasks-per-child", "1")


@pytest.mark.parametrize(
    ("pool", "slots", "options"),
    [("prefork", 2, ()), ("prefork", 1, RECYCLED), ("threads", 2, ()), ("solo", 1, ())],
)
def test_every_task_stage_and_wait_of_their_app_is_counted(own_app, pool, slots, options):
    worker = ("celery", "-A", "app.main", "worker", "--pool", pool, "--concurrency", str(slots), "--loglevel", "INFO")
    with own_app.running(*worker, *options):
        until(lambda: own_app.value("aforo_worker_slots"), "the worker serves its metrics", seconds=60)
        for count, payload in ((6, GOOD), (2, BAD)):
            sent = own_app.inject(count, payload, "--run-id", f"r{count}")
            assert sent.returncode == 0, sent.stderr
        ended = lambda: own_app.value("aforo_worker_tasks", task=TASK) == 8  # noqa: E731
        until(ended, "the end of eight tasks", seconds=60)
        port = own_app.metrics_port
        until(lambda: counts_of(port, "aforo_worker_stage_seconds", task=TASK) == 14, "the stages of eight tasks")
        assert own_app.value("aforo_worker_slots") == slots
        assert own_app.value("aforo_worker_info", pool=pool, transport="aforo-sqs", threads="unknown") == 1
        assert own_app.value("aforo_worker_queue_info", queue=own_app.queue.name) == 1
        assert own_app.value("aforo_worker_children_lost", task=TASK) == 0
        assert own_app.value("aforo_worker_slots_busy") == 0
        assert own_app.value("aforo_worker_tasks_started", task=TASK) == 8
        assert own_app.value("aforo_worker_tasks", task=TASK, outcome="succeeded") == 6
        assert own_app.value("aforo_worker_failures", task=TASK, reason="internal") == 2
        assert counts_of(port, "aforo_worker_task_seconds", task=TASK, outcome="succeeded") == 6
        assert counts_of(port, "aforo_worker_stage_seconds", stage="transcode") == 8
        assert counts_of(port, "aforo_worker_stage_seconds", stage="publish") == 6
        assert counts_of(port, "aforo_worker_queue_wait_seconds", task=TASK) == 8
        assert 8 - slots <= counts_of(port, "aforo_worker_slot_idle_seconds") <= 7
        assert own_app.value("aforo_worker_telemetry_cpu_seconds") > 0
    with sqlite3.connect(own_app.folder / "clips.db") as database:
        states = dict(database.execute("SELECT status, count(*) FROM clips GROUP BY status"))
    assert states == {"completed": 6, "error": 2}
    assert own_app.queue.counts() == {"visible": 0, "in_flight": 0, "dead": 0}


def test_an_app_on_stock_transport_and_settings_is_measured_too(own_app):
    worker = ("celery", "-A", "tests.examples.stock_app", "worker", "--concurrency", "2", "--loglevel", "INFO")
    assert own_app.inject(3, GOOD).returncode == 0
    with own_app.running(*worker):
        ended = lambda: own_app.value("aforo_worker_tasks", task=TASK, outcome="succeeded") == 3  # noqa: E731
        until(ended, "the end of three tasks", seconds=60)
        waits = lambda: counts_of(own_app.metrics_port, "aforo_worker_queue_wait_seconds", task=TASK)  # noqa: E731
        assert until(waits, "their waits: SentTimestamp was requested from SQS") == 3


def test_the_monitor_reads_completion_from_their_own_table(own_app):
    make_table = "import app.videos as v; v.begin('old', 1.0); v.finish('old', 'completed')"
    subprocess.run([sys.executable, "-c", make_table], env=own_app.environment, cwd=own_app.folder, check=True)
    with (
        own_app.running("celery", "-A", "app.main", "worker", "--concurrency", "2"),
        own_app.running("exporters", "db"),
    ):
        counted = lambda: total(own_app.exporter_port, "aforo_videos", state="done") == 1  # noqa: E731
        until(counted, "the exporter reads their table", seconds=60)
        completed = own_app.inject(4, GOOD, "--monitor", "--run-id", "own")
        assert completed.returncode == 0, completed.stderr
    assert "4 done, 0 failed in " in completed.stdout
    assert "S = " in completed.stdout
    lines = (own_app.folder / "results/runs/own/videos.csv").read_text().splitlines()
    with sqlite3.connect(own_app.folder / "clips.db") as database:
        ids = {row[0] for row in database.execute("SELECT clip_id FROM clips WHERE clip_id <> 'old'")}
    assert {line.split(",")[1] for line in lines[1:]} == ids


def test_a_run_that_the_monitor_cannot_follow_is_not_sent(own_app):
    shown = own_app.inject(2, GOOD, "--monitor")
    assert (shown.returncode, shown.stdout.count("\n")) == (3, 2)  # the video exists; slots are unknown
    assert shown.stderr.startswith(
        f"error: database exporter (127.0.0.1:{own_app.exporter_port}); it has no metrics of your videos"
    )
    assert own_app.queue.counts()["visible"] == 0


def test_without_a_monitor_an_injection_needs_no_worker_and_no_database(own_app):
    sent = own_app.inject(2, GOOD, "--run-id", "own", "--mode", "sustained", "--rate", "600")
    assert sent.returncode == 0, sent.stderr
    assert own_app.queue.counts()["visible"] == 2
    assert not (own_app.folder / "clips.db").exists()
    run = json.loads((own_app.folder / "results/runs/own/run.json").read_text())
    assert (run["status"], run["slots"], run["task"]) == ("finished", None, TASK)
    assert run["lateness_seconds"] >= 0


def test_instrumentation_imports_no_database_driver():
    code = "import sys, aforo; aforo.instrument; print('sqlalchemy' in sys.modules, 'alembic' in sys.modules)"
    completed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert completed.stdout == "False False\n"
