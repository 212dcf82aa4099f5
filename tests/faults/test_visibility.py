"""F20 and F7: a task longer than its message's visibility timeout, and a worker that receives SIGTERM."""

from __future__ import annotations

import signal
import time

import pytest

from testing.messages import send_task
from testing.polling import until

pytestmark = pytest.mark.faults
SHORT_SECONDS = 4
VISIBLE_WITHIN_SECONDS = 7  # the long poll of 2 s, and 5 s
RECEIVE = "ReceiveMessage"


def test_a_task_longer_than_the_timeout_runs_once(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=SHORT_SECONDS)
    keep = {"TINY_VISIBILITY_SECONDS": str(SHORT_SECONDS)}
    with tiny_worker(queue, emulator, concurrency=2, **keep) as worker:
        send_task(queue, "long", seconds=14)
        until(lambda: "long" in worker.names("end"), "the task ended", seconds=25)
        until(lambda: not any(queue.counts().values()), "the message was deleted")
        assert worker.names("start").count("long") == 1
        assert worker.lines("extended").count(["long", "ok"]) >= 7


def test_control_without_the_heartbeat_it_runs_again(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=SHORT_SECONDS)
    with tiny_worker(queue, emulator, concurrency=2, TINY_STOCK="1") as worker:
        send_task(queue, "long", seconds=14)
        until(lambda: worker.names("start").count("long") == 2, "it started a second time", seconds=12)


def test_a_terminated_worker_returns_its_waiting_messages(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=60)
    with tiny_worker(queue, emulator) as worker:
        send_task(queue, "held", seconds=60)
        until(lambda: "held" in worker.names("start"), "the task started")
        started = time.monotonic()
        assert worker.stop(signal.SIGQUIT) is not None
        until(lambda: queue.counts()["visible"] == 1, "the message is visible", seconds=VISIBLE_WITHIN_SECONDS)
        assert time.monotonic() - started <= VISIBLE_WITHIN_SECONDS


def test_a_terminated_worker_finishes_its_running_task(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=60)
    with tiny_worker(queue, emulator) as worker:
        send_task(queue, "running", seconds=3)
        until(lambda: "running" in worker.names("start"), "the task started")
        assert worker.stop() == 0
        assert "running" in worker.names("end")
        assert queue.counts() == {"visible": 0, "in_flight": 0, "dead": 0}


def test_a_message_sent_while_a_worker_stops_is_not_lost(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=60)
    with tiny_worker(queue, emulator) as worker:
        worker.process.send_signal(signal.SIGTERM)
        send_task(queue, "late")
        worker.process.wait(timeout=30)
        ran = "late" in worker.names("end")
        visible = lambda: queue.counts()["visible"] == 1  # noqa: E731
        assert ran or until(visible, "the late message is visible", seconds=VISIBLE_WITHIN_SECONDS)


@pytest.mark.parametrize("stock", ["0", "1"], ids=["ours", "control: kombu's"])
def test_a_message_sent_after_a_worker_has_ended_is_available_to_other_workers(stock, sqs_queue, proxy, tiny_worker):
    """kombu's worker leaves a receive call open in SQS, which delivers the next message to it."""
    queue = sqs_queue(visibility_timeout_seconds=60)
    with tiny_worker(queue, proxy.url, TINY_STOCK=stock, TINY_WAIT_SECONDS="6") as worker:
        polls = proxy.count(RECEIVE)
        until(lambda: proxy.count(RECEIVE) > polls, "a poll has just started")
        worker.stop()
        send_task(queue, "late")
        time.sleep(1)  # time for an open poll to receive it
        is_lost = stock == "1"
        assert queue.counts() == {"visible": int(not is_lost), "in_flight": int(is_lost), "dead": 0}


COUNTDOWN_SECONDS = 12


def starts_of(worker, name):
    """Return the epoch seconds at which a task started."""
    return [float(words[1]) for words in worker.lines("start") if words[0] == name]


def test_a_task_with_a_countdown_longer_than_the_timeout_runs_once_and_when_it_is_due(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=SHORT_SECONDS, max_receive_count=2)
    with tiny_worker(queue, emulator, concurrency=2) as worker:
        due_at = time.time() + COUNTDOWN_SECONDS
        send_task(queue, "later", countdown=COUNTDOWN_SECONDS)
        send_task(queue, "now")
        until(lambda: "now" in worker.names("end"), "the other slot works meanwhile")
        until(lambda: "later" in worker.names("end"), "the task ended")
        until(lambda: not any(queue.counts().values()), "the message was deleted")
        time.sleep(SHORT_SECONDS)  # the absence of a second delivery needs an observation time
        (started_at,) = starts_of(worker, "later")
        assert started_at >= due_at


def test_a_worker_that_ends_returns_the_messages_of_its_timer(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=SHORT_SECONDS)
    with tiny_worker(queue, emulator) as first:
        send_task(queue, "later", countdown=COUNTDOWN_SECONDS)
        until(lambda: "received" in first.log_text() and queue.counts()["in_flight"] == 1, "the worker holds it")
        first.stop()
        with tiny_worker(queue, emulator) as second:
            until(lambda: "later" in second.names("end"), "the other worker ran it", seconds=40)
            assert len(starts_of(second, "later")) == 1


def test_control_the_stock_transport_runs_a_task_with_a_countdown_several_times(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=SHORT_SECONDS)
    with tiny_worker(queue, emulator, TINY_STOCK="1") as worker:
        send_task(queue, "later", countdown=COUNTDOWN_SECONDS)
        until(lambda: len(starts_of(worker, "later")) >= 2, "it ran again", seconds=60)
