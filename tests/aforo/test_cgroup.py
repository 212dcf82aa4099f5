"""Memory limits of a cgroup; the CPU quota is tested with its metrics (telemetry/test_node.py)."""

import pytest

from aforo.cgroup import Cgroup

GIB = 1 << 30


def cgroup(tmp_path, own):
    (tmp_path / "own").write_text(own)
    return Cgroup(tmp_path / "v2", tmp_path / "cpu", tmp_path / "memory", tmp_path / "own")


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{text}\n")


def test_the_memory_limit_of_the_unified_hierarchy_is_the_tightest_above_the_process(tmp_path):
    write(tmp_path / "v2/app/memory.max", 2 * GIB)
    write(tmp_path / "v2/app/worker/memory.max", "max")
    assert cgroup(tmp_path, "0::/app/worker\n").memory_limit_bytes() == 2 * GIB


def test_the_memory_limit_of_the_old_hierarchy(tmp_path):
    write(tmp_path / "memory/memory.limit_in_bytes", 9223372036854771712)
    write(tmp_path / "memory/docker/4711/memory.limit_in_bytes", 3 * GIB)
    assert cgroup(tmp_path, "4:memory:/docker/4711\n").memory_limit_bytes() == 3 * GIB


@pytest.mark.parametrize("limit", ["max", None])
def test_without_a_limit_it_is_none(tmp_path, limit):
    if limit:
        write(tmp_path / "v2/memory.max", limit)
    write(tmp_path / "memory/memory.limit_in_bytes", 9223372036854771712)
    assert cgroup(tmp_path, "0::/\n4:memory:/\n").memory_limit_bytes() is None


def test_a_process_that_was_moved_has_the_limit_of_its_new_cgroup(tmp_path):
    write(tmp_path / "memory/memory.limit_in_bytes", 9223372036854771712)
    write(tmp_path / "memory/narrow/memory.limit_in_bytes", 3 * GIB)
    moved = cgroup(tmp_path, "4:memory:/\n")
    assert moved.memory_limit_bytes() is None
    write(tmp_path / "own", "4:memory:/narrow")
    assert moved.memory_limit_bytes() == 3 * GIB
