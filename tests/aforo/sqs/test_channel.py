"""The hardened channel with several queues, and with rejected messages."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from botocore.exceptions import ConnectTimeoutError
from kombu import Connection

from aforo.sqs import polling
from aforo.sqs.connection import FailedPoll
from aforo.sqs.hardening import register
from aforo.sqs.observer import PollResult

URLS = {name: f"http://sqs.example/1/{name}" for name in ("good", "bad")}
FAILED = FailedPoll(PollResult.ERROR, "HTTP 503")


class Receives:
    """A polling connection that records the long poll of each receive call."""

    def __init__(self):
        self.waits = []

    def receive_message(self, url, _count, wait_time_seconds, _timeout, _attributes, callback):
        self.waits.append((url.rpartition("/")[2], wait_time_seconds))


@pytest.fixture
def channel():
    queues = {name: {"url": url, "access_key_id": "k", "secret_access_key": "s"} for name, url in URLS.items()}
    options = {"region": "us-east-1", "predefined_queues": queues, "wait_time_seconds": 5}
    opened = Connection(f"{register()}k:s@", transport_options=options).channel()
    opened.hub = SimpleNamespace(pauses=[], call_later=lambda seconds, _call, queue: opened.hub.pauses.append(queue))
    opened._schedule_now = lambda queue: opened.hub.pauses.append(f"{queue} now")
    return opened


def poll_each(channel):
    """Poll each queue once. The queue `bad` fails."""
    channel._on_messages_ready(URLS["bad"], "bad", FAILED)
    channel._on_messages_ready(URLS["good"], "good", {})


def test_a_failing_queue_does_not_shorten_the_long_poll_of_another_one(channel):
    poll_each(channel)
    polls = Receives()
    for name, url in URLS.items():
        channel._get_from_sqs(name, url, polls)
    assert polls.waits == [("good", 5), ("bad", 0)]


def test_the_pause_of_a_failing_queue_grows_while_another_one_answers(channel, monkeypatch):
    counts = []
    monkeypatch.setattr(polling, "backoff_seconds", lambda failures, *_limits: counts.append(failures) or 0.0)
    for _ in range(3):
        poll_each(channel)
        for name in URLS:
            channel._loop1(name)
    assert counts == [1, 2, 3]
    assert channel.hub.pauses == ["good now", "bad"] * 3


def test_a_series_of_failures_is_logged_once_and_its_end_once(channel, caplog):
    for _ in range(5):
        poll_each(channel)
    channel._on_messages_ready(URLS["bad"], "bad", {})
    logged = [record.getMessage() for record in caplog.records]
    assert logged == [
        "receive calls for queue bad fail, retrying with back-off: HTTP 503",
        "receive calls for queue bad succeed again, after 5 failures",
    ]


class Silent:
    """A client whose calls time out."""

    def __init__(self):
        self.calls = []

    def get_queue_attributes(self, **_options):
        self.calls.append("get_queue_attributes")
        raise ConnectTimeoutError(endpoint_url="http://sqs.example")

    def change_message_visibility(self, VisibilityTimeout, **_options):  # noqa: N803 (boto3's name)
        self.calls.append(VisibilityTimeout)
        raise ConnectTimeoutError(endpoint_url="http://sqs.example")


def deliver(channel, name="good"):
    """Deliver a message of queue `name` to the channel. Return the message's delivery tag."""
    info = {"sqs_message": {"ReceiptHandle": "h", "Attributes": {"ApproximateReceiveCount": "2"}}}
    info |= {"sqs_queue": URLS[name], "routing_key": name}
    message = SimpleNamespace(delivery_info=info, delivery_tag="h", headers={"task": "t"})
    message.properties = {"delivery_info": info}
    channel.qos.append(message, "h")
    return "h"


def test_a_rejected_message_stays_in_its_queue_if_the_redrive_policy_cannot_be_read(channel, monkeypatch):
    silent = Silent()
    monkeypatch.setattr(channel, "short_client", lambda _queue: silent)
    monkeypatch.setattr(channel._dead_letters, "client_of", lambda _queue: silent)
    monkeypatch.setattr(channel, "sqs", lambda queue=None: pytest.fail("a client that may wait for a minute"))
    channel.basic_reject(deliver(channel), requeue=False)
    assert silent.calls == ["get_queue_attributes"]
    assert channel.qos.can_consume()


def test_the_back_off_policy_of_an_app_neither_raises_nor_blocks(channel, monkeypatch):
    silent = Silent()
    channel.predefined_queues["good"] |= {"backoff_tasks": ["t"], "backoff_policy": {2: 40}}
    monkeypatch.setattr(channel, "short_client", lambda _queue: silent)
    monkeypatch.setattr(channel, "sqs", lambda queue=None: pytest.fail("a client that may wait for a minute"))
    channel.basic_reject(deliver(channel), requeue=False)
    assert silent.calls == [40]


def test_a_closing_channel_retries_its_pending_deletes_before_it_is_closed(channel, monkeypatch):
    order = []
    monkeypatch.setattr(channel._deletes, "close", lambda: order.append(channel.closed))
    channel.close()
    channel.close()
    assert order == [False]


def test_a_queue_whose_deletes_are_behind_is_not_polled_but_another_one_is(channel, monkeypatch):
    monkeypatch.setattr(channel._deletes, "is_behind", lambda url: url == URLS["bad"])
    assert {name: channel._may_receive(name) for name in URLS} == {"good": True, "bad": False}
