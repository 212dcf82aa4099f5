"""F5, F6, F8: ffmpeg out of memory, out of time, out of disk."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.conftest import poll_until
from tests.faults.senders import send_task

pytestmark = pytest.mark.faults
SMALL_DISK_BYTES = 300_000


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "tmpfs", str(folder)], check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_an_ffmpeg_without_memory_fails_its_video_and_no_other(rig, clips):
    tight = {"AFORO_WORKER_FFMPEG_MEMORY_MIB": "1024", "AFORO_WORKER_THREADS": "8", "AFORO_WORKER_MAX_ATTEMPTS": "1"}
    with rig(**tight) as it:
        worker = it.start().await_ready()
        it.send(it.store(clips(0.5, "7680x4320"), "uploads/huge.mp4"), run_id="huge")
        it.await_states(failed_oom=1, seconds=60)
        it.send(it.store(clips(1)))
        it.await_states(failed_oom=1, done=1)
        it.check()
        assert worker.is_alive()


def test_control_with_more_memory_the_same_video_is_done(rig, clips):
    with rig(AFORO_WORKER_FFMPEG_MEMORY_MIB="8192", AFORO_WORKER_THREADS="8") as it:
        it.start().await_ready()
        it.send(it.store(clips(0.5, "7680x4320"), "uploads/huge.mp4"), run_id="huge")
        it.await_states(done=1, seconds=60)


def test_an_ffmpeg_out_of_time_fails_its_video_and_leaves_nothing(rig, clips):
    with rig(slow=True, AFORO_WORKER_DEADLINE_SECONDS="5", AFORO_WORKER_MAX_ATTEMPTS="2") as it:
        it.start().await_ready()
        (video,) = it.send(it.store(clips(20)))
        it.await_states(failed_timeout=1, seconds=60)
        assert it.outcomes(video) == ["retried", "failed"]
        it.check()


def test_control_with_more_time_it_is_done(rig, clips):
    with rig(slow=True, AFORO_WORKER_DEADLINE_SECONDS="30") as it:
        it.start().await_ready()
        begun = time.monotonic()
        it.send(it.store(clips(8)))
        it.await_states(done=1)
        assert time.monotonic() - begun > 5


def test_a_task_over_its_hard_limit_is_killed_comes_again_and_frees_its_slot(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, emulator, TINY_TIME_LIMIT="3") as worker:
        send_task(queue, "hangs", seconds=60)
        poll_until(lambda: worker.names("start").count("hangs") == 2, "it was started again")
        send_task(queue, "next")
        poll_until(lambda: "next" in worker.names("end"), "the slot is free")
        assert worker.is_alive()


def test_control_as_celery_has_it_a_task_over_its_hard_limit_is_lost(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, emulator, TINY_TIME_LIMIT="3", TINY_ACKS_ON_TIMEOUT="1") as worker:
        send_task(queue, "hangs", seconds=60)
        poll_until(lambda: "hangs" in worker.names("start"), "it started")
        poll_until(lambda: not any(queue.counts().values()), "its message is gone")
        assert worker.names("start").count("hangs") == 1


def test_a_full_disk_fails_the_large_video_and_the_next_small_one_works(rig, clips, small_disk):
    with rig(AFORO_WORKER_WORK_PATH=str(small_disk), AFORO_WORKER_MAX_ATTEMPTS="2") as it:
        it.start().await_ready()
        large = clips(12, "640x360")
        assert large.stat().st_size > SMALL_DISK_BYTES
        (video,) = it.send(it.store(large, "uploads/large.mp4"), run_id="large")
        it.await_states(failed_disk_full=1)
        assert it.outcomes(video) == ["retried", "failed"]
        poll_until(lambda: not it.leftovers(), "the temporary files are gone")
        it.send(it.store(clips(1)))
        it.await_states(failed_disk_full=1, done=1)
        it.check()


def test_control_on_a_large_disk_the_same_video_is_done(rig, clips):
    with rig() as it:
        it.start().await_ready()
        it.send(it.store(clips(12, "640x360")))
        it.await_states(done=1)
