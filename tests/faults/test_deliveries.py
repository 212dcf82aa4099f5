"""F16, F17, F18, F20, F24: one final state for a video delivered twice or during a database outage."""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
import time

import pytest

from testing.fault_proxy import Fault
from testing.messages import b64, envelope, send_body
from testing.polling import until
from testing.queues import take
from testing.sqlite_lock import locked

pytestmark = pytest.mark.faults


def test_a_lost_delete_causes_a_duplicate_that_is_counted_and_not_processed(rig, clips, proxy):
    with rig(endpoint_url=proxy.url, AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS="4") as it:
        first = it.start().await_ready()
        proxy.inject(Fault("reset"), "DeleteMessage")
        (video,) = it.send(it.store(clips(1)))
        it.await_states(done=1)
        first.send(signal.SIGKILL)  # this worker would delete the message instead of recording a duplicate
        it.start(AFORO_WORKER_WORK_PATH=str(it.folder / "second")).await_ready()
        until(lambda: it.outcomes(video) == ["done", "duplicate"], "the duplicate was recorded", seconds=30)
        proxy.heal()
        it.check()
        assert it.video(video).execution_number == 1


def test_a_send_whose_answer_is_lost_is_retried_and_the_video_is_processed_once(rig, clips, proxy):
    with rig() as it:
        stored = it.store(clips(1))
        proxy.inject(Fault("drop"), "SendMessageBatch")
        threading.Timer(1.5, proxy.heal).start()
        (video,) = it.send(stored, endpoint_url=proxy.url)
        assert it.queue.counts()["visible"] >= 2
        it.start().await_ready()
        it.await_states(done=1)
        it.await_empty()
        assert it.outcomes(video).count("done") == 1
        assert set(it.outcomes(video)) == {"done", "duplicate"}


def test_one_message_on_two_workers_is_processed_once(rig, clips):
    with rig(slow=True) as it:
        (video,) = it.send(it.store(clips(4)))
        body = take(it.queue)  # before a worker can receive it
        it.start().await_ready()
        it.start(AFORO_WORKER_WORK_PATH=str(it.folder / "work-2")).await_ready()
        send_body(it.queue, body)
        send_body(it.queue, body)
        it.await_states(done=1)
        it.await_empty(seconds=40)
        assert it.outcomes(video).count("done") == 1
        assert set(it.outcomes(video)) == {"done", "duplicate"}
        assert it.video(video).execution_number == 1
        it.check()


def test_a_stale_worker_overwrites_nothing(rig, clips):
    with rig(slow=True) as it:
        it.start().await_ready()
        (video,) = it.send(it.store(clips(3)))
        slot = it.task_process(it.await_running())
        suspended = [slot.parent(), slot, *it.ffmpegs()]
        for process in suspended:
            process.suspend()
        it.start(AFORO_WORKER_WORK_PATH=str(it.folder / "work-2")).await_ready()
        it.await_states(done=1)
        for process in suspended:
            process.resume()
        until(lambda: it.outcomes(video)[0] == "superseded", "the stale worker has noticed that it was superseded")
        assert [o for o in it.outcomes(video) if o != "duplicate"] == ["superseded", "done"]  # its lease may end last
        it.check()
        assert str(it.video(video).output_key).endswith(".2.mp4")


def test_a_video_whose_visibility_cannot_be_extended_is_delivered_again_and_processed_once(rig, clips, proxy):
    with rig(endpoint_url=proxy.url, slow=True) as it:
        worker = it.start(concurrency=2).await_ready()
        proxy.inject(Fault("status", 500), "ChangeMessageVisibility")
        (video,) = it.send(it.store(clips(7)))
        it.await_states(done=1)
        it.await_empty()
        assert worker.count("aforo_worker_visibility_extensions_total", result="failed") >= 1
        assert it.outcomes(video)[0] == "done"
        assert set(it.outcomes(video)[1:]) == {"duplicate"}
        assert it.video(video).execution_number == 1
        it.check()  # no second output is left


def test_control_without_compare_and_set_it_is_processed_twice(rig, clips, proxy):
    with rig(endpoint_url=proxy.url, slow=True) as it:
        it.start(concurrency=2, altered="no_compare_and_set").await_ready()
        proxy.inject(Fault("status", 500), "ChangeMessageVisibility")
        (video,) = it.send(it.store(clips(7)))
        until(lambda: it.outcomes(video).count("done") >= 2, "it was processed twice")


def test_control_without_claims_both_copies_are_processed(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, emulator, concurrency=2) as worker:
        body = b64(json.dumps(envelope("twice", 1.0)))
        send_body(queue, body)
        send_body(queue, body)
        until(lambda: worker.names("end").count("twice") == 2, "it ran twice")


def test_a_locked_database_delays_videos_and_changes_nothing(rig, clips):
    with rig(slow=True) as it:
        worker = it.start().await_ready()
        videos = it.send(it.store(clips(2)), count=2)
        it.await_running()
        with locked(it.folder / "aforo.db"):
            time.sleep(10)  # the fault itself: two and a half visibility timeouts and leases
        it.await_states(done=2)
        it.await_empty(seconds=40)
        assert [it.outcomes(video).count("done") for video in videos] == [1, 1]
        assert worker.is_alive()
        it.check()


def test_after_a_long_database_lock_the_message_returns_and_the_video_is_done(rig, clips):
    with rig(slow=True) as it:
        worker = it.start(altered="brief_lock_wait").await_ready()
        (video,) = it.send(it.store(clips(2)))
        it.await_running()
        with locked(it.folder / "aforo.db"):
            until(lambda: "delivery returns to the queue" in worker.log_text(), "the result could not be written")
        assert "database is locked" in worker.log_text()
        it.await_states(done=1)
        assert it.outcomes(video)[0] == "lost"
        assert it.outcomes(video)[-1] == "done"
        assert it.executions(video)[-1].receive_count > 1
        it.check()
        assert worker.is_alive()


def test_control_without_the_reject_a_video_of_a_locked_database_never_ends(rig, clips):
    with rig(slow=True) as it:
        it.start(altered="brief_lock_wait,no_reject").await_ready()
        it.send(it.store(clips(2)))
        it.await_running()
        with locked(it.folder / "aforo.db"):
            until(lambda: it.waiting() == 0, "its message was deleted")
        assert it.states() == {"processing": 1}


def test_an_unexpected_error_returns_the_message(rig, clips):
    with rig() as it:
        (video,) = it.send(it.store(clips(1)))
        with sqlite3.connect(it.folder / "aforo.db") as database:
            database.execute("ALTER TABLE videos RENAME TO hidden")
        worker = it.start().await_ready()
        until(lambda: "delivery returns to the queue" in worker.log_text(), "a failed delivery is logged")
        with sqlite3.connect(it.folder / "aforo.db") as database:
            database.execute("ALTER TABLE hidden RENAME TO videos")
        it.await_states(done=1)
        assert it.executions(video)[-1].receive_count > 1
        it.check()
