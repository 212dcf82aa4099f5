"""The library in each supported pair of Celery and Python: installed, not imported by the app, exact on every pool.

Also what it does where it cannot measure: one log line, and the worker works as without it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from core.promql import scrape
from testing.celery_versions import PAIRS, Pair, build_wheel, environment
from testing.emulator import KEYS
from testing.polling import until
from testing.ports import free_port

pytestmark = [pytest.mark.versions, pytest.mark.timeout(600)]
PROCESS = "videos.process"
#: Before the library's oldest Celery.
UNKNOWN = Pair("5.2.7", "5.2.4", "3.6.4.0", "3.10")
UNMEASURED = "aforo cannot measure this worker, which runs unmeasured: "
#: They receive with urllib3 in the event loop, not with curl.
BLOCKING = tuple(pair for pair in PAIRS if pair.kombu.startswith("5.5."))
SHORT_SECONDS = 3
COUNTDOWN_SECONDS = 3 * SHORT_SECONDS


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(params=PAIRS, ids=lambda pair: pair.name)
def their_environment(request, wheel):
    """The folder of the environment of one pair."""
    if request.param.interpreter is None:
        pytest.skip(f"not run: there is no Python {request.param.python} on this machine")
    return environment(request.param, wheel)


class App:
    """The app in its own folder, with its own environment and queue."""

    def __init__(self, folder: Path, python_folder: Path, queue):
        self.folder, self.bin, self.queue, self.port = folder, python_folder / "bin", queue, free_port()
        shutil.copy(Path(__file__).with_name("videos.py"), folder)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        self.environment = kept | KEYS | {
            "AWS_ENDPOINT_URL": queue.endpoint_url,
            "QUEUE_NAME": queue.name,
            "QUEUE_URL": queue.url,
            "AFORO_SPOOL_FOLDER": str(folder / "spools"),
            "AFORO_METRICS_PORT": str(self.port),
        }  # fmt: skip

    @contextmanager
    def worker(self, *options, **variables):
        """Run `aforo-instrument celery worker` during the test."""
        # named with its Python: the first line of the script names the folder in which the environment was made
        celery = (str(self.bin / "python"), str(self.bin / "celery"))
        command = [str(self.bin / "aforo-instrument"), *celery, "-A", "videos", "worker", *options]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment | variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def measured(self):
        until(lambda: scrape("127.0.0.1", self.port), f"its metrics; log: {self.log[-2000:]}", seconds=90)

    def send(self, *tasks):
        code = "import videos\n" + "\n".join(f"videos.{task}.delay()" for task in tasks)
        subprocess.run([self.bin / "python", "-c", code], cwd=self.folder, env=self.environment, check=True, timeout=60)

    @property
    def log(self):
        return (self.folder / "log").read_text()

    def executions(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/executions", timeout=5) as answer:
            return json.load(answer)["records"]

    def value(self, family, **labels):
        samples = (scrape("127.0.0.1", self.port) or {}).get(family, [])
        return sum(s.value for s in samples if labels.items() <= s.labels.items() and s.value < 1e9)

    def observations(self, family):
        samples = (scrape("127.0.0.1", self.port) or {}).get(family, [])
        return sum(s.value for s in samples if s.labels.get("le") == "+Inf")


@pytest.fixture
def their_app(tmp_path, their_environment, sqs_queue):
    return App(tmp_path, their_environment, sqs_queue(visibility_timeout_seconds=30))


@pytest.mark.parametrize(("pool", "slots"), [("prefork", 2), ("threads", 2), ("solo", 1)])
def test_every_pool_is_measured_exactly(their_app, pool, slots):
    outcomes = {"succeeded": 7, "failed": 1, "retried": 1}
    with their_app.worker("-P", pool, "-c", str(slots), "-l", "INFO"):
        their_app.measured()
        their_app.send("process", "process", "process", "sending", "failing", "retrying", "process")
        until(lambda: len(their_app.executions()) == 9, f"nine executions; {their_app.executions()}", seconds=60)
        records = their_app.executions()
        assert Counter(record["outcome"] for record in records) == outcomes
        for outcome, count in outcomes.items():
            assert their_app.value("aforo_worker_tasks", outcome=outcome) == count
        assert their_app.value("aforo_worker_tasks_started") == 9
        assert their_app.value("aforo_worker_slots") == slots
        assert their_app.value("aforo_worker_slots_busy") == 0
        assert their_app.observations("aforo_worker_queue_wait_seconds") == 9
        assert 9 - slots <= their_app.observations("aforo_worker_slot_idle_seconds") < 9
        assert {record["slot"] for record in records} <= set(range(slots))
        (sending,) = (record for record in records if record["task"] == "videos.sending")
        assert sending["sent"] == [r["task_id"] for r in records if r["root_id"] == sending["task_id"] != r["task_id"]]
    assert UNMEASURED not in their_app.log


def test_a_task_over_its_hard_time_limit_and_a_killed_child_end_in_the_counts(their_app):
    with their_app.worker("-c", "1", "-l", "INFO"):
        their_app.measured()
        their_app.send("hanging", "dying", "process")
        until(lambda: len(their_app.executions()) == 3, "three executions", seconds=60)
        ends = {record["task"]: (record["outcome"], record["reason"]) for record in their_app.executions()}
        assert ends == {
            "videos.hanging": ("failed", "timeout"),
            "videos.dying": ("lost", None),
            PROCESS: ("succeeded", None),
        }
        assert {record["slot"] for record in their_app.executions()} == {0}
        assert their_app.value("aforo_worker_slots_busy") == 0
        assert their_app.value("aforo_worker_failures", reason="timeout") == 1


def test_recycled_children_keep_the_idle_time_of_their_slot(their_app):
    with their_app.worker("-c", "1", "--max-tasks-per-child", "1", "-l", "INFO"):
        their_app.measured()
        their_app.send(*["process"] * 5)
        until(lambda: len(their_app.executions()) == 5, "five executions", seconds=60)
        assert their_app.observations("aforo_worker_slot_idle_seconds") == 4
        assert {record["slot"] for record in their_app.executions()} == {0}


@pytest.mark.parametrize(
    "their_environment", [pair for pair in PAIRS if pair not in BLOCKING], ids=lambda pair: pair.name, indirect=True
)
def test_a_hardened_worker_deletes_its_messages_and_runs_a_delayed_task_once(tmp_path, their_environment, sqs_queue):
    queue = sqs_queue(visibility_timeout_seconds=SHORT_SECONDS)
    app = App(tmp_path, their_environment, queue)
    with app.worker("-c", "2", "-l", "INFO", HARDEN="1"):
        app.measured()
        app.send(*["process"] * 5, f"process.s().set(countdown={COUNTDOWN_SECONDS})")
        until(lambda: len(app.executions()) == 6, f"six executions; {app.log[-2000:]}", seconds=60)
        until(lambda: not any(queue.counts().values()), "all messages are deleted, none is dead-lettered")
        time.sleep(SHORT_SECONDS)  # the absence of a second delivery needs an observation time
        assert [record["outcome"] for record in app.executions()] == ["succeeded"] * 6
        assert app.value("aforo_worker_info", transport="aforo-sqs") == 1
    assert "Traceback" not in app.log


@pytest.mark.parametrize("their_environment", BLOCKING, ids=lambda pair: pair.name, indirect=True)
def test_a_kombu_whose_receive_calls_block_the_worker_is_not_hardened(their_app):
    with their_app.worker("-c", "1", HARDEN="1") as process:
        assert process.wait(timeout=60) != 0
    assert "kombu (5.5.4); its receive calls block the worker; use celery 5.3, 5.4, 5.6 or 5.7" in their_app.log


def unmeasured_lines(log):
    return [line.partition(UNMEASURED)[2] for line in log.splitlines() if UNMEASURED in line]


@pytest.fixture
def newest(tmp_path, wheel, sqs_queue):
    """The app with the newest Celery on the Python of this checkout."""
    pair = next(pair for pair in PAIRS if (pair.celery, pair.python) == ("5.7.0", "3.11"))
    return App(tmp_path, environment(pair, wheel), sqs_queue(visibility_timeout_seconds=30))


def test_a_pool_of_spawned_processes_runs_unmeasured_with_one_line(newest):
    with newest.worker("-c", "1", "-l", "INFO", START_METHOD="spawn"):
        newest.send("process")
        until(lambda: "succeeded in" in newest.log, f"the task; {newest.log}", seconds=60)
    expected = "children of the pool are spawned, not forked (worker_pool_start_method)"
    assert unmeasured_lines(newest.log) == [expected]
    assert "Traceback" not in newest.log


@pytest.mark.parametrize("pool", ["gevent", "eventlet"])
def test_a_pool_of_green_threads_runs_unmeasured_with_one_line(newest, pool):
    subprocess.run([newest.bin / "python", "-m", "pip", "install", "-q", pool], check=True)
    with newest.worker("-P", pool, "-c", "2", "-l", "INFO"):
        newest.send("process")
        until(lambda: "succeeded in" in newest.log, f"the task; {newest.log}", seconds=60)
    assert unmeasured_lines(newest.log) == [f"the pool celery.concurrency.{pool} is none of prefork, threads and solo"]
    assert "Traceback" not in newest.log


@pytest.mark.parametrize("strict", ["0", "1"])
def test_an_unknown_celery_runs_unmeasured_with_one_line_or_not_at_all(tmp_path, wheel, sqs_queue, strict):
    if UNKNOWN.interpreter is None:
        pytest.skip(f"not run: there is no Python {UNKNOWN.python} on this machine")
    app = App(tmp_path, environment(UNKNOWN, wheel), sqs_queue(visibility_timeout_seconds=30))
    app.environment["BROKER"] = "filesystem://"
    (tmp_path / "messages").mkdir()
    why = f"Celery {UNKNOWN.celery} is not one of the known versions, from 5.3 up to, but not including, 6.0"
    with app.worker("-c", "1", "-l", "INFO", AFORO_STRICT=strict) as process:
        if strict == "1":
            assert process.wait(timeout=60) == 1
            assert f"error: aforo; {why}; set AFORO_STRICT=0 to run unmeasured" in app.log
        else:
            app.send("process")
            until(lambda: "succeeded in" in app.log, f"the task; {app.log}", seconds=60)
            assert unmeasured_lines(app.log) == [why]
    assert "Traceback" not in app.log
