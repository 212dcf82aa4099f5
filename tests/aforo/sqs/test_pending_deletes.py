"""Deletes that fail, and their retries."""

from __future__ import annotations

import threading
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


def test_a_new_delete_goes_out_while_earlier_ones_wait_for_their_retry(monkeypatch):
    monkeypatch.setattr(pending_deletes, "backoff_seconds", lambda *_options: 60.0)
    sqs, counts = FakeSqs(UNAVAILABLE, {}), Counts()
    deletes = deletes_of(sqs, counts)
    deletes.delete(of("q", "a"))
    until(lambda: counts.pending == [1], "the first delete failed")
    deletes.delete(of("q", "b"))
    until(lambda: sqs.deleted == ["b"], "the second is deleted")
    until(lambda: counts.pending == [1, 1], "the first is still pending")
    deletes.close()
    assert sqs.deleted == ["b", "a"]


class Gate:
    """A client whose calls wait until it opens."""

    def __init__(self):
        self.opened, self.batches = threading.Event(), []

    def delete_message(self, QueueUrl, ReceiptHandle):  # noqa: N803 (boto3's names)
        self.batches.append([ReceiptHandle])
        self.opened.wait()

    def delete_message_batch(self, QueueUrl, Entries):  # noqa: N803 (boto3's names)
        self.batches.append([entry["ReceiptHandle"] for entry in Entries])
        self.opened.wait()
        return {}


def test_deletes_that_wait_for_a_free_call_go_out_in_batches():
    gate = Gate()
    deletes = deletes_of(gate)
    singles = [f"{number}" for number in range(pending_deletes.NEW_DELETE_THREADS)]
    for number, handle in enumerate(singles, start=1):
        deletes.delete(of("q", handle))
        until(lambda number=number: len(gate.batches) == number, "it has a call of its own")
    waiting = [f"waiting-{number}" for number in range(10)]
    for handle in waiting:
        deletes.delete(of("q", handle))
    gate.opened.set()
    until(lambda: len(gate.batches) == len(singles) + 1, "one more call")
    assert gate.batches == [*([handle] for handle in singles), waiting]


def test_deletes_that_are_behind_say_so_and_when_they_have_caught_up():
    gate, events = Gate(), []
    deletes = PendingDeletes(lambda _queue: gate, caught_up=lambda: events.append("caught up"))
    for number in range(pending_deletes.NEW_DELETE_THREADS):
        deletes.delete(of("q", f"{number}"))
        until(lambda number=number: len(gate.batches) == number + 1, "it has a call of its own")
    for number in range(pending_deletes.MOST_WAITING):
        assert not deletes.is_behind("q")
        deletes.delete(of("q", f"waiting-{number}"))
    assert deletes.is_behind("q")
    assert not deletes.is_behind("another")
    assert events == []
    gate.opened.set()
    until(lambda: events, "they have caught up")
    assert not deletes.is_behind("q")
    deletes.close()
    assert events == ["caught up"]


def test_only_the_failed_messages_of_a_batch_are_retried(monkeypatch):
    sqs = FakeSqs({"Failed": [{"Id": "1", "Code": "InternalError"}, {"Id": "2", "Code": "ReceiptHandleIsInvalid"}]}, {})
    counts = Counts()
    deletes = deletes_of(sqs, counts)
    deletes._delete_new("q", [of("q", handle) for handle in "abc"])
    until(lambda: sqs.deleted == ["a", "b"], "the second is deleted too; the third no longer exists")
    until(lambda: counts.pending[-1] == 0, "no delete is pending")
    assert counts.handled == ["delete"]


def test_retries_are_batches_and_a_message_that_always_fails_does_not_delay_the_others(monkeypatch):
    monkeypatch.setattr(pending_deletes, "LARGEST_BATCH", 1)
    sqs = FakeSqs(UNAVAILABLE, UNAVAILABLE, {})
    deletes = deletes_of(sqs)
    queue = pending_deletes._Queue("q", {handle: of("q", handle) for handle in "abc"})
    for _ in range(4):
        deletes._retry(queue)
    assert [call.options["ReceiptHandle"] for call in sqs.calls] == ["a", "b", "c", "a"]
    assert list(queue.pending) == ["b"]


def again(handle, message_id="m"):
    return ReceivedMessage("q", "q", handle, message_id=message_id)


def test_a_finished_message_that_is_delivered_again_is_deleted_by_its_new_receipt_handle():
    sqs, counts = FakeSqs(UNAVAILABLE, {}), Counts()
    deletes = deletes_of(sqs, counts)
    deletes._retries.schedule = lambda *_retry: None
    deletes.delete(again("old"))
    until(lambda: counts.pending == [1], "the delete failed")
    assert deletes.delete_if_finished(again("new"))
    until(lambda: sqs.deleted == ["new"], "it is deleted")
    until(lambda: counts.pending[-1] == 0, "the stale receipt handle is dropped")
    assert not deletes.delete_if_finished(again("other", "other"))


def test_a_repeated_answer_causes_no_further_delete():
    sqs = FakeSqs()
    deletes = deletes_of(sqs)
    deletes.delete(again("a"))
    until(lambda: sqs.deleted == ["a"], "it is deleted")
    assert deletes.delete_if_finished(again("a"))
    deletes.close()
    assert len(sqs.calls) == 1


def test_a_retry_of_a_stale_receipt_handle_that_fails_late_is_not_repeated():
    deletes = deletes_of(FakeSqs())
    queue = deletes._queues["q"] = pending_deletes._Queue("q", {"m": again("old")})
    deletes._finished["m"] = "new"
    deletes._record(queue, [again("old")], {"m": UNAVAILABLE})
    assert queue.pending == {}


def test_on_close_each_queue_is_retried_until_it_fails(monkeypatch):
    monkeypatch.setattr(pending_deletes, "backoff_seconds", lambda *_options: 60.0)
    sqs, counts = FakeSqs(denied=[DENIED], back=[UNAVAILABLE, UNAVAILABLE, {}]), Counts()
    deletes = deletes_of(sqs, counts)
    for number in range(4):
        deletes.delete(of(["denied", "back"][number % 2], f"{number}"))
        until(lambda number=number: len(counts.pending) == number + 1, "the delete failed")
    deletes.close()
    assert sqs.deleted == ["1", "3"]
    assert [call.options["QueueUrl"] for call in sqs.calls].count("denied") == 3


def test_a_delete_after_close_is_one_call_of_the_caller():
    sqs = FakeSqs()
    deletes = deletes_of(sqs)
    deletes.close()
    deletes.delete(of("q", "a"))
    assert sqs.deleted == ["a"]


def test_a_permanent_error_leaves_no_pending_delete():
    sqs, counts = FakeSqs(client_error("ReceiptHandleIsInvalid")), Counts()
    deletes_of(sqs, counts).delete(of("q", "a"))
    until(lambda: counts.pending == [0], "no delete is pending")


def test_a_client_that_cannot_be_created_is_retried():
    clients, sqs = iter([ValueError("Invalid endpoint")]), FakeSqs()

    def client(_queue):
        if (error := next(clients, None)) is not None:
            raise error
        return sqs

    PendingDeletes(client).delete(of("q", "a"))
    until(lambda: sqs.deleted == ["a"], "the next client deletes it")


def test_many_threads_may_delete_together(monkeypatch):
    monkeypatch.setattr(pending_deletes, "MOST_REMEMBERED", 1)
    sqs = FakeSqs()
    deletes = deletes_of(sqs)

    def work(name):
        for number in range(50):
            deletes.delete(of("q", f"{name}-{number}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deletes.close()
    assert len(sqs.deleted) == 400
