"""The overrides of kombu's SQS channel, each beside what kombu's own does; `tests/faults` breaks whole workers."""

import json
import socket
import time

import pytest
from botocore.exceptions import EndpointConnectionError
from kombu import Connection
from kombu.asynchronous import Hub, get_event_loop, set_event_loop
from kombu.transport.SQS import Channel as StockChannel
from kombu.transport.SQS.exceptions import UndefinedQueueException

from aforo.sqs.channel import Channel, register
from tests.faults.senders import b64, envelope

QUEUE, URL = "q", "http://sqs.test/1/q"
RECEIVED = {"MessageId": "m", "ReceiptHandle": "h", "Attributes": {"ApproximateReceiveCount": "1"}}
AWAY = EndpointConnectionError(endpoint_url=URL)
#: what a freed slot may wait for its next message
SOON_SECONDS = 0.3


class FakeSQS:
    """Notes the calls of a channel; with `error` each of them raises it."""

    def __init__(self, error=None):
        self.calls, self.error = [], error

    def __getattr__(self, name):
        return lambda **options: self._call(name, options)

    def _call(self, name, options):
        self.calls.append((name, options.get("VisibilityTimeout")))
        if self.error is not None:
            raise self.error
        return {}


@pytest.fixture
def hub():
    """An event loop with a socket in it, as a worker's: it sleeps until something happens."""
    earlier, made = get_event_loop(), Hub()
    set_event_loop(made)
    silent, other = socket.socketpair()
    made.add_reader(silent, lambda: None)
    yield made
    made.remove(silent)
    set_event_loop(earlier)
    silent.close()
    other.close()


@pytest.fixture
def channel(hub, monkeypatch):
    """Return what makes a channel that takes one message at a time: ours, kombu's, or another class."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    made_here = []

    def make(kind=Channel, sqs=None, url=""):
        options = {"predefined_queues": {QUEUE: {"url": URL}}, "region": "us-east-1"}
        names = {"hostname": url} if url else {"transport": register().partition(":")[0]}
        connection = Connection(**names, transport_options=options).transport
        fakes = {} if sqs is None else dict.fromkeys(("sqs", "short_client"), lambda _self, queue=None: sqs)
        connection.Channel = type(kind.__name__, (kind,), fakes)
        made = connection.create_channel(connection)
        made.basic_qos(0, 1, False)
        made_here.append(made)
        return made

    yield make
    for made in made_here:
        made.qos._delivered.clear()  # kombu writes what it finds here at exit into a file


def consume(channel):
    """Let the channel consume."""
    channel.basic_consume(QUEUE, False, lambda _message: None, "tag")


def receive(channel, routing_key=QUEUE):
    """Let the channel receive one task, whose sender called the queue `routing_key`."""
    body = b64(json.dumps(envelope(properties__delivery_info__routing_key=routing_key)))
    channel._on_messages_ready(URL, QUEUE, {"Messages": [RECEIVED | {"Body": body}]})


def run(hub, seconds):
    """Run the event loop so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        hub.run_once()


def idle_seconds(hub, channel, monkeypatch):
    """Return how long a slot that a timer frees waits for the next poll."""
    consume(channel)
    polls, freed = [], []
    monkeypatch.setattr(channel, "_get_bulk_async", lambda _queue, callback=None: polls.append(time.monotonic()))
    receive(channel)  # before the first poll, which so finds no free slot
    hub.call_later(0.2, lambda: (channel.basic_ack("h"), freed.append(time.monotonic())))
    run(hub, 1.5)
    return min(at for at in polls if at >= freed[0]) - freed[0]


def test_a_freed_slot_polls_at_once(channel, hub, monkeypatch):
    assert idle_seconds(hub, channel(sqs=FakeSQS()), monkeypatch) < SOON_SECONDS


def test_control_kombus_slot_waits_for_the_next_polling_interval(channel, hub, monkeypatch):
    assert idle_seconds(hub, channel(StockChannel, FakeSQS()), monkeypatch) > SOON_SECONDS


def test_control_without_the_waker_a_freed_slot_waits_for_the_next_event(channel, hub, monkeypatch):
    class WithoutWaker(Channel):
        def _soon(self, queue):
            self.hub.call_soon(self._schedule_queue, queue)

    assert idle_seconds(hub, channel(WithoutWaker, FakeSQS()), monkeypatch) > SOON_SECONDS


def test_a_connection_without_a_host_leaves_the_endpoint_to_boto3(channel):
    assert channel().endpoint_url is None
    assert channel(url=register()).endpoint_url is None
    assert channel(url=register() + "key:secret@sqs.test:4100").endpoint_url == "http://sqs.test:4100"


def test_control_kombu_takes_its_default_for_an_endpoint(channel):
    assert channel(StockChannel).endpoint_url == "http://localhost"


def longest_seconds(client):
    """Return how long one call of a client may take, pauses between its tries aside."""
    config = client.meta.config
    tries = (config.retries or {}).get("total_max_attempts") or 5  # botocore's legacy mode
    return tries * (config.connect_timeout + config.read_timeout)


def test_a_call_in_the_event_loop_takes_seconds(channel):
    assert longest_seconds(channel().short_client(QUEUE)) == 5


def test_control_a_call_of_kombus_client_takes_minutes(channel):
    assert longest_seconds(channel(StockChannel).sqs(QUEUE)) == 600


@pytest.mark.parametrize("routing_key", [QUEUE, "celery"])
def test_a_rejected_message_is_shown_again_whatever_its_sender_called_the_queue(routing_key, channel):
    sqs = FakeSQS()
    reject(channel(sqs=sqs), routing_key)
    ((name, pause_seconds),) = sqs.calls
    assert name == "change_message_visibility"
    assert 5 <= pause_seconds <= 10  # half of the long poll, and chance


def test_a_rejected_message_that_cannot_be_shown_again_ends_nothing(channel):
    reject(channel(sqs=FakeSQS(AWAY)))


def test_control_kombu_raises_for_a_rejected_message_that_cannot_be_shown_again(channel):
    with pytest.raises(EndpointConnectionError):
        reject(channel(StockChannel, FakeSQS(AWAY)))


def test_control_kombu_raises_for_a_rejected_message_whose_sender_called_the_queue_otherwise(channel):
    with pytest.raises(UndefinedQueueException):
        reject(channel(StockChannel, FakeSQS()), "celery")


def reject(channel, routing_key=QUEUE):
    """Receive a message and give it back."""
    consume(channel)
    receive(channel, routing_key)
    channel.basic_reject("h", requeue=True)
