"""Outages during work, of SQS, of one queue, and of the database.

F16, F20: finished messages are deleted, and running tasks do not start again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from core.lost_videos import LOST_VIDEOS
from testing.emulator import ROOT
from testing.fault_proxy import Fault
from testing.messages import send_task
from testing.polling import until
from testing.postgresql import binaries, running_server

pytestmark = pytest.mark.faults
DELETE = "DeleteMessage"
#: of the PostgreSQL server; our worker of two slots needs fewer
CONNECTIONS = 20
#: the injector, with a silence of the visibility timeout (4 s) instead of 120 s
INJECTOR = """
from core import cli, lost_videos
lost_videos.SHORTEST_SILENCE_SECONDS, lost_videos.LOOK_SECONDS = 0.0, 0.5
from injector.__main__ import main
cli.run(main, "python -m injector")
"""


def test_a_failed_delete_is_retried_while_every_slot_is_busy_and_nothing_is_polled(sqs_queue, proxy, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=8)
    with tiny_worker(queue, proxy.url) as worker:
        proxy.inject(Fault("status", 503, "ServiceUnavailable"), DELETE)
        send_task(queue, "a")
        until(lambda: "could not delete a finished message" in worker.log_text(), "the delete failed")
        send_task(queue, "long", seconds=6)
        until(lambda: "long" in worker.names("start"), "the slot works")
        healed = proxy.heal()
        until(lambda: sum(queue.counts().values()) == 1, "only the message in work is left", seconds=5)
        assert proxy.count("ReceiveMessage", healed) == 0
        assert "long" not in worker.names("end")
        until(lambda: not any(queue.counts().values()), "both are deleted", seconds=20)
        assert worker.names("start").count("a") == 1
        assert worker.lines("pending")[-1] == ["0"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_stopping_worker_retries_its_pending_deletes_once_more(number, sqs_queue, proxy, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=60)
    with tiny_worker(queue, proxy.url) as worker:
        proxy.inject(Fault("status", 503, "ServiceUnavailable"), DELETE)
        started = time.monotonic()
        send_task(queue, "a")
        until(lambda: proxy.count(DELETE, started) >= 6, "the pause between two tries is some seconds")
        proxy.heal()
        worker.stop(number)
        assert queue.counts() == {"visible": 0, "in_flight": 0, "dead": 0}


def test_a_video_in_work_during_a_long_sqs_outage_is_processed_once(rig, clips, proxy):
    with rig(endpoint_url=proxy.url, slow=True) as it:
        it.start(concurrency=2).await_ready()
        (video,) = it.send(it.store(clips(25)))
        it.await_running()
        proxy.inject(Fault("reset"))
        again = lambda: it.queue.client.receive_message(QueueUrl=it.queue.url, VisibilityTimeout=1).get("Messages")  # noqa: E731
        until(again, "the message is delivered again, which makes the worker's receipt void")
        proxy.heal()
        it.await_states(done=1, seconds=60)
        assert it.outcomes(video).count("done") == 1
        assert set(it.outcomes(video)) == {"done", "duplicate"}
        assert it.video(video).execution_number == 1
        it.check()


@contextmanager
def every_connection_taken(url: str) -> Iterator[None]:
    """End the sessions of the PostgreSQL server at `url`, and hold all its connections."""
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    with ExitStack() as stack:
        held = [stack.enter_context(psycopg.connect(url, autocommit=True))]
        while len(held) < CONNECTIONS:
            held[0].execute(f"{others} AND pid <> ALL(%s)", [[each.info.backend_pid for each in held]])
            try:
                held.append(stack.enter_context(psycopg.connect(url)))
            except psycopg.OperationalError:
                time.sleep(0.01)
        yield


def test_while_postgresql_has_no_free_connection_the_worker_logs_one_line_per_minute(rig, clips):
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    limits = f"-c max_connections={CONNECTIONS} -c superuser_reserved_connections=0"
    with (
        TemporaryDirectory() as folder,  # outside pytest's folder, which the server's user cannot read
        running_server(Path(folder), limits) as url,
        rig(AFORO_DATABASE_URL=url, slow=True, max_receive_count=100) as it,
    ):
        worker = it.start(concurrency=2).await_ready()
        it.send(it.store(clips(6)), count=4)
        until(lambda: len(it.ffmpegs()) == 2, "two videos are in work")
        before = len(worker.log_text())
        with every_connection_taken(url):
            time.sleep(12)  # nine ticks of the visibility heartbeat, the ends of two executions, and new deliveries
        lines = worker.log_text()[before:].splitlines()
        problems = [line for line in lines if any(word in line for word in ("WARNING", "ERROR", "Traceback"))]
        assert 1 <= len(problems) <= 4  # of leases and of deliveries, each by two slots that fail at the same moment
        assert all("the database fails" in line for line in problems)
        it.await_states(done=4)
        it.check()


@pytest.mark.parametrize("loss", ["the queue is deleted", "the queue is purged after a dead letter"])
def test_a_run_whose_queue_loses_its_messages_fails_with_the_number_of_lost_videos(loss, rig, clips):
    with rig(slow=True) as it:
        worker = it.start().await_ready()
        environment = os.environ | it.variables | {
            "AFORO_WORKER_METRICS_PORT": str(worker.metrics_port),
            "AFORO_RESULTS_PATH": str(it.folder / "results"),
            "AFORO_LANG": "en",
        }  # fmt: skip
        options = ["--count", "6", "--file", str(clips(6)), "--run-id", "run", "--monitor"]
        injector = subprocess.Popen(
            [sys.executable, "-c", INJECTOR, *options], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
        )
        try:
            until(lambda: it.videos() and len(it.videos()) == 6, "all videos are sent", seconds=60)
            it.await_running()
            until(lambda: it.run().heartbeat_at > it.run().started_at + 2, "the injector follows the run")
            if "deleted" in loss:
                it.queue.client.delete_queue(QueueUrl=it.queue.url)
            else:
                it.queue.client.send_message(QueueUrl=it.queue.dead_letter_url, MessageBody="of somebody else")
                time.sleep(3)  # the injector sees the dead letter before the loss
                it.queue.client.purge_queue(QueueUrl=it.queue.url)
            _, stderr = injector.communicate(timeout=60)
        finally:
            injector.kill()
        lost = 6 - it.states()["done"]
        assert 1 <= lost <= 5
        assert f"error: run (run); {lost} of 6 videos were lost by the queue; see whether" in stderr.splitlines()[-1]
        assert injector.returncode == 1
        assert (it.run().status, it.run().environment[LOST_VIDEOS]) == ("failed", lost)
