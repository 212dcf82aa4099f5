"""Messages that Celery's timer holds stay invisible until their task is due."""

from __future__ import annotations

import json
import time

import pytest
from botocore.exceptions import ClientError
from kombu import Connection

from aforo.sqs import timer_holds
from aforo.sqs.hardening import register
from aforo.sqs.message import ReceivedMessage
from aforo.sqs.observer import SilentObserver
from aforo.sqs.timer_holds import TimerHolds
from testing.fake_sqs import FakeSqs
from testing.messages import envelope
from testing.polling import until

MESSAGE = ReceivedMessage("q", "http://sqs.example/1/q", "h")
TIMEOUT = {"Attributes": {"VisibilityTimeout": "30"}}
HOUR = 3600


def error(code):
    return ClientError({"Error": {"Code": code}}, "ChangeMessageVisibility")


def timeouts(sqs):
    """Return the visibility timeouts that were set."""
    return [call.options["VisibilityTimeout"] for call in sqs.calls if call.operation == "change_message_visibility"]


def holds_of(sqs, observer=None):
    return TimerHolds(lambda _queue: sqs, 600.0, observer or SilentObserver())


@pytest.mark.parametrize(
    ("answer", "delay_seconds", "expected"),
    [(TIMEOUT, 95, 125), (error("AccessDenied"), 95, 695), (TIMEOUT, 11 * HOUR, 11 * HOUR + 30)],
    ids=["known timeout", "unknown timeout", "the longest hold"],
)
def test_a_message_is_invisible_until_it_is_due_and_for_one_more_timeout(answer, delay_seconds, expected):
    sqs = FakeSqs(answer, {})
    holds_of(sqs).hold(MESSAGE, delay_seconds)
    until(lambda: timeouts(sqs) == [expected], "it is invisible")


def test_a_visibility_timeout_that_cannot_be_read_is_a_handled_error():
    handled = []

    class Counting(SilentObserver):
        def handled_error(self, operation):
            handled.append(str(operation))

    sqs = FakeSqs(error("AccessDenied"), {})
    holds_of(sqs, Counting()).hold(MESSAGE, 95)
    until(lambda: timeouts(sqs) == [695], "it is invisible")
    assert handled == ["extend_visibility"]


def test_a_failed_call_is_repeated_unless_the_message_is_gone(monkeypatch):
    monkeypatch.setattr(timer_holds, "backoff_seconds", lambda *_options: 0.01)
    sqs = FakeSqs(TIMEOUT, error("InternalError"), error("ReceiptHandleIsInvalid"))
    holds = holds_of(sqs)
    holds.hold(MESSAGE, 95)
    until(lambda: len(timeouts(sqs)) == 2, "it is repeated")
    until(lambda: holds._calls._thread is None, "and not again")
    assert len(timeouts(sqs)) == 2


def test_a_worker_that_shuts_down_holds_nothing():
    sqs = FakeSqs(TIMEOUT)
    holds = holds_of(sqs)
    holds.close()
    holds.hold(MESSAGE, 95)
    until(lambda: holds._calls._thread is None, "the call was considered")
    assert timeouts(sqs) == []


def test_a_task_that_is_due_later_than_sqs_can_hide_a_message_stays_in_the_queue_and_this_is_said(monkeypatch, caplog):
    queue = {"url": MESSAGE.queue_url, "access_key_id": "k", "secret_access_key": "s"}
    options = {"region": "us-east-1", "predefined_queues": {"q": queue}}
    channel, sqs = Connection(f"{register()}k:s@", transport_options=options).channel(), FakeSqs()
    monkeypatch.setattr(channel, "short_client", lambda _queue: sqs)
    monkeypatch.setitem(channel.connection._callbacks, "q", lambda _message: pytest.fail("it was delivered"))
    eta = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 30 * HOUR))
    body = json.dumps(envelope(headers__eta=eta))
    channel._on_messages_ready(MESSAGE.queue_url, "q", {"Messages": [{"ReceiptHandle": "h", "Body": body}]})
    assert timeouts(sqs) == [11 * HOUR]
    assert "a task is due in 30.0 h; SQS keeps a message invisible for 12 h at most" in caplog.text
