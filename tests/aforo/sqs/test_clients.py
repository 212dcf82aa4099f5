"""The calls of a hardened app end within a minute, whatever its own options are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from kombu import Connection

from aforo.sqs import clients
from aforo.sqs.hardening import register

QUEUE = {"url": "http://sqs.example/1/q", "access_key_id": "k", "secret_access_key": "s"}


def channel(**options):
    """Return the channel of an app with these transport options. Nothing is sent yet."""
    merged = {"region": "us-east-1", "predefined_queues": {"q": QUEUE}} | options
    return Connection(f"{register()}k:s@", transport_options=merged).channel()


def longest_call_seconds(client):
    config = client.meta.config
    return config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout)


def test_by_default_a_call_ends_within_a_minute():
    assert longest_call_seconds(channel().sqs("q")) <= 60


def test_an_app_may_set_its_own_timeouts():
    config = channel(**{"client-config": {"read_timeout": 20}}).sqs("q").meta.config
    assert (config.read_timeout, config.connect_timeout) == (20, 3)


@pytest.mark.parametrize("options", [{}, {"client-config": {"read_timeout": 99}}], ids=["default", "99 s"])
def test_in_the_event_loop_a_call_ends_within_seconds(options):
    assert longest_call_seconds(channel(**options).short_client("q")) <= 5


def test_a_client_with_an_sts_token_has_short_timeouts_and_each_new_token_is_used(monkeypatch):
    with_role = channel(sts_role_arn="arn:aws:iam::1:role/x")
    tokens, expiry = iter(["first", "second"]), [datetime.now(UTC) + timedelta(hours=1)]

    def credentials():
        return {"AccessKeyId": "k", "SecretAccessKey": "s", "SessionToken": next(tokens), "Expiration": expiry[0]}

    monkeypatch.setattr(with_role, "get_sts_credentials", credentials)
    first = with_role.short_client("q")
    assert longest_call_seconds(first) <= 5
    assert first._request_signer._credentials.token == "first"
    assert with_role.short_client("q") is first
    with_role.sts_expiration = datetime.now(UTC) - timedelta(seconds=1)
    assert with_role.short_client("q")._request_signer._credentials.token == "second"


def test_a_token_is_requested_with_short_timeouts(monkeypatch):
    requests = []

    def client(service, config=None):
        requests.append((service, config and config.read_timeout))
        return SimpleNamespace(assume_role=lambda **_: {"Credentials": "c"})

    monkeypatch.setattr(clients.boto3, "client", client)
    assert channel().generate_sts_session_token("arn", 900) == "c"
    assert requests == [("sts", 3)]


def test_the_endpoint_option_is_used_if_the_url_has_no_host():
    assert channel(endpoint_url="http://sqs.here:1").sqs("q").meta.endpoint_url == "http://sqs.here:1"
    assert channel().sqs("q").meta.endpoint_url == "https://sqs.us-east-1.amazonaws.com"
