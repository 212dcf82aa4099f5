"""Dead-letter watch: it finds new messages among many old ones, and blocks no reader and no fork."""

from __future__ import annotations

import base64
import json
import os
import threading
from dataclasses import dataclass, field

import pytest
from botocore.exceptions import ClientError
from sqlalchemy.exc import OperationalError

from aforo.telemetry import event_channel
from worker.dead_letter_watch import DeadLetterWatch
from worker.outage_log import OutageLog

ARN = "arn:aws:sqs:us-east-1:1:dead"


def message(number, video="v"):
    """Return a dead-lettered message of task `number` about `video`."""
    body = base64.b64encode(json.dumps([[], {"video_id": f"{video}{number}"}, {}]).encode()).decode()
    envelope = {"headers": {"id": f"t{number}"}, "body": body}
    return {"MessageId": f"m{number}", "ReceiptHandle": f"h{number}", "Body": json.dumps(envelope)}


@dataclass
class Queues:
    """Fake of a queue with dead-lettered `messages`.

    A received message is invisible until it is made visible.
    """

    messages: list = field(default_factory=list)
    hidden: set = field(default_factory=set)
    held_by_others: int = 0
    receives: int = 0
    is_away: bool = False
    errors: list = field(default_factory=list)

    def get_queue_attributes(self, QueueUrl, AttributeNames):  # noqa: N803 (boto3's names)
        if self.errors:
            raise self.errors.pop()
        if self.is_away:
            raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, "GetQueueAttributes")
        count = len(self.messages) + self.held_by_others if QueueUrl == "dead" else 0
        facts = {"ApproximateNumberOfMessages": str(count), "ApproximateNumberOfMessagesNotVisible": "0"}
        policy = json.dumps({"deadLetterTargetArn": ARN, "maxReceiveCount": "8"})
        return {"Attributes": facts | {"VisibilityTimeout": "60", "RedrivePolicy": policy}}

    def get_queue_url(self, **_options):
        return {"QueueUrl": "dead"}

    def receive_message(self, MaxNumberOfMessages, **_options):  # noqa: N803
        self.receives += 1
        visible = [one for one in self.messages if one["ReceiptHandle"] not in self.hidden][:MaxNumberOfMessages]
        self.hidden.update(one["ReceiptHandle"] for one in visible)
        return {"Messages": visible} if visible else {}

    def change_message_visibility_batch(self, Entries, **_options):  # noqa: N803
        self.hidden.difference_update(entry["ReceiptHandle"] for entry in Entries)

    class meta:  # noqa: N801 (boto3's name)
        endpoint_url = "http://sqs.example"


@dataclass
class FakeClaims:
    """Fail every video except those that a live execution holds or that the database cannot contain."""

    live: set = field(default_factory=set)
    unstorable: set = field(default_factory=set)
    failed: list = field(default_factory=list)
    errors: list = field(default_factory=list)

    def fail_dead_lettered(self, video_id, _task_id):
        if self.errors:
            raise self.errors.pop()
        if video_id in self.unstorable:
            raise UnicodeEncodeError("utf-8", video_id, 0, 1, "surrogates not allowed")
        if video_id in self.live:
            return None
        self.failed.append(video_id)
        return (f"processed/r/{video_id}.1.mp4",)


@pytest.fixture
def watch():
    removed = []
    watch = DeadLetterWatch(Queues(), "q", FakeClaims(), removed.extend, OutageLog())
    watch.removed = removed
    return watch


@pytest.fixture
def handled_errors(monkeypatch):
    handled = []
    monkeypatch.setattr(event_channel, "handled_error", lambda operation: handled.append(str(operation)))
    return handled


def test_a_new_message_is_read_behind_hundreds_of_old_ones(watch):
    watch.client.messages = [message(number) for number in range(450)]
    watch.check()
    assert len(watch.claims.failed) == 450
    watch.client.messages.append(message(450))
    watch.check()
    assert watch.claims.failed[450:] == ["v450"]


def test_messages_are_read_once_and_stay_visible(watch):
    watch.client.messages = [message(number) for number in range(25)]
    watch.check()
    receives = watch.client.receives
    watch.check()
    assert watch.client.receives == receives
    assert watch.client.hidden == set()


def test_the_outputs_of_a_failed_video_are_deleted(watch):
    watch.client.messages = [message(1)]
    watch.check()
    assert watch.removed == ["processed/r/v1.1.mp4"]


def test_a_message_whose_video_is_held_is_read_again_until_the_execution_ends(watch):
    watch.client.messages, watch.claims.live = [message(1), message(2)], {"v1"}
    watch.check()
    watch.check()
    assert watch.claims.failed == ["v2"]
    watch.claims.live.clear()
    watch.check()
    assert watch.claims.failed == ["v2", "v1"]


def test_messages_that_another_reader_holds_are_looked_at_again(watch):
    watch.client.held_by_others = 1
    watch.check()
    watch.check()
    watch.client.messages, watch.client.held_by_others = [message(1)], 0
    watch.check()
    assert watch.claims.failed == ["v1"]


def test_a_message_that_cannot_be_handled_is_counted_and_skipped(watch, handled_errors):
    watch.client.messages, watch.claims.unstorable = [message(1), message(2)], {"v1"}
    watch.check()
    receives = watch.client.receives
    watch.check()
    assert watch.claims.failed == ["v2"]
    assert watch.client.receives == receives
    assert handled_errors == ["watch_dead_letters"]


@pytest.mark.parametrize("error", [RuntimeError("unexpected"), OperationalError("x", {}, OSError("gone"))])
def test_no_error_ends_the_watch(error, watch, handled_errors):
    watch.client.messages = [message(1)]
    watch.claims.errors = [error] if isinstance(error, OperationalError) else []
    watch.client.errors = [] if isinstance(error, OperationalError) else [error]
    watch.check()
    watch.check()
    assert watch.claims.failed == ["v1"]
    assert handled_errors == ["watch_dead_letters"]


def test_a_message_without_a_video_is_not_read_again(watch):
    watch.client.messages = [message(1) | {"Body": "no envelope"}]
    watch.check()
    receives = watch.client.receives
    watch.check()
    assert watch.client.receives == receives


def test_the_check_after_an_sqs_error_fails_the_video(watch):
    watch.client.messages, watch.client.is_away = [message(1)], True
    watch.check()
    watch.client.is_away = False
    watch.check()
    assert watch.claims.failed == ["v1"]


def test_while_sqs_does_not_answer_the_watch_logs_one_line_and_counts_each_check(watch, handled_errors, caplog):
    watch.client.is_away = True
    for _ in range(5):
        watch.check()
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("the check of the dead-letter queue fails; dead-lettered videos stay open: ")
    assert handled_errors == ["watch_dead_letters"] * 5


def test_no_process_is_forked_while_the_watch_has_the_database_open(watch):
    watch.client.messages = [message(1)]
    opened, may_close, closed = threading.Event(), threading.Event(), threading.Event()

    def fail_dead_lettered(_video_id, _task_id):
        opened.set()
        may_close.wait(10)
        watch.client.get_queue_attributes = lambda **_options: threading.Event().wait()  # no further check
        closed.set()
        return ()

    watch.claims.fail_dead_lettered = fail_dead_lettered
    watch.start(0.0)
    assert opened.wait(10)
    threading.Timer(0.3, may_close.set).start()
    child = os.fork()
    if child == 0:
        os._exit(0 if closed.is_set() and watch._database.acquire(blocking=False) else 1)
    assert os.waitpid(child, 0)[1] == 0
