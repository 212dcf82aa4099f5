"""Finished messages whose delete fails: owed, and paid without anybody's help."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest
from botocore.exceptions import ClientError

from aforo.sqs import pending_deletes
from aforo.sqs.pending_deletes import Deletes
from aforo.sqs.redelivery import Delivery
from tests.conftest import poll_until


@dataclass
class FakeSqs:
    """Deletes, unless the queue is one that refuses: with a code, so many times (-1: always)."""

    refusals: dict[str, tuple[str, int]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)

    def delete_message(self, QueueUrl, ReceiptHandle):  # noqa: N803 (boto3's names)
        self.tries[QueueUrl] += 1
        code, left = self.refusals.get(QueueUrl, ("", 0))
        if left:
            self.refusals[QueueUrl] = code, left - 1
            raise ClientError({"Error": {"Code": code}}, "DeleteMessage")
        self.deleted.append(ReceiptHandle)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(pending_deletes, "pause_seconds", lambda failures, longest_seconds: 0.01)


def of(queue, handle):
    return Delivery(queue, queue, handle)


def made(sqs, told=None):
    return Deletes(lambda _queue: sqs, ([] if told is None else told).append)


def test_a_delete_that_failed_once_is_tried_again_though_nothing_else_happens():
    sqs, told = FakeSqs({"q": ("ServiceUnavailable", 3)}), []
    made(sqs, told).delete(of("q", "a"))
    poll_until(lambda: sqs.deleted == ["a"], "the delete was repeated")
    poll_until(lambda: told[-1] == 0, "nothing is owed any more")
    assert sqs.tries["q"] == 4
    assert told[0] == 1


def test_a_queue_that_refuses_for_good_holds_up_no_other():
    sqs = FakeSqs({"denied": ("AccessDenied", -1), "flaky": ("ServiceUnavailable", 1)})
    owing = made(sqs)
    for queue in ("denied", "flaky", "good"):
        owing.delete(of(queue, queue))
    poll_until(lambda: sorted(sqs.deleted) == ["flaky", "good"], "the others' messages are deleted")
    owing.delete(of("flaky", "again"))
    poll_until(lambda: "again" in sqs.deleted, "and those that come later")
    owing.close()


def test_while_something_is_owed_the_thread_tries_and_not_the_caller(monkeypatch):
    monkeypatch.setattr(pending_deletes, "pause_seconds", lambda failures, longest_seconds: 60.0)
    sqs, told = FakeSqs({"q": ("ServiceUnavailable", 1)}), []
    owing = made(sqs, told)
    for handle in ("a", "b", "c"):
        owing.delete(of("q", handle))
    assert sqs.tries["q"] == 1
    assert told == [1, 2, 3]
    owing.close()
    assert sqs.deleted == ["a", "b", "c"]


def test_a_worker_that_leaves_tries_each_queue_once_more_until_it_refuses(monkeypatch):
    monkeypatch.setattr(pending_deletes, "pause_seconds", lambda failures, longest_seconds: 60.0)
    sqs = FakeSqs({"denied": ("AccessDenied", -1), "back": ("ServiceUnavailable", 1)})
    owing = made(sqs)
    for number in range(2):
        owing.delete(of("denied", f"denied-{number}"))
        owing.delete(of("back", f"back-{number}"))
    owing.close()
    assert sqs.deleted == ["back-0", "back-1"]
    assert sqs.tries["denied"] == 2


def test_a_message_that_cannot_be_deleted_any_more_is_not_owed():
    sqs, told = FakeSqs({"q": ("ReceiptHandleIsInvalid", -1)}), []
    made(sqs, told).delete(of("q", "a"))
    assert told == [0]


def test_what_a_client_raises_that_cannot_be_made_is_survived_and_tried_again():
    clients, sqs = iter([ValueError("Invalid endpoint")]), FakeSqs()

    def client(_queue):
        if (error := next(clients, None)) is not None:
            raise error
        return sqs

    Deletes(client).delete(of("q", "a"))
    poll_until(lambda: sqs.deleted == ["a"], "it is deleted with the next client")


class Slow(dict):
    """Lets other threads run between the choice of what is forgotten and its end."""

    def pop(self, key):
        time.sleep(0.0005)
        return super().pop(key)


def test_many_threads_may_delete_at_once(monkeypatch):
    monkeypatch.setattr(pending_deletes, "KNOWN_DELETED", 1)
    sqs, errors = FakeSqs(), []
    owing = made(sqs)
    owing._known = Slow()

    def work(name):
        try:
            for number in range(50):
                owing.delete(of("q", f"{name}-{number}"))
        except KeyError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(sqs.deleted) == 400


def test_a_handle_is_known_once_it_was_to_be_deleted():
    owing = made(FakeSqs())
    owing.delete(of("q", "a"))
    assert owing.knows(of("q", "a"))
    assert not owing.knows(of("q", "b"))
