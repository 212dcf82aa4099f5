"""Moves of invalid messages to the dead-letter queue: in batches, in the background, never lost."""

from __future__ import annotations

import json
import threading

import pytest
from botocore.exceptions import EndpointConnectionError

from aforo.sqs import dead_letter_queue
from aforo.sqs.dead_letter_queue import DeadLetterQueue
from aforo.sqs.message import ReceivedMessage
from aforo.sqs.observer import InvalidReason, SilentObserver
from testing.polling import until

POLICY = {
    "Attributes": {"RedrivePolicy": json.dumps({"deadLetterTargetArn": "arn:aws:sqs:r:1:dlq", "maxReceiveCount": 5})}
}


class Sqs:
    """A client whose sends wait for a gate; `failed` are the entries that it rejects."""

    def __init__(self, policy=POLICY, failed=(), error=None):
        self.policy, self.failed, self.error = policy, failed, error
        self.batches, self.gate = [], threading.Event()

    def get_queue_attributes(self, **_options):
        return self.policy

    def get_queue_url(self, **_options):
        return {"QueueUrl": "dlq"}

    def send_message_batch(self, QueueUrl, Entries):  # noqa: N803 (boto3's names)
        self.batches.append([entry["MessageBody"] for entry in Entries])
        self.gate.wait()
        if self.error:
            raise self.error
        return {"Failed": [{"Id": entry["Id"], "Code": "X"} for entry in Entries if entry["Id"] in self.failed]}


class Counts(SilentObserver):
    def __init__(self):
        self.handled = []

    def handled_error(self, operation):
        self.handled.append(str(operation))


@pytest.fixture
def moves():
    """Return a factory: a dead-letter queue on a client, the deleted receipt handles, the handled errors."""

    def make(sqs):
        deleted, counts = [], Counts()
        letters = DeadLetterQueue(lambda _queue: sqs, lambda message: deleted.append(message.receipt_handle), counts)
        return letters, deleted, counts.handled

    return make


def move(letters, *bodies):
    for body in bodies:
        letters.move(ReceivedMessage("q", "q", body), body, InvalidReason.BAD_JSON)


def test_messages_that_wait_are_moved_in_batches_of_ten_without_blocking_the_caller(moves):
    sqs = Sqs()
    letters, deleted, _ = moves(sqs)
    move(letters, "first")
    until(lambda: sqs.batches == [["first"]], "the first one is sent")
    rest = [f"{number}" for number in range(20)]
    move(letters, *rest)
    sqs.gate.set()
    letters.close()
    assert sqs.batches == [["first"], rest[:10], rest[10:]]
    assert deleted == ["first", *rest]


def test_large_bodies_go_in_calls_of_their_own(moves, monkeypatch):
    monkeypatch.setattr(dead_letter_queue, "LARGEST_BATCH_BYTES", 4)
    assert [[m.body for m in batch] for batch in dead_letter_queue._split(list(map(_move, ["aaa", "b", "cc"])))] == [
        ["aaa", "b"],
        ["cc"],
    ]


def _move(body):
    return dead_letter_queue._Move(ReceivedMessage("q", "q", body), body, InvalidReason.BAD_JSON)


@pytest.mark.parametrize(
    ("sqs", "deleted", "handled"),
    [
        (Sqs(failed={"0"}), [], ["dead_letter"]),
        (Sqs(error=EndpointConnectionError(endpoint_url="x")), [], ["dead_letter"]),
        (Sqs(error=ValueError("no client")), [], ["dead_letter"]),
        (Sqs(policy={}), [], []),
        (Sqs(), ["a"], []),
    ],
    ids=["rejected", "away", "broken", "no dead-letter queue", "good"],
)
def test_a_message_that_is_not_moved_stays_in_its_queue(sqs, deleted, handled, moves):
    sqs.gate.set()
    letters, *outcome = moves(sqs)
    move(letters, "a")
    letters.close()
    assert outcome == [deleted, handled]


def test_more_messages_than_may_wait_stay_in_their_queue(moves, monkeypatch):
    monkeypatch.setattr(dead_letter_queue, "MOST_WAITING", 2)
    sqs = Sqs()
    letters, deleted, handled = moves(sqs)
    move(letters, "first")
    until(lambda: sqs.batches, "it is sent")
    move(letters, "a", "b", "c")
    sqs.gate.set()
    letters.close()
    assert (deleted, handled) == (["first", "a", "b"], ["dead_letter"])
