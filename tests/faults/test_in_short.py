"""The fast fault test, which has no marker: one worker, and the most common faults at the same time."""

from __future__ import annotations

import base64

import pytest

from testing.fault_proxy import Fault
from testing.messages import MALFORMED, send_body
from testing.polling import until


@pytest.mark.timeout(180)
def test_a_kill_a_failing_sqs_a_malformed_and_a_repeated_message_lose_and_duplicate_nothing(rig, clips, proxy):
    with rig(endpoint_url=proxy.url, slow=True) as it:
        worker = it.start(concurrency=2).await_ready()
        proxy.inject(Fault("status", 500), "ReceiveMessage")
        send_body(it.queue, MALFORMED["garbage eta"][0])
        stored = it.store(clips(2))
        first, *_ = it.send(stored, count=3)
        repeat(it.queue)
        until(lambda: "receive calls for queue" in worker.log_text(), "a poll failed")
        proxy.heal()
        it.await_running()
        it.ffmpegs()[0].kill()
        until(lambda: "retried" in it.outcomes(), "the execution was given up")
        until(lambda: it.ffmpegs() and worker.children(), "another runs")
        worker.children()[0].kill()
        it.await_states(done=3, seconds=60)
        until(
            lambda: [message["reason"] for message in it.queue.receive_dead_lettered()] == ["bad_headers"],
            "it is dead-lettered",
        )
        it.check()
        assert it.outcomes(first).count("done") == 1
        assert worker.is_alive()


def repeat(queue) -> None:
    """Send a second copy of one waiting task."""
    messages = queue.client.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10, VisibilityTimeout=0)["Messages"]
    send_body(queue, next(m["Body"] for m in messages if b"aforo.process_video" in base64.b64decode(m["Body"])))
