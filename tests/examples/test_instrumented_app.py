"""Apps that call `aforo.instrument`, run as their team would run them: measured exactly with every pool."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress

import pytest

from core.broker import make_celery
from core.promql import scrape
from core.settings import Settings
from core.task_message import TaskMessage, encode_task
from injector.senders import Sender
from testing.clips import good_mp4
from testing.emulator import KEY, REGION, ROOT, sqs_client
from testing.polling import until
from testing.ports import free_port

TASK = "app.tasks.process_video"


class App:
    """A queue, and a worker of an app on it."""

    def __init__(self, folder, queue):
        self.folder, self.queue = folder, queue
        self.metrics_port = free_port()
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "AFORO_"))}
        self.environment = inherited | {
            "PYTHONPATH": str(ROOT),
            "AWS_ENDPOINT_URL": queue.endpoint_url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "QUEUE_NAME": queue.name,
            "QUEUE_URL": queue.url,
            "METRICS_PORT": str(self.metrics_port),
            "OUTPUT_PATH": str(folder),
        }

    @contextmanager
    def running(self, *command):
        """Run `python -m COMMAND` during the test, in a process group that ends with it."""
        with (self.folder / "worker.out").open("ab") as output:
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

    def send(self, count, path, routing_key=None):
        """Send tasks with positional arguments, as the injector does for an aforo.toml."""
        celery = make_celery(Settings.from_env({}), self.queue.url)
        messages = {
            f"m{k}": encode_task(
                celery, TaskMessage(TASK, f"task-{path}-{k}", self.queue.url, (k, path), routing_key=routing_key)
            )
            for k in range(count)
        }
        Sender(sqs_client(self.queue.endpoint_url), self.queue.url).send(messages)

    def value(self, family, **labels):
        """Return the sum of the worker's samples of a family that have `labels`; None if there are none."""
        families = scrape("127.0.0.1", self.metrics_port) or {}
        values = [s.value for s in families.get(family, []) if labels.items() <= s.labels.items() and s.value < 1e9]
        return sum(values) if values else None

    def count(self, family, **labels):
        """Return the number of observations of a histogram."""
        families = scrape("127.0.0.1", self.metrics_port) or {}
        infinite = {"le": "+Inf"} | labels
        return sum(s.value for s in families.get(family, []) if infinite.items() <= s.labels.items())


@pytest.fixture
def app(tmp_path, sqs_queue):
    return App(tmp_path, sqs_queue(visibility_timeout_seconds=60))


@pytest.mark.parametrize(
    ("pool", "slots", "options"),
    [
        ("prefork", 1, ()),
        ("prefork", 2, ()),
        ("prefork", 4, ()),
        ("prefork", 2, ("--max-tasks-per-child", "1")),
        ("threads", 4, ()),
        ("solo", 1, ()),
    ],
)
def test_every_task_stage_and_wait_of_their_app_is_counted(app, pool, slots, options):
    name = "tests.examples.metered_app"
    worker = ("celery", "-A", name, "worker", "--pool", pool, "--concurrency", str(slots), "--loglevel", "INFO")
    with app.running(*worker, *options):
        until(lambda: app.value("aforo_worker_slots"), "the worker serves its metrics", seconds=60)
        app.send(6, str(good_mp4(app.folder)))
        app.send(2, "/no/such.mp4")
        until(lambda: app.value("aforo_worker_tasks", task=TASK) == 8, "the end of eight tasks", seconds=60)
        until(lambda: app.count("aforo_worker_stage_seconds", task=TASK) == 14, "the stages of eight tasks")
        assert app.value("aforo_worker_slots") == slots
        assert app.value("aforo_worker_queue_info", queue=app.queue.name) == 1
        assert app.value("aforo_worker_children_lost", task=TASK) == 0
        assert app.value("aforo_worker_slots_busy") == 0
        assert app.value("aforo_worker_tasks_started", task=TASK) == 8
        assert app.value("aforo_worker_tasks", task=TASK, outcome="succeeded") == 6
        assert app.value("aforo_worker_failures", task=TASK, reason="internal") == 2
        assert app.count("aforo_worker_task_seconds", task=TASK, outcome="succeeded") == 6
        assert app.count("aforo_worker_stage_seconds", stage="transcode") == 8
        assert app.count("aforo_worker_stage_seconds", stage="publish") == 6
        assert app.count("aforo_worker_queue_wait_seconds", task=TASK) == 8
        assert 8 - slots <= app.count("aforo_worker_slot_idle_seconds") <= 7
        assert app.value("aforo_worker_telemetry_cpu_seconds") > 0
    assert sorted((app.folder / "done").read_text().split()) == ["0", "1", "2", "3", "4", "5"]
    assert app.queue.counts() == {"visible": 0, "in_flight": 0, "dead": 0}


def test_an_app_on_stock_transport_and_settings_is_measured_too(app):
    app.send(3, "/in.mp4")
    worker = ("celery", "-A", "tests.examples.stock_app", "worker", "--concurrency", "2", "--loglevel", "INFO")
    with app.running(*worker):
        ended = lambda: app.value("aforo_worker_tasks", task=TASK, outcome="succeeded") == 3  # noqa: E731
        until(ended, "the end of three tasks", seconds=60)
        waits = lambda: app.count("aforo_worker_queue_wait_seconds", task=TASK)  # noqa: E731
        assert until(waits, "their waits: SentTimestamp was requested from SQS") == 3


STOCK_WORKER = ("celery", "-A", "tests.examples.stock_app", "worker", "--concurrency", "1", "--loglevel", "INFO")


def test_messages_are_deleted_if_their_routing_key_is_the_name_of_the_queue_in_celery(app):
    app.environment["NAME_IN_CELERY"] = "jobs"
    app.send(3, "/in.mp4", routing_key="jobs")
    with app.running(*STOCK_WORKER):
        until(lambda: sum(app.queue.counts().values()) == 0, "the end of three messages", seconds=60)
        assert app.value("aforo_worker_queue_info", queue=app.queue.name) == 1


def test_control_kombu_deletes_no_message_whose_routing_key_is_the_name_in_sqs(app):
    app.environment["NAME_IN_CELERY"] = "jobs"
    app.send(3, "/in.mp4")
    with app.running(*STOCK_WORKER):
        log = app.folder / "worker.out"
        until(lambda: "must be defined in 'predefined_queues'" in log.read_text(), "kombu's refusal", seconds=60)
        assert sum(app.queue.counts().values()) == 3


def test_instrumentation_imports_no_database_driver():
    code = "import sys, aforo; aforo.instrument; print('sqlalchemy' in sys.modules, 'alembic' in sys.modules)"
    completed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert completed.stdout == "False False\n"
