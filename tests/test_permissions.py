"""The permissions in docs/operating.md allow each role every AWS call of its program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

#: boto3's methods and their IAM actions
ACTIONS = {
    "get_queue_url": "GetQueueUrl",
    "get_queue_attributes": "GetQueueAttributes",
    "receive_message": "ReceiveMessage",
    "delete_message": "DeleteMessage",
    "delete_message_batch": "DeleteMessage",
    "change_message_visibility": "ChangeMessageVisibility",
    "change_message_visibility_batch": "ChangeMessageVisibility",
    "send_message": "SendMessage",
    "send_message_batch": "SendMessage",
    "list_queues": "ListQueues",
    "download_file": "GetObject",
    "get_object": "GetObject",
    "head_object": "ListBucket",  # without it a missing object is 403 instead of 404
    "upload_file": "PutObject",
    "put_object": "PutObject",
    "delete_object": "DeleteObject",
    "list_multipart_uploads": "ListBucketMultipartUploads",
    "abort_multipart_upload": "AbortMultipartUpload",
}
#: the sources of each role's own calls; kombu's calls are in the table of docs/operating.md only
SOURCES = {
    "worker": ("worker/**/*.py", "aforo/**/*.py", "core/sqs_queue.py", "core/queue_contract.py", "core/storage.py"),
    "injector": ("injector/**/*.py",),
    "`make matrix`, `search`": ("capacity/experiments/early_stop.py",),
    "exporters": ("exporters/sqs/queue_watcher.py",),
}
#: calls that only an emulator receives
LOCAL_ONLY = {"create_queue", "create_bucket"}
CALL = re.compile(r"(?:client|\))\.([a-z]+_[a-z_]+)\(|get_paginator\(\"(\w+)\"\)")


def rows():
    lines = Path("docs/operating.md").read_text(encoding="utf-8").splitlines()
    table = [line.strip("|").split("|") for line in lines if line.startswith("|") and line.count("|") == 5]
    return {cells[0].strip(): set(re.findall(r"\b[A-Z][A-Za-z]+\b", " ".join(cells[1:]))) for cells in table}


def calls(patterns):
    texts = (file.read_text(encoding="utf-8") for pattern in patterns for file in Path().glob(pattern))
    return {name or paged for text in texts for name, paged in CALL.findall(text)}


@pytest.mark.parametrize("role", SOURCES)
def test_a_role_is_allowed_every_call_of_its_program(role):
    actions = {ACTIONS[name] for name in calls(SOURCES[role]) & ACTIONS.keys()}
    assert actions
    assert actions <= rows()[role]


def test_the_calls_of_the_transport_are_covered():
    queue = {"get_queue_attributes", "get_queue_url", "send_message_batch"}
    expected = queue | {"change_message_visibility", "delete_message", "delete_message_batch"}
    assert expected <= calls(["aforo/sqs/*.py"])
    assert calls(["aforo/sqs/*.py"]) & ACTIONS.keys() <= calls(SOURCES["worker"])


def test_every_call_is_known():
    listed = ACTIONS.keys() | LOCAL_ONLY
    programs = ("aforo", "worker", "injector", "capacity", "exporters", "core", "provision")
    sent = calls([f"{program}/**/*.py" for program in programs])
    of_aws = {name for name in sent if re.search(r"queue|message|object|bucket|upload|download", name)}
    assert of_aws - listed == set()
