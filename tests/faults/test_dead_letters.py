"""F22, F23: messages that we or SQS dead-letter, and the states of their videos."""

from __future__ import annotations

import base64
import json

import pytest

from testing.messages import MALFORMED, send_body
from testing.polling import until
from testing.queues import take

pytestmark = pytest.mark.faults


def spoil(body: str, **headers: object) -> str:
    """Return a task's message with `headers` replaced."""
    envelope = json.loads(base64.b64decode(body))
    envelope["headers"] |= headers
    return base64.b64encode(json.dumps(envelope).encode()).decode()


def test_our_worker_dead_letters_an_unreadable_message_and_fails_its_video(rig, clips):
    with rig() as it:
        it.send(it.store(clips(1)))
        send_body(it.queue, spoil(take(it.queue), eta="tomorrow"))
        foreign = ["pickle", "unknown task", "zip bomb", "body of the wrong shape"]
        for name in foreign:
            send_body(it.queue, MALFORMED[name][0])
        worker = it.start().await_ready()
        it.await_states(failed_dead_lettered=1)
        until(lambda: it.queue.counts()["dead"] == 5, "all five are in the dead-letter queue")
        reasons = sorted(message["reason"] for message in it.queue.receive_dead_lettered())
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
        assert [message["reason"] for message in it.queue.receive_dead_lettered()] == ["unknown_version"]


def test_a_message_that_sqs_dead_letters_fails_its_video(rig, clips):
    with rig(max_receive_count=5) as it:
        it.send(it.store(clips(1)))
        for _ in range(5):
            until(
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


def allow_receives(queue, count: int) -> None:
    """Set the number of receives after which the queue dead-letters a message."""
    attributes = queue.client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["RedrivePolicy"])["Attributes"]
    policy = json.loads(attributes["RedrivePolicy"]) | {"maxReceiveCount": str(count)}
    queue.client.set_queue_attributes(QueueUrl=queue.url, Attributes={"RedrivePolicy": json.dumps(policy)})


#: a change to a good queue, and the error of the worker; SQS itself rejects a policy without a queue
BROKEN_CONTRACTS = {
    "no queue there": (lambda q: q.client.delete_queue(QueueUrl=q.dead_letter_url), "{name}-dlq does not exist"),
    "few receives": (lambda q: allow_receives(q, 4), "its maxReceiveCount is 4"),
}


@pytest.mark.parametrize("broken", BROKEN_CONTRACTS)
def test_a_worker_refuses_a_queue_that_breaks_its_contract(broken, rig):
    breach, message = BROKEN_CONTRACTS[broken]
    with rig() as it:
        breach(it.queue)
        assert_refused(it, message.format(name=it.queue.name))


def test_a_worker_refuses_a_queue_without_a_redrive_policy(rig):
    with rig(max_receive_count=None) as it:
        assert_refused(it, "it has no redrive policy")


def test_a_worker_refuses_a_queue_with_a_shorter_visibility_timeout(rig):
    with rig() as it:
        assert_refused(it, "a task could run twice", AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS="30")


def test_control_without_the_queue_check_an_unreadable_message_is_received_again_and_again(rig):
    with rig(max_receive_count=None, AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS="3") as it:
        worker = it.start(altered="no_queue_contract").await_ready()
        send_body(it.queue, MALFORMED["not json"][0])
        refused = lambda: worker.count("aforo_worker_invalid_messages_total", reason="bad_json")  # noqa: E731
        until(lambda: refused() >= 3, "it was refused three times", every=0.2)
        assert it.waiting() == 1


def test_control_without_the_queue_check_a_running_video_is_delivered_again(rig, clips):
    with rig(slow=True) as it:
        long = {"AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS": "30"}
        it.start(concurrency=2, altered="no_queue_contract", **long).await_ready()
        (video,) = it.send(it.store(clips(7)))
        it.await_states(done=1)
        assert "duplicate" in it.outcomes(video)


def assert_refused(it, message: str, **variables: str) -> None:
    """Assert that a worker exits with 3 and prints the error in one line."""
    worker = it.start(**variables)
    assert worker.await_end() == 3
    assert message in worker.log_text().splitlines()[-1]
    assert worker.log_text().splitlines()[-1].startswith(f"error: SQS queue ({it.queue.name}); ")
