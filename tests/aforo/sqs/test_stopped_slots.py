"""A slot whose process is stopped is replaced; one that works long, or is stopped briefly, is not."""

import os
import signal
import subprocess
from types import SimpleNamespace

import psutil
import pytest

from aforo.sqs import stopped_slots
from aforo.sqs.stopped_slots import CHECK_SECONDS, STOPPED_SECONDS, StoppedSlots
from testing.polling import until


@pytest.fixture
def clock():
    return SimpleNamespace(now=0.0)


@pytest.fixture
def slots(clock):
    return StoppedSlots(lambda: clock.now)


def checks(slots, clock, seconds, stopped):
    """Check for this time. Return the processes of the last check."""
    ready = slots.check(stopped)
    for _ in range(round(seconds / CHECK_SECONDS)):
        clock.now += CHECK_SECONDS
        ready = slots.check(stopped)
    return ready


def test_a_process_is_replaced_after_the_whole_time_and_not_before(slots, clock):
    assert checks(slots, clock, STOPPED_SECONDS - CHECK_SECONDS, ["a"]) == []
    assert len(slots) == 1
    assert checks(slots, clock, CHECK_SECONDS, ["a"]) == ["a"]


def test_a_process_that_was_continued_begins_again(slots, clock):
    checks(slots, clock, STOPPED_SECONDS - CHECK_SECONDS, ["a"])
    assert checks(slots, clock, CHECK_SECONDS, []) == []
    assert len(slots) == 0
    assert checks(slots, clock, STOPPED_SECONDS - CHECK_SECONDS, ["a"]) == []


def test_the_time_in_which_the_worker_was_stopped_itself_does_not_count(slots, clock):
    checks(slots, clock, CHECK_SECONDS, ["a"])
    clock.now += 10 * STOPPED_SECONDS
    assert slots.check(["a"]) == []
    assert checks(slots, clock, STOPPED_SECONDS, ["a"]) == ["a"]


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_the_kernel_says_which_process_is_stopped_and_a_sleeping_one_is_not(sleeper):
    pool = SimpleNamespace(info={"processes": [sleeper.pid, 2**22 + 1]})
    consumer = SimpleNamespace(pool=pool)
    assert list(stopped_slots._stopped(consumer)) == []
    os.kill(sleeper.pid, signal.SIGSTOP)
    until(lambda: list(stopped_slots._stopped(consumer)) == [psutil.Process(sleeper.pid)], "it is stopped")
    stopped_slots._replace(psutil.Process(sleeper.pid))
    assert sleeper.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("pool", [None, SimpleNamespace(info={})])
def test_a_worker_without_processes_has_none(pool):
    assert list(stopped_slots._stopped(SimpleNamespace(pool=pool))) == []
