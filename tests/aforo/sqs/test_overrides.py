"""Overrides of kombu's SQS channel.

Each test has a control on kombu's own channel. The tests of whole workers are in `tests/faults`.
"""

import json
import socket
import time

import pytest
from botocore.exceptions import EndpointConnectionError
from kombu import Connection
from kombu.asynchronous import Hub, get_event_loop, set_event_loop
from kombu.transport.SQS import Channel as StockChannel
from kombu.transport.SQS.exceptions import UndefinedQueueException

from aforo.sqs.channel import Channel
from aforo.sqs.hardening import register
from testing.fake_sqs import FakeSqs
from testing.messages import b64, envelope

QUEUE, URL = "q", "http://sqs.test/1/q"
RECEIVED = {"MessageId": "m", "ReceiptHandle": "h", "Attributes": {"ApproximateReceiveCount": "1"}}
AWAY = EndpointConnectionError(endpoint_url=URL)
#: the longest acceptable wait of a free slot
SOON_SECONDS = 0.3


@pytest.fixture
def hub():
    """Return an event loop with a socket, as in a worker. The loop sleeps until the next event."""
    earlier, loop = get_event_loop(), Hub()
    set_event_loop(loop)
    silent, other = socket.socketpair()
    loop.add_reader(silent, lambda: None)
    yield loop
    loop.remove(silent)
    set_event_loop(earlier)
    silent.close()
    other.close()


@pytest.fixture
def channel(hub, monkeypatch):
    """Return a factory of channels whose prefetch window is one message.

    The class of the channel is ours, kombu's, or another one.
    """
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    opened = []

    def make(kind=Channel, sqs=None, url=""):
        options = {"predefined_queues": {QUEUE: {"url": URL}}, "region": "us-east-1"}
        names = {"hostname": url} if url else {"transport": register().partition(":")[0]}
        connection = Connection(**names, transport_options=options).transport
        fakes = {} if sqs is None else dict.fromkeys(("sqs", "short_client"), lambda _self, queue=None: sqs)
        connection.Channel = type(kind.__name__, (kind,), fakes)
        channel = connection.create_channel(connection)
        channel.basic_qos(0, 1, False)
        opened.append(channel)
        return channel

    yield make
    for channel in opened:
        channel.qos._delivered.clear()  # at exit kombu writes these messages to a file


def consume(channel):
    """Start consuming on the channel."""
    channel.basic_consume(QUEUE, False, lambda _message: None, "tag")


def receive(channel, routing_key=QUEUE):
    """Receive one task whose sender used `routing_key` as the name of the queue."""
    body = b64(json.dumps(envelope(properties__delivery_info__routing_key=routing_key)))
    channel._on_messages_ready(URL, QUEUE, {"Messages": [RECEIVED | {"Body": body}]})


def run(hub, seconds):
    """Run the event loop for `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        hub.run_once()


def idle_seconds(hub, channel, monkeypatch):
    """Return the seconds from the time a timer frees a slot to the next poll."""
    consume(channel)
    polls, freed = [], []
    monkeypatch.setattr(channel, "_get_bulk_async", lambda _queue, callback=None: polls.append(time.monotonic()))
    receive(channel)  # before the first poll, so that no slot is free then
    hub.call_later(0.2, lambda: (channel.basic_ack("h"), freed.append(time.monotonic())))
    run(hub, 1.5)
    return min(at for at in polls if at >= freed[0]) - freed[0]


def test_a_freed_slot_polls_immediately(channel, hub, monkeypatch):
    assert idle_seconds(hub, channel(sqs=FakeSqs()), monkeypatch) < SOON_SECONDS


def test_control_kombus_slot_waits_for_the_next_polling_interval(channel, hub, monkeypatch):
    assert idle_seconds(hub, channel(StockChannel, FakeSqs()), monkeypatch) > SOON_SECONDS


def test_control_without_the_waker_a_freed_slot_waits_for_the_next_event(channel, hub, monkeypatch):
    class WithoutWaker(Channel):
        def _schedule_now(self, queue):
            self.hub.call_soon(self._schedule_queue, queue)

    assert idle_seconds(hub, channel(WithoutWaker, FakeSqs()), monkeypatch) > SOON_SECONDS


def test_a_connection_without_a_host_leaves_the_endpoint_to_boto3(channel):
    assert channel().endpoint_url is None
    assert channel(url=register()).endpoint_url is None
    assert channel(url=register() + "key:secret@sqs.test:4100").endpoint_url == "http://sqs.test:4100"


def test_control_kombu_uses_its_default_host_as_the_endpoint(channel):
    assert channel(StockChannel).endpoint_url == "http://localhost"


def longest_seconds(client):
    """Return the longest time in seconds that one call of a client may take.

    The pauses between attempts are not included.
    """
    config = client.meta.config
    attempts = (config.retries or {}).get("total_max_attempts") or 5  # botocore's legacy mode
    return attempts * (config.connect_timeout + config.read_timeout)


def test_a_call_in_the_event_loop_takes_seconds(channel):
    assert longest_seconds(channel().short_client(QUEUE)) == 5


def test_control_a_call_of_kombus_client_takes_minutes(channel):
    assert longest_seconds(channel(StockChannel).sqs(QUEUE)) == 600


@pytest.mark.parametrize("routing_key", [QUEUE, "celery"])
def test_a_rejected_message_becomes_visible_whatever_queue_name_its_sender_used(routing_key, channel):
    sqs = FakeSqs()
    reject(channel(sqs=sqs), routing_key)
    (call,) = sqs.calls
    assert call.operation == "change_message_visibility"
    assert 5 <= call.options["VisibilityTimeout"] <= 10  # half of the long poll, and a random share


def test_a_rejected_message_that_cannot_be_made_visible_raises_nothing(channel):
    reject(channel(sqs=FakeSqs(AWAY)))


def test_control_kombu_raises_for_a_rejected_message_that_cannot_be_made_visible(channel):
    with pytest.raises(EndpointConnectionError):
        reject(channel(StockChannel, FakeSqs(AWAY)))


def test_control_kombu_raises_for_a_rejected_message_with_another_queue_name(channel):
    with pytest.raises(UndefinedQueueException):
        reject(channel(StockChannel, FakeSqs()), "celery")


def reject(channel, routing_key=QUEUE):
    """Receive a message and return it to the queue."""
    consume(channel)
    receive(channel, routing_key)
    channel.basic_reject("h", requeue=True)
