"""F1, F2, F3: a killed task process, worker or ffmpeg."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from testing.messages import send_task
from testing.polling import until

pytestmark = pytest.mark.faults


def test_a_killed_task_process_loses_nothing_and_leaves_nothing(rig, clips):
    # longer than the 10 s after which billiard reports a lost process, so the visibility timeout is not the cause
    with rig(slow=True, AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS="60") as it:
        it.start(concurrency=2).await_ready()
        (video,) = it.send(it.store(clips(4)))
        execution = it.await_running()
        child = it.task_process(execution)
        orphans = child.children(recursive=True)
        child.kill()
        psutil.wait_procs(orphans, timeout=5)
        assert not any(orphan.is_running() for orphan in orphans)
        it.await_states(done=1)
        assert it.outcomes(video) == ["lost", "done"]
        it.check()


def test_a_video_whose_process_dies_every_time_fails_and_the_worker_continues(rig, clips):
    with rig(slow=True, AFORO_WORKER_MAX_EXECUTIONS="2") as it:
        it.start().await_ready()
        (video,) = it.send(it.store(clips(4)))
        for executions in (1, 2):
            until(lambda n=executions: len(it.executions()) == n and it.ffmpegs(), "an execution runs", seconds=30)
            it.task_process(it.executions()[-1]).kill()
        it.await_states(failed_worker_lost=1)
        assert it.outcomes(video) == ["lost", "lost"]
        it.check()


def test_the_replacement_of_a_killed_task_process_is_the_same_slot_of_the_same_worker(rig, clips):
    with rig(slow=True) as it:
        worker = it.start().await_ready()
        (video,) = it.send(it.store(clips(2)))
        first = it.await_running()
        it.task_process(first).kill()
        it.await_states(done=1)
        lost, done = it.executions(video)
        assert (lost.slot, done.slot) == (0, 0)
        assert lost.worker == done.worker
        assert lost.worker.split("|")[1] == str(worker.process.pid)


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_stopped_task_process_is_reported_and_its_slot_works_again(is_busy, rig, clips):
    with rig(slow=is_busy, AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS="20") as it:
        worker = it.start(concurrency=2, altered="replaces_stopped_slots_soon").await_ready()
        if is_busy:
            it.send(it.store(clips(4), "uploads/long.mp4"), run_id="first")
            child = it.task_process(it.await_running())
        else:
            child = worker.children()[0]
        child.suspend()
        until(lambda: worker.count("aforo_worker_slots_stopped") == 1, "the stopped slot is reported")
        it.send(it.store(clips(1)), count=6)
        until(lambda: worker.count("aforo_worker_slots_replaced_total") == 1, "the slot is replaced")
        it.await_states(done=6 + is_busy, seconds=60)
        it.send(it.store(clips(1)), count=6, run_id="after")
        it.await_states(done=12 + is_busy, seconds=60)
        until(lambda: worker.count("aforo_worker_slots_stopped") == 0, "no slot is stopped")
        assert not child.is_running()
        assert f"the process {child.pid} of a slot was stopped (SIGSTOP)" in worker.log_text()
        assert {execution.slot for execution in it.executions() if execution.outcome == "done"} == {0, 1}
        it.check()


def test_control_without_the_watch_a_stopped_task_process_keeps_its_task_and_its_slot(rig, clips):
    with rig(AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS="60") as it:
        worker = it.start(concurrency=1, altered="no_replacement_of_stopped_slots").await_ready()
        (child,) = worker.children()
        child.suspend()
        it.send(it.store(clips(1)))
        time.sleep(8)  # the protected worker had replaced it after 3 s
        assert it.states() == {"uploaded": 1}
        assert child.is_running()
        child.resume()
        it.await_states(done=1)


def test_a_long_task_is_no_stopped_one(rig, clips):
    with rig(slow=True) as it:
        worker = it.start(altered="replaces_stopped_slots_soon").await_ready()
        it.send(it.store(clips(10)))
        it.await_states(done=1)
        assert worker.count("aforo_worker_slots_replaced_total") == 0
        assert it.outcomes() == ["done"]


@pytest.mark.parametrize(("pool", "slots"), [("prefork", 4), ("threads", 4), ("solo", 1)])
def test_the_slots_of_a_worker_are_numbered_from_0(pool, slots, rig, clips):
    with rig(slow=True) as it:
        it.start(concurrency=slots, pool=pool).await_ready()
        it.send(it.store(clips(2)), count=2 * slots)
        it.await_states(done=2 * slots)
        assert {execution.slot for execution in it.executions()} == set(range(slots))


def test_control_with_stock_settings_a_killed_task_process_loses_its_task(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=4)
    with tiny_worker(queue, emulator, TINY_STOCK="1", TINY_REJECT="0") as worker:
        send_task(queue, "lost", seconds=60)
        until(lambda: "lost" in worker.names("start"), "the task started")
        os.kill(psutil.Process(worker.process.pid).children()[0].pid, signal.SIGKILL)
        until(lambda: not any(queue.counts().values()), "its message was deleted")
        assert worker.names("start").count("lost") == 1


def test_the_processes_of_a_killed_worker_end_and_the_next_one_finishes_the_work(rig, clips):
    with rig(slow=True) as it:
        first = it.start(concurrency=2).await_ready()
        it.send(it.store(clips(3)), count=2)
        until(lambda: len(it.ffmpegs()) == 2, "both slots work", seconds=30)
        processes = [*first.children(), *it.ffmpegs()]
        first.send(signal.SIGKILL)
        psutil.wait_procs(processes, timeout=5)
        assert not any(process.is_running() for process in processes)
        it.start(concurrency=2).await_ready()
        it.await_states(done=2)
        assert sorted(map(str, it.outcomes())) == ["done", "done", "lost", "lost"]
        it.check()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_ffmpeg_is_retried(number, rig, clips):
    with rig(slow=True) as it:
        it.start().await_ready()
        (video,) = it.send(it.store(clips(3)))
        it.await_running()
        it.ffmpegs()[0].send_signal(number)
        it.await_states(done=1)
        assert [(a.outcome, a.reason) for a in it.executions(video)] == [("retried", "ffmpeg_signal"), ("done", None)]
        it.check()


def test_an_ffmpeg_killed_every_time_fails_its_video_with_the_reason(rig, clips):
    with rig(slow=True, AFORO_WORKER_MAX_EXECUTIONS="1") as it:
        worker = it.start().await_ready()
        it.send(it.store(clips(3)))
        it.await_running()
        it.ffmpegs()[0].kill()
        it.await_states(failed_ffmpeg_signal=1)
        it.check()
        assert worker.is_alive()
