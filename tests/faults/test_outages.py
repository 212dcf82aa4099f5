"""F16, F20: SQS outages during work: finished messages are deleted, running tasks do not start again."""

from __future__ import annotations

import signal
import time

import pytest

from testing.fault_proxy import Fault
from testing.messages import send_task
from testing.polling import until

pytestmark = pytest.mark.faults
DELETE = "DeleteMessage"


def test_a_failed_delete_is_retried_while_every_slot_is_busy_and_nothing_is_polled(sqs_queue, proxy, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=8)
    with tiny_worker(queue, proxy.url) as worker:
        proxy.inject(Fault("status", 503, "ServiceUnavailable"), DELETE)
        send_task(queue, "a")
        until(lambda: "could not delete a finished message" in worker.log_text(), "the delete failed")
        send_task(queue, "long", seconds=6)
        until(lambda: "long" in worker.names("start"), "the slot works")
        healed = proxy.heal()
        until(lambda: sum(queue.counts().values()) == 1, "only the message in work is left", seconds=5)
        assert proxy.count("ReceiveMessage", healed) == 0
        assert "long" not in worker.names("end")
        until(lambda: not any(queue.counts().values()), "both are deleted", seconds=20)
        assert worker.names("start").count("a") == 1
        assert worker.lines("pending")[-1] == ["0"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_stopping_worker_retries_its_pending_deletes_once_more(number, sqs_queue, proxy, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=60)
    with tiny_worker(queue, proxy.url) as worker:
        proxy.inject(Fault("status", 503, "ServiceUnavailable"), DELETE)
        started = time.monotonic()
        send_task(queue, "a")
        until(lambda: proxy.count(DELETE, started) >= 6, "the pause between two tries is some seconds")
        proxy.heal()
        worker.stop(number)
        assert queue.counts() == {"visible": 0, "in_flight": 0, "dead": 0}


def test_a_video_in_work_during_a_long_sqs_outage_is_processed_once(rig, clips, proxy):
    with rig(endpoint_url=proxy.url, slow=True) as it:
        it.start(concurrency=2).await_ready()
        (video,) = it.send(it.store(clips(25)))
        it.await_running()
        proxy.inject(Fault("reset"))
        again = lambda: it.queue.client.receive_message(QueueUrl=it.queue.url, VisibilityTimeout=1).get("Messages")  # noqa: E731
        until(again, "the message is delivered again, which makes the worker's receipt void")
        proxy.heal()
        it.await_states(done=1, seconds=60)
        assert it.outcomes(video).count("done") == 1
        assert set(it.outcomes(video)) == {"done", "duplicate"}
        assert it.video(video).execution_number == 1
        it.check()
