"""Process identity: the process that owns a claim is recognised without the clock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from aforo import process_identity
from aforo.process_identity import WorkerProcess, may_live, start_of
from testing.polling import until


def test_a_clock_change_invalidates_no_claim(monkeypatch):
    owner = WorkerProcess.this().owner
    created_at = psutil.Process().create_time()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _process: created_at + 3600.0)
    assert may_live(owner)


def test_a_reused_pid_is_another_process():
    this = WorkerProcess.this()
    assert not may_live(WorkerProcess(this.node, this.pid, "00000000:1").owner)
    assert not may_live(WorkerProcess(this.node, this.pid, f"{this.start}0").owner)


def test_a_process_of_another_node_counts_as_alive():
    assert may_live(WorkerProcess("elsewhere", 1, "x").owner)


def test_neither_a_dead_process_nor_a_zombie_has_a_start():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    owner = WorkerProcess(WorkerProcess.this().node, child.pid, str(start_of(child.pid))).owner
    assert may_live(owner)
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: not may_live(owner), "a zombie does not work")
    child.wait()
    assert start_of(child.pid) is None


@pytest.mark.parametrize("pid", [os.getpid(), 2**22 - 1], ids=["this process", "none"])
def test_without_proc_the_start_is_the_creation_time(pid, monkeypatch):
    monkeypatch.setattr(process_identity, "boot_id", lambda: None)
    expected = f"{psutil.Process().create_time():.2f}" if pid == os.getpid() else None
    assert start_of(pid) == expected
