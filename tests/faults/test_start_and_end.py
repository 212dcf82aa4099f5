"""F7, F38, F39, F40: a worker that starts too early, in a wrong environment, or receives SIGTERM."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

from core.errors import EnvironmentFault
from testing.fault_proxy import FaultProxy
from testing.polling import until
from testing.ports import free_port
from testing.postgresql import binaries, running_server
from testing.sqlite_lock import locked
from testing.tcp_proxy import TcpProxy
from worker.__main__ import wait_for

pytestmark = pytest.mark.faults
VISIBLE_WITHIN_SECONDS = 6.0  # the long poll of 1 s, and 5 s


def test_a_terminated_worker_finishes_its_tasks_in_time_and_interrupts_the_run(rig, clips):
    with rig(slow=True) as it:
        worker = it.start().await_ready()
        first, *_ = it.send(it.store(clips(3)), count=3)
        it.await_running()
        worker.send(signal.SIGTERM)
        assert worker.await_end() == 0
        assert it.outcomes(first) == ["done"]
        assert it.run().status == "interrupted"
        until(lambda: it.queue.counts()["visible"] == 2, "the others are visible", VISIBLE_WITHIN_SECONDS)
        it.start().await_ready()
        it.await_states(done=3)
        assert it.run().status == "interrupted"
        it.check()


def test_only_the_last_worker_that_stops_interrupts_the_run(rig, clips, tmp_path):
    with rig(slow=True, AFORO_WORKER_SHUTDOWN_SECONDS="1") as it:
        first = it.start().await_ready()
        second = it.start(AFORO_WORKER_WORK_PATH=str(tmp_path / "second")).await_ready()
        it.send(it.store(clips(3)), count=4)
        it.await_running()
        first.send(signal.SIGTERM)
        first.await_end()
        assert it.run().status == "running"
        second.send(signal.SIGTERM)
        second.await_end()
        assert it.run().status == "interrupted"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_unfinished_task_is_returned_immediately_and_free_for_other_nodes(number, rig, clips):
    with rig(slow=True, AFORO_WORKER_SHUTDOWN_SECONDS="1") as it:
        worker = it.start().await_ready()
        (video,) = it.send(it.store(clips(30)))
        it.await_running()
        worker.send(number)
        started = time.monotonic()
        worker.await_end()
        assert it.queue.counts()["visible"] == 1
        assert time.monotonic() - started < 1 + VISIBLE_WITHIN_SECONDS
        assert it.video(video).lease_until == 0
        assert it.run().status == "interrupted"
        assert not it.ffmpegs()


@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGQUIT), (signal.SIGQUIT,)],
    ids=["SIGINT twice", "SIGTERM, then SIGQUIT", "SIGQUIT"],
)
def test_a_second_signal_returns_the_message_of_a_running_task_immediately(numbers, rig, clips):
    with rig(slow=True, AFORO_WORKER_SHUTDOWN_SECONDS="60") as it:
        worker = it.start().await_ready()
        (video,) = it.send(it.store(clips(30)))
        it.await_running()
        for number in numbers[:-1]:
            worker.send(number)
            until(lambda: "Warm shutdown" in worker.log_text(), "it lets the task end")
        assert it.queue.counts()["visible"] == 0
        worker.send(numbers[-1])
        worker.await_end(VISIBLE_WITHIN_SECONDS)
        assert it.queue.counts()["visible"] == 1
        assert it.video(video).lease_until == 0
        assert it.run().status == "interrupted"
        assert not it.ffmpegs()


def test_control_with_more_time_it_is_not_returned(rig, clips):
    with rig(slow=True, AFORO_WORKER_SHUTDOWN_SECONDS="60") as it:
        worker = it.start().await_ready()
        it.send(it.store(clips(20)))
        it.await_running()
        worker.send(signal.SIGTERM)
        with pytest.raises(Exception, match="timed out after"):
            worker.await_end(1 + VISIBLE_WITHIN_SECONDS)
        assert it.queue.counts()["visible"] == 0


def test_an_idle_worker_ends_and_no_finished_run_is_touched(rig, clips):
    with rig() as it:
        worker = it.start().await_ready()
        it.send(it.store(clips(1)))
        it.await_states(done=1)
        worker.send(signal.SIGTERM)
        assert worker.await_end() == 0
        assert it.run().status == "running"  # `capacity wait` closes it


def test_a_taken_metrics_port_is_named_with_its_holder_and_nothing_is_started(rig):
    with socket.socket() as listener, rig() as it:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        worker = it.start(AFORO_WORKER_METRICS_PORT=str(port))
        assert worker.await_end() == 3
        assert worker.log_text().startswith(f"error: port ({port}); the worker needs it and it is taken by pid ")
        assert worker.log_text().endswith("; change AFORO_WORKER_METRICS_PORT\n")
        assert not it.work_path.exists()


def test_control_without_the_port_check_a_worker_runs_unmeasured(rig, clips):
    with socket.socket() as listener, rig() as it:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        worker = it.start(altered="no_port_check", AFORO_WORKER_METRICS_PORT=port).await_ready()
        it.send(it.store(clips(1)))
        it.await_states(done=1)
        assert "Address already in use" in worker.log_text()


def test_a_second_worker_does_not_clear_the_work_folder_of_the_first(rig, clips):
    with rig(slow=True) as it:
        it.start().await_ready()
        it.send(it.store(clips(3)))
        it.await_running()
        second = it.start()
        assert second.await_end() == 3
        assert "another worker uses it" in second.log_text()
        it.await_states(done=1)
        assert it.outcomes() == ["done"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 1", "it does not run"),
        ("exec sleep 60", "it does not run"),
        ("echo ffmpeg version 4.4.2 Copyright", "it is older than 5.1"),
    ],
    ids=["broken", "hanging", "old"],
)
def test_an_unsuitable_ffmpeg_is_named_with_its_package(script, message, rig, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ffmpeg").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "bin/ffmpeg").chmod(0o755)
    with rig() as it:
        worker = it.start(PATH=f"{tmp_path}/bin:/usr/bin:/bin")
        assert worker.await_end() == 3
        assert message in worker.log_text()
        assert "ffmpeg" in worker.log_text().splitlines()[-1].rpartition(";")[2]


@pytest.mark.parametrize("missing", ["ffmpeg", "ffprobe"])
def test_a_missing_program_is_named_with_its_package(missing, rig, tmp_path):
    (tmp_path / "bin").mkdir()
    for program in {"ffmpeg", "ffprobe"} - {missing}:
        (tmp_path / "bin" / program).symlink_to(str(shutil.which(program)))
    with rig() as it:
        worker = it.start(PATH=f"{tmp_path}/bin")
        assert worker.await_end() == 3
        assert worker.log_text().startswith(f"error: {missing}; it does not run: [Errno 2]")
        assert worker.log_text().endswith("install the package ffmpeg\n")


def test_an_ffmpeg_that_may_not_be_executed_is_named(rig, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ffmpeg").write_text("#!/bin/sh\nexit 0\n")
    with rig() as it:
        worker = it.start(PATH=f"{tmp_path}/bin")
        assert worker.await_end() == 3
        assert worker.log_text().startswith("error: ffmpeg; it does not run: [Errno 13] Permission denied")


def test_control_without_the_check_a_bad_ffmpeg_fails_a_good_video(rig, clips, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ffmpeg").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin/ffmpeg").chmod(0o755)
    with rig() as it:
        it.start(altered="no_ffmpeg_check", PATH=f"{tmp_path}/bin:{os.environ['PATH']}").await_ready()
        it.send(it.store(clips(1)))
        it.await_states(failed_corrupt=1)


def test_a_worker_that_starts_first_waits_for_the_queue_and_logs_it(rig, clips, emulator):
    with rig() as it:
        port = free_port()
        early = it.start(AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}")
        until(lambda: "waiting up to 60 s for the queue" in early.log_text(), "it waits, and logs for what", seconds=30)
        with FaultProxy(emulator, port=port):
            early.await_ready()
            it.send(it.store(clips(1)))
            it.await_states(done=1)


def test_a_worker_waits_for_a_queue_that_is_created_later(rig, clips):
    with rig() as it:
        attributes = it.queue.client.get_queue_attributes(QueueUrl=it.queue.url, AttributeNames=["All"])["Attributes"]
        names = ("VisibilityTimeout", "RedrivePolicy", "ReceiveMessageWaitTimeSeconds")
        copied = {name: attributes[name] for name in names}
        it.queue.client.delete_queue(QueueUrl=it.queue.url)
        early = it.start()
        until(lambda: "it does not exist" in early.log_text(), "it waits, and logs for what")
        it.queue.client.create_queue(QueueName=it.queue.name, Attributes=copied)
        early.await_ready()
        it.send(it.store(clips(1)))
        it.await_states(done=1)


def test_a_worker_that_starts_first_waits_for_a_database_that_is_locked(rig, clips):
    with rig() as it:
        with locked(it.folder / "aforo.db"):
            early = it.start()
            until(lambda: "waiting up to 60 s for the database" in early.log_text(), "it waits, and logs for what")
        early.await_ready()
        it.send(it.store(clips(1)))
        it.await_states(done=1)


@pytest.fixture
def postgresql():
    """Yield the URL of a server whose folder is outside pytest's folder.

    Other users cannot read pytest's folder, and the server runs as another user.
    """
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with TemporaryDirectory() as folder, running_server(Path(folder)) as url:
        yield url


def test_a_worker_that_starts_first_waits_for_a_database_server(rig, clips, postgresql):
    url = postgresql
    with rig(AFORO_DATABASE_URL=url) as it, TcpProxy("127.0.0.1", urlsplit(url).port) as way:
        way.cut()
        early = it.start(AFORO_DATABASE_URL=url.replace(str(urlsplit(url).port), str(way.port)))
        until(lambda: "waiting up to 60 s for the database" in early.log_text(), "it waits, and logs for what")
        way.restore()
        early.await_ready()
        it.send(it.store(clips(1)))
        it.await_states(done=1)


@pytest.mark.parametrize("late", ["queue", "database"])
def test_control_without_the_wait_the_worker_ends_and_the_video_stays(late, rig, clips):
    with rig() as it:
        it.send(it.store(clips(1)))
        away = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"} if late == "queue" else {}
        with locked(it.folder / "aforo.db") if late == "database" else nullcontext():
            assert it.start(altered="no_wait", **away).await_end() == 3
        assert it.queue.counts()["visible"] == 1


def test_the_wait_at_the_start_is_limited():
    def away():
        raise EnvironmentFault("SQS", "it is away", "start it")

    started = time.monotonic()
    with pytest.raises(EnvironmentFault, match="it is away"):
        wait_for("queue", away, seconds=1.5)
    assert time.monotonic() - started >= 1.5


def test_leftovers_of_a_killed_worker_are_deleted_at_the_start(rig, clips):
    with rig(slow=True) as it:
        first = it.start().await_ready()
        it.send(it.store(clips(3)))
        it.await_running()
        part = it.settings.storage.path / "processed/run/.x.1.mp4.abc.part"
        part.parent.mkdir(parents=True)
        part.write_bytes(b"half")
        os.utime(part, (1, 1))
        first.send(signal.SIGKILL)
        first.await_end()
        assert it.leftovers()
        leftover = it.work_path / "no-slot-of-ours"
        leftover.write_bytes(b"half")
        it.start().await_ready()
        assert not leftover.exists()
        assert not part.exists()
        it.await_states(done=1)
        it.check()
