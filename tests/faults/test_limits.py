"""F5, F6, F8: ffmpeg runs out of memory, out of time, or out of disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from testing.messages import send_task
from testing.polling import until

pytestmark = pytest.mark.faults
SMALL_DISK_BYTES = 300_000
#: room on the disk beyond the source: a part of any output
ROOM_BYTES = 32 << 10
#: more than ffmpeg needs for a small picture, less than it needs for an 8K one
GROUP_BYTES = 100 << 20
#: real ffmpeg that joins a memory group first
GROUPED_FFMPEG = '#!/bin/sh\ncase "$*" in *-progress*) echo $$ > {group}/cgroup.procs;; esac\nexec {real} "$@"\n'


@pytest.fixture
def disk(tmp_path):
    """Return a function that mounts a file system of a given size, or with room for a number of files."""
    folder = tmp_path / "small"

    def mount(size_bytes: int, most_files: int = 0) -> Path:
        folder.mkdir()
        size = f"size={size_bytes},nr_inodes={most_files}"
        if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=False).returncode:
            pytest.skip("this user may not mount")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def memory_group(limit_bytes: int):
    """Create a control group with this memory limit. Skip the test if that is not allowed."""
    group = Path(f"{_own_memory_group()}/aforo-test-{os.getpid()}")
    try:
        group.mkdir()
        limits = [group / name for name in ("memory.max", "memory.limit_in_bytes") if (group / name).exists()]
        for file in limits:
            file.write_text(str(limit_bytes))
    except OSError as error:
        pytest.skip(f"this user may not limit memory by control group: {error}")
    if not limits:
        pytest.skip("the memory controller is not given to control groups here")
    try:
        yield group
    finally:
        group.rmdir()


def _own_memory_group() -> str:
    """Return the folder of our memory cgroup, of cgroup v1 if v1 has the memory controller, else of v2."""
    groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for _, controllers, path in groups:
        if "memory" in controllers.split(","):
            return f"/sys/fs/cgroup/memory{path}"
    return next((f"/sys/fs/cgroup{path}" for number, _, path in groups if number == "0"), "/sys/fs/cgroup")


def test_an_ffmpeg_without_memory_fails_its_video_and_not_the_concurrent_one(rig, clips):
    tight = {"AFORO_WORKER_FFMPEG_MEMORY_MIB": "1024", "AFORO_WORKER_THREADS": "8", "AFORO_WORKER_MAX_EXECUTIONS": "1"}
    with rig(slow=True, **tight) as it:
        worker = it.start(concurrency=2).await_ready()
        (concurrent,) = it.send(it.store(clips(12)), run_id="concurrent")
        it.await_running()
        it.send(it.store(clips(0.5, "7680x4320"), "uploads/huge.mp4"), run_id="huge")
        it.await_states(processing=1, failed_oom=1, seconds=60)
        it.await_states(done=1, failed_oom=1)
        assert it.outcomes(concurrent) == ["done"]
        it.check()
        assert worker.is_alive()


def test_an_ffmpeg_that_the_kernel_kills_for_its_memory_fails_its_video_as_oom(rig, clips, tmp_path):
    with memory_group(GROUP_BYTES) as group:
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin/ffmpeg"
        program.write_text(GROUPED_FFMPEG.format(group=group, real=shutil.which("ffmpeg")))
        program.chmod(0o755)
        with rig(PATH=f"{program.parent}:{os.environ['PATH']}", AFORO_WORKER_MAX_EXECUTIONS="1") as it:
            worker = it.start().await_ready()
            it.send(it.store(clips(0.5, "7680x4320"), "uploads/huge.mp4"), run_id="huge")
            it.await_states(failed_oom=1, seconds=60)
            assert "signalled -9" in worker.log_text()
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
    with rig(slow=True, AFORO_WORKER_DEADLINE_SECONDS="5", AFORO_WORKER_MAX_EXECUTIONS="2") as it:
        it.start().await_ready()
        (video,) = it.send(it.store(clips(20)))
        it.await_states(failed_timeout=1, seconds=60)
        assert it.outcomes(video) == ["retried", "failed"]
        it.check()


def test_control_with_more_time_it_is_done(rig, clips):
    with rig(slow=True, AFORO_WORKER_DEADLINE_SECONDS="30") as it:
        it.start().await_ready()
        started = time.monotonic()
        it.send(it.store(clips(8)))
        it.await_states(done=1)
        assert time.monotonic() - started > 5


def test_our_task_that_hangs_is_interrupted_retried_and_then_a_timeout(rig, clips):
    limits = {"AFORO_WORKER_DEADLINE_SECONDS": "6", "AFORO_WORKER_MAX_EXECUTIONS": "2"}
    with rig(slow=True, **limits) as it:
        worker = it.start(altered="hang_before_deadline").await_ready()
        (video,) = it.send(it.store(clips(20)))
        it.await_states(failed_timeout=1, seconds=60)
        assert it.outcomes(video) == ["retried", "failed"]
        assert worker.log_text().count("Soft time limit (4s) exceeded") == 2
        assert "Hard time limit" not in worker.log_text()
        it.check()


def test_our_task_over_its_hard_limit_is_killed_delivered_again_and_then_fails(rig, clips):
    limits = {"AFORO_WORKER_DEADLINE_SECONDS": "6", "AFORO_WORKER_MAX_EXECUTIONS": "2"}
    with rig(slow=True, **limits) as it:
        worker = it.start(altered="hard_limit_before_deadline").await_ready()
        (video,) = it.send(it.store(clips(20)))
        it.await_states(failed_worker_lost=1, seconds=60)
        assert [(a.outcome, a.reason) for a in it.executions(video) if a.execution_number] == [
            ("lost", "worker_lost")
        ] * 2
        assert worker.log_text().count("Hard time limit (4s) exceeded") == 2
        it.check()
        it.send(it.store(clips(1)), run_id="next")
        it.await_states(failed_worker_lost=1, done=1)


def test_a_task_over_its_hard_limit_is_killed_delivered_again_and_frees_its_slot(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, emulator, TINY_TIME_LIMIT="3") as worker:
        send_task(queue, "hangs", seconds=60)
        until(lambda: worker.names("start").count("hangs") == 2, "it was started again")
        send_task(queue, "next")
        until(lambda: "next" in worker.names("end"), "the slot is free")
        assert worker.is_alive()


def test_control_with_stock_settings_a_task_over_its_hard_limit_is_lost(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, emulator, TINY_TIME_LIMIT="3", TINY_ACKS_ON_TIMEOUT="1") as worker:
        send_task(queue, "hangs", seconds=60)
        until(lambda: "hangs" in worker.names("start"), "it started")
        until(lambda: not any(queue.counts().values()), "its message was deleted")
        assert worker.names("start").count("hangs") == 1


def test_a_disk_too_small_for_the_source_fails_the_large_video_and_the_next_small_one_works(rig, clips, disk):
    with rig(AFORO_WORKER_WORK_PATH=str(disk(SMALL_DISK_BYTES)), AFORO_WORKER_MAX_EXECUTIONS="2") as it:
        it.start().await_ready()
        large = clips(12, "640x360")
        assert large.stat().st_size > SMALL_DISK_BYTES
        (video,) = it.send(it.store(large, "uploads/large.mp4"), run_id="large")
        it.await_states(failed_disk_full=1)
        assert it.outcomes(video) == ["retried", "failed"]
        assert [a.transcode_seconds for a in it.executions(video)] == [None, None]
        until(lambda: not it.leftovers(), "the temporary files are deleted")
        it.send(it.store(clips(1)))
        it.await_states(failed_disk_full=1, done=1)
        it.check()


def test_a_disk_too_small_for_the_output_fails_the_video_in_ffmpeg_and_leaves_nothing(rig, clips, disk):
    large = clips(12, "640x360")
    work = disk(large.stat().st_size + ROOM_BYTES)
    with rig(AFORO_WORKER_WORK_PATH=str(work), AFORO_WORKER_MAX_EXECUTIONS="1") as it:
        worker = it.start().await_ready()
        (video,) = it.send(it.store(large, "uploads/large.mp4"), run_id="large")
        it.await_states(failed_disk_full=1)
        (execution,) = it.executions(video)
        assert execution.fetch_seconds > 0
        assert execution.transcode_seconds > 0
        assert execution.publish_seconds is None
        until(lambda: not it.leftovers(), "the temporary files are deleted")
        it.send(it.store(clips(1)))
        it.await_states(failed_disk_full=1, done=1)
        it.check()
        assert worker.is_alive()


@pytest.mark.parametrize("is_child_new", [False, True])
def test_a_disk_without_inodes_fails_the_video_and_works_again_when_it_has_some(is_child_new, rig, clips, disk):
    work = disk(100_000_000, most_files=20)
    with rig(AFORO_WORKER_WORK_PATH=str(work), AFORO_WORKER_MAX_EXECUTIONS="1") as it:
        worker = it.start().await_ready()
        if not is_child_new:  # the folder of the task process is there already
            it.send(it.store(clips(1)), run_id="first")
            it.await_states(done=1)
        for number in range(20):
            with suppress(OSError):
                (work / f"filler-{number}").touch()
        (video,) = it.send(it.store(clips(1)), run_id="none")
        it.await_states(failed_disk_full=1, **({} if is_child_new else {"done": 1}))
        assert it.outcomes(video) == ["failed"]
        for filler in work.glob("filler-*"):
            filler.unlink()
        it.send(it.store(clips(1)), run_id="next")
        it.await_states(failed_disk_full=1, done=1 if is_child_new else 2)
        it.check()
        assert worker.is_alive()


def test_control_on_a_large_disk_the_same_video_is_done(rig, clips):
    with rig() as it:
        it.start().await_ready()
        it.send(it.store(clips(12, "640x360")))
        it.await_states(done=1)
