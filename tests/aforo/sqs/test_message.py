"""A received message, read from SQS, from kombu and from Celery's request."""

from __future__ import annotations

from types import SimpleNamespace

from aforo.sqs import ReceivedMessage

URL = "http://sqs.example/1/videos"
ATTRIBUTES = {"ApproximateReceiveCount": "3", "SentTimestamp": "1700000000500"}
ENTRY = {"MessageId": "m", "ReceiptHandle": "h", "Attributes": ATTRIBUTES}
INFO = {"sqs_message": ENTRY, "sqs_queue": URL, "routing_key": "celery"}


def test_the_three_sources_give_the_same_message():
    expected = ReceivedMessage("videos", URL, "h", 3, 1_700_000_000.5, "m")
    assert ReceivedMessage.from_sqs(ENTRY, "videos", URL) == expected
    assert ReceivedMessage.from_kombu(SimpleNamespace(delivery_info=INFO), {"videos": URL}) == expected
    assert ReceivedMessage.from_request(SimpleNamespace(properties={"delivery_info": INFO})) == expected


def test_without_attributes_it_is_a_first_delivery_with_an_unknown_send_time():
    message = ReceivedMessage.from_sqs({"ReceiptHandle": "h"}, "videos", URL)
    assert (message.receive_count, message.sent_at) == (1, None)


def test_a_message_of_another_broker_is_none():
    assert ReceivedMessage.from_kombu(SimpleNamespace(delivery_info={"routing_key": "q"}), {}) is None
    assert ReceivedMessage.from_request(SimpleNamespace(properties=None)) is None
    assert ReceivedMessage.from_request(SimpleNamespace(properties={"delivery_info": {"routing_key": "q"}})) is None
