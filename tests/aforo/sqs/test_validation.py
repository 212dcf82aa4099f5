"""Message validation: every malformed message of the fault tests has its reason, a valid one has none."""

from __future__ import annotations

import json

import pytest

from aforo.sqs import MessagePolicy
from aforo.sqs.observer import InvalidReason
from aforo.sqs.validation import Call, read_call
from testing.messages import MALFORMED, TASK, b64, envelope

POLICY = MessagePolicy(tasks={TASK}, largest_body_bytes=256 * 1024, allows_compression=False)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_message_has_its_reason(name):
    body, reason = MALFORMED[name]
    assert POLICY.invalid_reason(body) == reason


@pytest.mark.parametrize("encode", [str, b64], ids=["plain", "base64"])
def test_a_valid_message_is_accepted_plain_and_as_base64(encode):
    body = encode(json.dumps(envelope("x", 1.5)))
    assert read_call(body) == Call(TASK, ["x", 1.5], {})
    assert POLICY.invalid_reason(body) is None


def test_an_apps_own_check_comes_last():
    policy = MessagePolicy(tasks={TASK}, check=lambda call: InvalidReason.UNKNOWN_VERSION if call.args else None)
    assert policy.invalid_reason(json.dumps(envelope("x"))) == "unknown_version"
    assert policy.invalid_reason(MALFORMED["unknown task"][0]) == "unknown_task"


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"headers__timelimit": [0.001, None]}, {"timelimit"}),
        ({"headers__eta": "2100-01-01T00:00:00+00:00"}, {"eta"}),
        ({"headers__shadow": "x"}, {"shadow"}),
        ({"body": b64(json.dumps([[], {}, {"callbacks": [{"task": "other"}], "chain": []}]))}, {"callbacks"}),
        ({}, set()),
    ],
)
def test_the_options_that_a_message_sets_are_named(changes, options):
    assert read_call(json.dumps(envelope(**changes))).options == options
