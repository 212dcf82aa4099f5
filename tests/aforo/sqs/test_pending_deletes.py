"""Deletes that fail, and their retries."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest
from botocore.exceptions import ClientError

from aforo.sqs import pending_deletes
from aforo.sqs.message import ReceivedMessage
from aforo.sqs.observer import SilentObserver
from aforo.sqs.pending_deletes import PendingDeletes
from testing.fake_sqs import FakeSqs
from testing.polling import until


def client_error(code):
    return ClientError({"Error": {"Code": code}}, "DeleteMessage")


DENIED, UNAVAILABLE = client_error("AccessDenied"), client_error("ServiceUnavailable")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(pending_deletes, "backoff_seconds", lambda *_options: 0.01)


def of(queue, handle):
    return ReceivedMessage(queue, queue, handle)


@dataclass
class Counts(SilentObserver):
    """An observer that records the number of pending deletes and the handled errors."""

    pending: list[int] = field(default_factory=list)
    handled: list[str] = field(default_factory=list)

    def pending_deletes(self, count):
        self.pending.append(count)

    def handled_error(self, operation):
        self.handled.append(operation)


def deletes_of(sqs, counts=None):
    return PendingDeletes(lambda _queue: sqs, counts)


def test_a_failed_delete_is_retried_without_any_other_event():
    sqs, counts = FakeSqs(*[UNAVAILABLE] * 3, {}), Counts()
    deletes_of(sqs, counts).delete(of("q", "a"))
    until(lambda: sqs.deleted == ["a"], "the delete was retried")
    until(lambda: counts.pending[-1] == 0, "no delete is pending")
    assert len(sqs.calls) == 4
    assert counts.pending[0] == 1
    assert counts.handled == ["delete"] * 3


def test_a_queue_that_always_fails_does_not_delay_another_one():
    sqs = FakeSqs(denied=[DENIED], flaky=[UNAVAILABLE, {}])
    deletes = deletes_of(sqs)
    for queue in ("denied", "flaky", "good"):
        deletes.delete(of(queue, queue))
    until(lambda: sorted(sqs.deleted) == ["flaky", "good"], "the messages of the other queues are deleted")
    deletes.delete(of("flaky", "again"))
    until(lambda: "again" in sqs.deleted, "and later ones")
    deletes.close()


def test_while_a_delete_is_pending_the_caller_does_not_call_sqs(monkeypatch):
    monkeypatch.setattr(pending_deletes, "backoff_seconds", lambda *_options: 60.0)
    sqs, counts = FakeSqs(UNAVAILABLE, {}), Counts()
    deletes = deletes_of(sqs, counts)
    for handle in ("a", "b", "c"):
        deletes.delete(of("q", handle))
    assert len(sqs.calls) == 1
    assert counts.pending == [1, 2, 3]
    deletes.close()
    assert sqs.deleted == ["a", "b", "c"]


def test_on_close_each_queue_is_retried_until_it_fails(monkeypatch):
    monkeypatch.setattr(pending_deletes, "backoff_seconds", lambda *_options: 60.0)
    sqs = FakeSqs(denied=[DENIED], back=[UNAVAILABLE, {}])
    deletes = deletes_of(sqs)
    for number in range(2):
        deletes.delete(of("denied", f"denied-{number}"))
        deletes.delete(of("back", f"back-{number}"))
    deletes.close()
    assert sqs.deleted == ["back-0", "back-1"]
    assert [call.options["QueueUrl"] for call in sqs.calls].count("denied") == 2


def test_a_permanent_error_leaves_no_pending_delete():
    sqs, counts = FakeSqs(client_error("ReceiptHandleIsInvalid")), Counts()
    deletes_of(sqs, counts).delete(of("q", "a"))
    assert counts.pending == [0]


def test_a_client_that_cannot_be_created_is_retried():
    clients, sqs = iter([ValueError("Invalid endpoint")]), FakeSqs()

    def client(_queue):
        if (error := next(clients, None)) is not None:
            raise error
        return sqs

    PendingDeletes(client).delete(of("q", "a"))
    until(lambda: sqs.deleted == ["a"], "the next client deletes it")


class Slow(dict):
    """A dict that lets other threads run while it removes a key."""

    def pop(self, key):
        time.sleep(0.0005)
        return super().pop(key)


def test_many_threads_may_delete_together(monkeypatch):
    monkeypatch.setattr(pending_deletes, "MOST_REMEMBERED", 1)
    sqs, errors = FakeSqs(), []
    deletes = deletes_of(sqs)
    deletes._handles = Slow()

    def work(name):
        try:
            for number in range(50):
                deletes.delete(of("q", f"{name}-{number}"))
        except KeyError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(sqs.deleted) == 400


def test_a_deleted_message_is_remembered():
    deletes = deletes_of(FakeSqs())
    deletes.delete(of("q", "a"))
    assert deletes.includes(of("q", "a"))
    assert not deletes.includes(of("q", "b"))
