"""Thread budget of one ffmpeg, from fake kernel files, and its memory figure, from a real ffmpeg."""

import os
import subprocess
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from aforo.cgroup import Cgroup
from core.ffmpeg import sandbox
from core.ffmpeg.probe import probe
from core.ffmpeg.profiles import PROFILES
from core.ffmpeg.sandbox import Limits
from core.settings import Worker
from core.video import Reason, VideoFailed
from testing import clips
from worker.media import thread_budget as module
from worker.media.thread_budget import MIB, HostLimits, thread_budget
from worker.media.transcode import Transcoder, transcode

GIB = 1024 * MIB


@pytest.fixture
def container(tmp_path, monkeypatch):
    """Return a function that gives the limits of a container on a machine of 64 cores and 128 GiB."""
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _pid: set(range(64)), raising=False)
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: type("Memory", (), {"total": 128 * GIB}))

    def limits(quota="max 100000", memory="max"):
        (tmp_path / "cpu.max").write_text(f"{quota}\n")
        (tmp_path / "memory.max").write_text(f"{memory}\n")
        (tmp_path / "own").write_text("0::/\n")
        none = tmp_path / "none"
        return HostLimits.this(Cgroup(tmp_path, none, none, tmp_path / "own"))

    return limits


def test_a_slot_gets_its_share_of_the_quota_and_not_of_the_machine(container):
    assert thread_budget(Worker(concurrency=2), container("200000 100000")) == 1
    assert thread_budget(Worker(concurrency=2), container("800000 100000")) == 4
    assert thread_budget(Worker(concurrency=1), container("150000 100000")) == 2  # one thread would leave half a core


def test_without_a_quota_it_is_the_share_of_the_cores(container):
    assert thread_budget(Worker(concurrency=8), container()) == 8
    assert thread_budget(Worker(concurrency=100), container()) == 1


def test_the_setting_wins(container):
    assert thread_budget(Worker(threads=3, concurrency=2), container("100000 100000")) == 3


def test_the_defaults_on_64_cores_stay_within_the_address_space_of_one_ffmpeg(container):
    worker = Worker()
    threads = thread_budget(worker, container())
    assert threads == 26
    assert (
        module.ADDRESS_SPACE_BYTES + threads * module.ADDRESS_SPACE_PER_THREAD_BYTES <= worker.ffmpeg_memory_mib * MIB
    )


def test_the_memory_of_the_container_is_shared_by_its_slots(container):
    assert thread_budget(Worker(concurrency=2), container(memory=1 * GIB)) == (512 - 300) // 40
    assert thread_budget(Worker(concurrency=4), container(memory=1 * GIB)) == 1


def test_a_slot_uses_its_budget():
    assert Transcoder.from_settings(Worker(threads=5)).threads == 5


@pytest.fixture(scope="module")
def full_hd(tmp_path_factory):
    file = tmp_path_factory.mktemp("budget") / "1080p.mp4"
    source = ("-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=30:duration=3", "-f", "lavfi", "-i", "sine=duration=3")
    command = ("ffmpeg", "-hide_banner", "-loglevel", "error", "-y", *source, *clips.H264, *clips.AAC, str(file))
    subprocess.run(command, check=True)
    return file


@pytest.fixture
def as_on_64_cores(monkeypatch):
    """Let each thread of ffmpeg reserve address space of its own, as on a machine of 64 cores."""
    monkeypatch.setenv("MALLOC_ARENA_MAX", str(8 * 64))
    monkeypatch.setattr(sandbox, "KEPT_VARIABLES", (*sandbox.KEPT_VARIABLES, "MALLOC_ARENA_MAX"))


def run(source, target, threads, memory_mib):
    limits = Limits(300, 120, memory_mib * MIB)
    return transcode(source, target, PROFILES["full"], probe(source, limits), threads=threads, limits=limits)


def resident_bytes(source, target, threads, memory_mib):
    """Return ffmpeg's memory. Call this in a small process: Linux counts the memory of the starting one in it."""
    sandbox.KEPT_VARIABLES = (*sandbox.KEPT_VARIABLES, "MALLOC_ARENA_MAX")
    return run(source, target, threads, memory_mib).finished.max_rss_bytes


@pytest.mark.parametrize("memory_mib", [1024, 2048, 4096])
def test_ffmpeg_fits_into_its_address_space_with_the_budget(memory_mib, full_hd, tmp_path, container, as_on_64_cores):
    threads = thread_budget(Worker(ffmpeg_memory_mib=memory_mib), container())
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        resident = pool.submit(resident_bytes, full_hd, tmp_path / "out.mp4", threads, memory_mib).result()
    assert resident <= module.RESIDENT_BYTES + threads * module.RESIDENT_PER_THREAD_BYTES


def test_control_the_share_of_64_cores_does_not_fit(full_hd, tmp_path, as_on_64_cores):
    with pytest.raises(VideoFailed) as failure:
        run(full_hd, tmp_path / "out.mp4", 32, Worker().ffmpeg_memory_mib)
    assert failure.value.reason is Reason.OOM


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this kernel has no CPU affinity")
def test_the_cores_are_those_that_the_process_may_use():
    assert 1 <= HostLimits.this().cores <= len(os.sched_getaffinity(0))
