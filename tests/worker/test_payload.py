"""The payload of the video task."""

from __future__ import annotations

import json

import pytest

from aforo.sqs.validation import Call
from core.video import PAYLOAD_VERSION, TASK_NAME
from testing.messages import b64
from worker.payload import check_payload, video_and_task_of

PAYLOAD = {"video_id": "v", "run_id": "r", "version": PAYLOAD_VERSION}


def test_the_payload_of_the_injector_is_accepted():
    assert check_payload(Call(TASK_NAME, [], PAYLOAD)) is None


@pytest.mark.parametrize(
    ("args", "changes", "reason"),
    [
        ([], {"version": PAYLOAD_VERSION + 1}, "unknown_version"),
        ([], {"video_id": ""}, "bad_arguments"),
        ([], {"run_id": "r" * 256}, "bad_arguments"),
        ([], {"more": 1}, "bad_arguments"),
        ([1], {}, "bad_arguments"),
        ([], {"video_id": "\ud800"}, "bad_arguments"),
        ([], {"run_id": "r\0"}, "bad_arguments"),
    ],
)
def test_any_other_payload_has_a_reason(args, changes, reason):
    assert check_payload(Call(TASK_NAME, args, PAYLOAD | changes)) == reason


def test_a_payload_with_an_option_of_celery_has_a_reason():
    assert check_payload(Call(TASK_NAME, [], PAYLOAD, frozenset({"timelimit"}))) == "unexpected_option"


@pytest.mark.parametrize("video_id", ["\ud800", "v\0", "v" * 256])
def test_a_message_whose_ids_no_database_can_contain_is_none(video_id):
    message = {"headers": {"id": "t"}, "body": b64(json.dumps([[], {"video_id": video_id}, {}]))}
    assert video_and_task_of(json.dumps(message)) is None


def test_the_video_and_the_task_are_read_from_a_broken_message():
    message = {"headers": {"id": "t"}, "body": b64(json.dumps([[], {"video_id": "v"}, {}]))}
    assert video_and_task_of(json.dumps(message)) == ("v", "t")
    assert video_and_task_of(b64(json.dumps(message))) == ("v", "t")


@pytest.mark.parametrize("body", ["", "not JSON", "[]", "{}", '{"body": "!", "headers": {"id": "t"}}', "[" * 100_000])
def test_a_message_without_ids_is_none(body):
    assert video_and_task_of(body) is None
