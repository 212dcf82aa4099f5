"""What the hardened channel does with several queues, and with messages nobody wants again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from botocore.exceptions import ConnectTimeoutError
from kombu import Connection

from aforo.sqs import channel as channel_module
from aforo.sqs.connection import FailedPoll, PollResult

URLS = {name: f"http://sqs.example/1/{name}" for name in ("good", "bad")}
FAILED = FailedPoll(PollResult.ERROR, "HTTP 503")


class Receives:
    """The connection that polls: it notes how long each receive call may wait."""

    def __init__(self):
        self.waits = []

    def receive_message(self, queue_name, _url, number_messages, wait_time_seconds, callback):
        self.waits.append((queue_name, wait_time_seconds))


@pytest.fixture
def channel():
    queues = {name: {"url": url, "access_key_id": "k", "secret_access_key": "s"} for name, url in URLS.items()}
    options = {"region": "us-east-1", "predefined_queues": queues, "wait_time_seconds": 5}
    made = Connection(f"{channel_module.register()}k:s@", transport_options=options).channel()
    made.hub = SimpleNamespace(pauses=[], call_later=lambda seconds, _call, queue: made.hub.pauses.append(queue))
    made._soon = lambda queue: made.hub.pauses.append(f"{queue} at once")
    return made


def cycle(channel):
    """Let each queue be polled once: the bad one fails."""
    channel._on_messages_ready(URLS["bad"], "bad", FAILED)
    channel._on_messages_ready(URLS["good"], "good", {})


def test_a_queue_that_fails_leaves_the_other_one_its_long_poll(channel):
    cycle(channel)
    polls = Receives()
    for name, url in URLS.items():
        channel._get_from_sqs(name, url, polls)
    assert polls.waits == [("good", 5), ("bad", 0)]


def test_the_pause_of_a_queue_that_fails_grows_although_another_one_answers(channel, monkeypatch):
    asked = []
    monkeypatch.setattr(channel_module, "pause_seconds", lambda failures: asked.append(failures) or 0.0)
    for _ in range(3):
        cycle(channel)
        for name in URLS:
            channel._loop1(name)
    assert asked == [1, 2, 3]
    assert channel.hub.pauses == ["good at once", "bad"] * 3


def test_a_queue_that_goes_on_failing_is_logged_once_and_its_return_once(channel, caplog):
    for _ in range(5):
        cycle(channel)
    channel._on_messages_ready(URLS["bad"], "bad", {})
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "SQS does not answer as it should, polling bad on with pauses: HTTP 503",
        "SQS answers again after 5 failed polls of bad",
    ]


class Silent:
    """A client of an SQS that does not answer."""

    def __init__(self):
        self.asked = []

    def get_queue_attributes(self, **_options):
        self.asked.append("get_queue_attributes")
        raise ConnectTimeoutError(endpoint_url="http://sqs.example")

    def change_message_visibility(self, VisibilityTimeout, **_options):  # noqa: N803 (boto3's name)
        self.asked.append(VisibilityTimeout)
        raise ConnectTimeoutError(endpoint_url="http://sqs.example")


def deliver(channel, name="good"):
    """Put a message of queue `name` in the channel's hands; return its tag."""
    info = {"sqs_message": {"ReceiptHandle": "h", "Attributes": {"ApproximateReceiveCount": "2"}}}
    info |= {"sqs_queue": URLS[name], "routing_key": name}
    message = SimpleNamespace(delivery_info=info, delivery_tag="h", headers={"task": "t"})
    message.properties = {"delivery_info": info}
    channel.qos.append(message, "h")
    return "h"


def test_a_rejected_message_is_asked_about_with_the_short_client_and_stays_where_sqs_is_silent(channel, monkeypatch):
    silent = Silent()
    monkeypatch.setattr(channel, "short_client", lambda _queue: silent)
    monkeypatch.setattr(channel._dead_letters, "clients", lambda _queue: silent)
    monkeypatch.setattr(channel, "sqs", lambda queue=None: pytest.fail("a client that may wait for a minute"))
    channel.basic_reject(deliver(channel), requeue=False)
    assert silent.asked == ["get_queue_attributes"]
    assert channel.qos.can_consume()


def test_an_apps_own_back_off_policy_neither_raises_nor_waits_long(channel, monkeypatch):
    silent = Silent()
    channel.predefined_queues["good"] |= {"backoff_tasks": ["t"], "backoff_policy": {2: 40}}
    monkeypatch.setattr(channel, "short_client", lambda _queue: silent)
    monkeypatch.setattr(channel, "sqs", lambda queue=None: pytest.fail("a client that may wait for a minute"))
    channel.basic_reject(deliver(channel), requeue=False)
    assert silent.asked == [40]


def test_a_channel_that_closes_tries_what_it_owes_a_last_time(channel, monkeypatch):
    order = []
    monkeypatch.setattr(channel._deletes, "close", lambda: order.append(channel.closed))
    channel.close()
    channel.close()
    assert order == [False]
