"""Message validation: every malformed message of the fault tests has its reason, a valid one has none."""

from __future__ import annotations

import json
import zlib

import pytest
from kombu.serialization import dumps

from aforo.sqs import MessagePolicy
from aforo.sqs.observer import InvalidReason
from aforo.sqs.validation import OPTIONS, Call, read_call
from testing.messages import MALFORMED, TASK, b64, envelope, protocol_1

POLICY = MessagePolicy(tasks={TASK}, largest_body_bytes=256 * 1024, allows_compression=False)
LENIENT = MessagePolicy(allows_protocol_1=True)


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


SET_OPTIONS = {
    "shadow": {"headers__shadow": "x"},
    "eta": {"headers__eta": "2100-01-01T00:00:00+00:00"},
    "expires": {"headers__expires": 60},
    "timelimit": {"headers__timelimit": [0.001, None]},
    "group": {"headers__group": "g"},
    "stamped_headers": {"headers__stamped_headers": ["x"]},
    "callbacks": {"body": b64(json.dumps([[], {}, {"callbacks": [{"task": "other"}]}]))},
    "errbacks": {"body": b64(json.dumps([[], {}, {"errbacks": [{"task": "other"}]}]))},
    "chain": {"body": b64(json.dumps([[], {}, {"chain": [{"task": "other"}]}]))},
    "chord": {"body": b64(json.dumps([[], {}, {"chord": {"task": "other"}}]))},
}


@pytest.mark.parametrize("option", SET_OPTIONS)
def test_each_option_that_a_message_sets_is_named(option):
    assert read_call(json.dumps(envelope(**SET_OPTIONS[option]))).options == {option}
    assert set(SET_OPTIONS) == set(OPTIONS)


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"headers__timelimit": [None, None], "headers__shadow": "x"}, {"shadow"}),
        ({"body": b64(json.dumps([[], {}, {"callbacks": [{"task": "other"}], "chain": []}]))}, {"callbacks"}),
        ({}, set()),
    ],
)
def test_the_options_that_a_message_sets_are_named(changes, options):
    assert read_call(json.dumps(envelope(**changes))).options == options


def test_protocol_1_is_opted_into():
    body = json.dumps(protocol_1())
    assert MessagePolicy().invalid_reason(body) == "bad_headers"
    assert LENIENT.accept(body) == Call(TASK, ["x", 0.0], {})
    assert LENIENT.accept(json.dumps(envelope("y", 1.5))) == Call(TASK, ["y", 1.5], {})


@pytest.mark.parametrize("headers", [{}, None, {"tenant": "7"}])
def test_the_call_of_protocol_1_is_in_the_body(headers):
    fields = {"eta": "2100-01-01T00:00:00+00:00", "timelimit": [9, None], "callbacks": [{"task": "other"}]}
    call = LENIENT.accept(json.dumps(protocol_1(fields, headers=headers)))
    assert call == Call(TASK, ["x", 0.0], {}, frozenset({"eta", "timelimit", "callbacks"}), 4102444800.0)
    bare = b64(json.dumps({"task": TASK, "id": "i"}))
    assert LENIENT.accept(json.dumps(protocol_1(headers=headers, body=bare))) == Call(TASK, [], {})


@pytest.mark.parametrize("compression", ["application/x-gzip", None])
@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_the_moment_of_a_compressed_or_pickled_task_of_protocol_1_is_known(serializer, compression):
    fields = {"task": TASK, "id": "i", "args": (), "eta": "2100-01-01T00:00:00+00:00", "timelimit": (None, None)}
    content_type, encoding, data = dumps(fields, serializer)
    data = data.encode() if isinstance(data, str) else data
    body = protocol_1(body=b64(zlib.compress(data) if compression else data), headers__compression=compression)
    policy = MessagePolicy(content_types={content_type}, allows_protocol_1=True)
    call = policy.accept(json.dumps(body | {"content-type": content_type, "content-encoding": encoding}))
    assert call == Call(TASK, [], {}, frozenset({"eta"}), 4102444800.0)


def test_the_headers_of_protocol_1_override_its_body_as_in_celery():
    body = protocol_1({"eta": "tomorrow"}, headers__eta="2100-01-01T00:00:00+00:00")
    assert LENIENT.accept(json.dumps(body)).due_at == 4102444800.0
    assert LENIENT.invalid_reason(json.dumps(protocol_1(headers__eta="tomorrow"))) == "bad_headers"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"body": b64("[[], {}, {}]")}, "bad_headers"),
        ({"body": b64("{}")}, "bad_headers"),
        ({"headers": []}, "bad_headers"),
        ({"headers": {"task": None}}, "bad_headers"),
        ({"body": b64(b"\xff{}")}, "bad_json"),
        ({"headers": {"compression": "zip"}}, "bad_json"),
        ({"fields": {"task": [1]}}, "bad_headers"),
        ({"fields": {"id": None}}, "bad_headers"),
        ({"fields": {"retries": "many"}}, "bad_headers"),
        ({"fields": {"eta": "tomorrow"}}, "bad_headers"),
        ({"fields": {"expires": [1]}}, "bad_headers"),
        ({"fields": {"timelimit": "soon"}}, "bad_headers"),
        ({"fields": {"errbacks": 5}}, "bad_headers"),
        ({"fields": {"chord": 5}}, "bad_headers"),
        ({"fields": {"args": None}}, "bad_arguments"),
        ({"fields": {"kwargs": [1]}}, "bad_arguments"),
        ({"body": b64(json.dumps({"task": TASK, "id": "i", "taskset": 5}))}, "bad_headers"),
    ],
    ids=str,
)
def test_a_malformed_message_of_protocol_1_is_invalid(changes, reason):
    assert LENIENT.invalid_reason(json.dumps(protocol_1(**changes))) == reason
