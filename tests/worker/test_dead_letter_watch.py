"""The watch on dead letters: it finds the new letter among any number of old ones, and holds up nobody."""

from __future__ import annotations

import base64
import json
import os
import threading
from dataclasses import dataclass, field

import pytest
from botocore.exceptions import ClientError

from worker.dead_letter_watch import DeadLetterWatch

ARN = "arn:aws:sqs:us-east-1:1:dead"


def letter(number, video="v"):
    """Return a letter of task `number` about `video`."""
    body = base64.b64encode(json.dumps([[], {"video_id": f"{video}{number}"}, {}]).encode()).decode()
    envelope = {"headers": {"id": f"t{number}"}, "body": body}
    return {"MessageId": f"m{number}", "ReceiptHandle": f"h{number}", "Body": json.dumps(envelope)}


@dataclass
class Queues:
    """A queue whose dead letters are `letters`; what was received is hidden until it is shown again."""

    letters: list = field(default_factory=list)
    hidden: set = field(default_factory=set)
    held_by_others: int = 0
    receives: int = 0
    is_away: bool = False

    def get_queue_attributes(self, QueueUrl, AttributeNames):  # noqa: N803 (boto3's names)
        if self.is_away:
            raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, "GetQueueAttributes")
        count = len(self.letters) + self.held_by_others if QueueUrl == "dead" else 0
        facts = {"ApproximateNumberOfMessages": str(count), "ApproximateNumberOfMessagesNotVisible": "0"}
        policy = json.dumps({"deadLetterTargetArn": ARN, "maxReceiveCount": "8"})
        return {"Attributes": facts | {"VisibilityTimeout": "60", "RedrivePolicy": policy}}

    def get_queue_url(self, **_options):
        return {"QueueUrl": "dead"}

    def receive_message(self, MaxNumberOfMessages, **_options):  # noqa: N803
        self.receives += 1
        found = [one for one in self.letters if one["ReceiptHandle"] not in self.hidden][:MaxNumberOfMessages]
        self.hidden.update(one["ReceiptHandle"] for one in found)
        return {"Messages": found} if found else {}

    def change_message_visibility_batch(self, Entries, **_options):  # noqa: N803
        self.hidden.difference_update(entry["ReceiptHandle"] for entry in Entries)

    class meta:  # noqa: N801 (boto3's name)
        endpoint_url = "http://sqs.example"


@dataclass
class FakeLedger:
    """Buries every video but those that a live execution has."""

    live: set = field(default_factory=set)
    buried: list = field(default_factory=list)

    def bury(self, video_id, _task_id):
        if video_id in self.live:
            return None
        self.buried.append(video_id)
        return (f"processed/r/{video_id}.1.mp4",)


@pytest.fixture
def watch():
    removed = []
    made = DeadLetterWatch(Queues(), "q", FakeLedger(), removed.extend)
    made.removed = removed
    return made


def test_a_new_letter_is_found_behind_any_number_that_nobody_cleared(watch):
    watch.client.letters = [letter(number) for number in range(450)]
    watch.look()
    assert len(watch.ledger.buried) == 450
    watch.client.letters.append(letter(450))
    watch.look()
    assert watch.ledger.buried[450:] == ["v450"]


def test_letters_are_read_once_and_left_for_people(watch):
    watch.client.letters = [letter(number) for number in range(25)]
    watch.look()
    receives = watch.client.receives
    watch.look()
    assert watch.client.receives == receives
    assert watch.client.hidden == set()


def test_outputs_of_a_buried_video_are_discarded(watch):
    watch.client.letters = [letter(1)]
    watch.look()
    assert watch.removed == ["processed/r/v1.1.mp4"]


def test_a_letter_whose_video_a_live_execution_has_is_read_until_that_has_ended(watch):
    watch.client.letters, watch.ledger.live = [letter(1), letter(2)], {"v1"}
    watch.look()
    watch.look()
    assert watch.ledger.buried == ["v2"]
    watch.ledger.live.clear()
    watch.look()
    assert watch.ledger.buried == ["v2", "v1"]


def test_a_letter_that_somebody_else_reads_is_waited_for_but_not_for_ever(watch):
    watch.client.letters, watch.client.held_by_others = [letter(1)], 1
    watch.look()
    watch.look()
    receives = watch.client.receives
    watch.look()
    assert watch.client.receives == receives


def test_a_letter_that_names_no_video_is_settled(watch):
    watch.client.letters = [letter(1) | {"Body": "no envelope"}]
    watch.look()
    receives = watch.client.receives
    watch.look()
    assert watch.client.receives == receives


def test_an_sqs_that_is_away_is_asked_again(watch):
    watch.client.letters, watch.client.is_away = [letter(1)], True
    watch.look()
    watch.client.is_away = False
    watch.look()
    assert watch.ledger.buried == ["v1"]


def test_no_process_is_forked_while_the_watch_has_the_database_open(watch):
    watch.client.letters = [letter(1)]
    opened, may_close, closed = threading.Event(), threading.Event(), threading.Event()

    def bury(_video_id, _task_id):
        opened.set()
        may_close.wait(10)
        watch.client.get_queue_attributes = lambda **_options: threading.Event().wait()  # it looks no more
        closed.set()
        return ()

    watch.ledger.bury = bury
    watch.start(0.0)
    assert opened.wait(10)
    threading.Timer(0.3, may_close.set).start()
    child = os.fork()
    if child == 0:
        os._exit(0 if closed.is_set() and watch._database.acquire(blocking=False) else 1)
    assert os.waitpid(child, 0)[1] == 0
