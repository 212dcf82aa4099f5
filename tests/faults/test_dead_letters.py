"""F22, F23: messages that are given up, by us or by SQS, and what becomes of their videos."""

from __future__ import annotations

import base64
import json

import pytest

from tests.conftest import poll_until
from tests.faults.senders import MALFORMED, send_body

pytestmark = pytest.mark.faults


def spoil(body: str, **headers: object) -> str:
    """Return a task's message with other headers."""
    envelope = json.loads(base64.b64decode(body))
    envelope["headers"] |= headers
    return base64.b64encode(json.dumps(envelope).encode()).decode()


def take(queue) -> str:
    """Take the one message out of a queue."""
    found = poll_until(
        lambda: queue.client.receive_message(QueueUrl=queue.url, VisibilityTimeout=30).get("Messages"), "a message"
    )
    queue.client.delete_message(QueueUrl=queue.url, ReceiptHandle=found[0]["ReceiptHandle"])
    return str(found[0]["Body"])


def test_our_worker_dead_letters_what_it_cannot_read_and_fails_the_video_it_names(rig, clips):
    with rig() as it:
        it.send(it.store(clips(1)))
        send_body(it.queue, spoil(take(it.queue), eta="tomorrow"))
        foreign = ["pickle", "unknown task", "zip bomb", "body of the wrong shape"]
        for name in foreign:
            send_body(it.queue, MALFORMED[name][0])
        worker = it.start().await_ready()
        it.await_states(failed_dead_lettered=1)
        poll_until(lambda: it.queue.counts()["dead"] == 5, "all five are in the dead-letter queue")
        reasons = sorted(letter["reason"] for letter in it.queue.dead_letters())
        assert reasons == sorted(["bad_headers", *(MALFORMED[name][1] for name in foreign)])
        it.check()
        assert worker.is_alive()


def test_a_payload_of_another_version_is_dead_lettered(rig, clips):
    with rig() as it:
        it.send(it.store(clips(1)))
        body = json.loads(base64.b64decode(take(it.queue)))
        payload = json.loads(base64.b64decode(body["body"]))
        payload[1]["version"] = 2
        body["body"] = base64.b64encode(json.dumps(payload).encode()).decode()
        send_body(it.queue, base64.b64encode(json.dumps(body).encode()).decode())
        it.start().await_ready()
        it.await_states(failed_dead_lettered=1)
        assert [letter["reason"] for letter in it.queue.dead_letters()] == ["unknown_version"]


def test_a_message_that_sqs_gives_up_fails_its_video(rig, clips):
    with rig(max_receive_count=5) as it:
        it.send(it.store(clips(1)))
        for _ in range(5):
            poll_until(
                lambda: it.queue.client.receive_message(QueueUrl=it.queue.url, VisibilityTimeout=0).get("Messages"),
                "it is received",
            )
        worker = it.start().await_ready()
        it.await_states(failed_dead_lettered=1)
        it.check()
        assert worker.is_alive()


def test_control_a_message_received_less_often_is_processed(rig, clips):
    with rig(max_receive_count=5) as it:
        it.send(it.store(clips(1)))
        it.queue.client.receive_message(QueueUrl=it.queue.url, VisibilityTimeout=0)
        it.start().await_ready()
        it.await_states(done=1)


@pytest.mark.parametrize("missing", ["policy", "queue"])
def test_a_worker_refuses_a_queue_without_dead_letters(missing, rig):
    with rig(max_receive_count=None if missing == "policy" else 8) as it:
        if missing == "queue":
            it.queue.client.delete_queue(QueueUrl=it.queue.dead_letter_url)
        worker = it.start()
        assert worker.await_end() == 3
        said = {"policy": "it has no redrive policy", "queue": f"{it.queue.name}-dlq does not exist"}[missing]
        assert said in worker.said().splitlines()[-1]
        assert worker.said().splitlines()[-1].startswith(f"error: SQS queue ({it.queue.name}); ")
