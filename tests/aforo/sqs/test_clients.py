"""No client of a hardened app waits for minutes, whatever the app says or does not say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from kombu import Connection

from aforo.sqs import channel as channel_module
from aforo.sqs import clients

QUEUE = {"url": "http://sqs.example/1/q", "access_key_id": "k", "secret_access_key": "s"}


def channel(**options):
    """Return the channel of an app with these transport options; nothing is sent until it is used."""
    wanted = {"region": "us-east-1", "predefined_queues": {"q": QUEUE}} | options
    return Connection(f"{channel_module.register()}k:s@", transport_options=wanted).channel()


def longest_call_seconds(client):
    config = client.meta.config
    return config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout)


def test_without_a_word_from_the_app_a_call_ends_within_a_minute():
    assert longest_call_seconds(channel().sqs("q")) <= 60


def test_an_app_may_say_otherwise():
    config = channel(**{"client-config": {"read_timeout": 20}}).sqs("q").meta.config
    assert (config.read_timeout, config.connect_timeout) == (20, 3)


@pytest.mark.parametrize("options", [{}, {"client-config": {"read_timeout": 99}}], ids=["silent", "patient"])
def test_in_the_event_loop_a_call_ends_within_seconds(options):
    assert longest_call_seconds(channel(**options).short_client("q")) <= 5


def test_with_a_token_of_sts_too_and_each_new_token_is_used(monkeypatch):
    made = channel(sts_role_arn="arn:aws:iam::1:role/x")
    tokens, expiry = iter(["first", "second"]), [datetime.now(UTC) + timedelta(hours=1)]

    def credentials():
        return {"AccessKeyId": "k", "SecretAccessKey": "s", "SessionToken": next(tokens), "Expiration": expiry[0]}

    monkeypatch.setattr(made, "get_sts_credentials", credentials)
    first = made.short_client("q")
    assert longest_call_seconds(first) <= 5
    assert first._request_signer._credentials.token == "first"
    assert made.short_client("q") is first
    made.sts_expiration = datetime.now(UTC) - timedelta(seconds=1)
    assert made.short_client("q")._request_signer._credentials.token == "second"


def test_a_token_is_asked_for_with_short_timeouts(monkeypatch):
    asked = []

    def client(service, config=None):
        asked.append((service, config and config.read_timeout))
        return SimpleNamespace(assume_role=lambda **_: {"Credentials": "c"})

    monkeypatch.setattr(clients.boto3, "client", client)
    assert channel().generate_sts_session_token("arn", 900) == "c"
    assert asked == [("sts", 3)]


def test_an_endpoint_of_the_options_is_used_where_the_url_names_none():
    assert channel(endpoint_url="http://sqs.here:1").sqs("q").meta.endpoint_url == "http://sqs.here:1"
    assert channel().sqs("q").meta.endpoint_url == "https://sqs.us-east-1.amazonaws.com"
