"""Create task messages, valid as from a Celery producer or malformed, and send them to a test queue."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from testing.queues import TestQueue

TASK = "tiny.work"


def b64(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def envelope(name: str = "x", seconds: float = 0.0, **changes: Any) -> dict[str, Any]:
    """Return a valid message of the test task, in the envelope that kombu sends to SQS.

    `name` and `seconds` are the arguments of the task. `changes` sets fields of the message: `headers__eta=1` sets the
    header `eta`.
    """
    task_id = str(uuid.uuid4())
    message: dict[str, Any] = {
        "body": b64(json.dumps([[name, seconds], {}, {"callbacks": None, "errbacks": None}])),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": TASK, "id": task_id, "retries": 0, "timelimit": [None, None], "eta": None},
        "properties": {
            "correlation_id": task_id,
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            "body_encoding": "base64",
            "delivery_tag": task_id,
        },
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = message
        for parent in parents:
            target = target[parent]
        target[last.replace("_", "-") if last.startswith("content") else last] = value
    return message


def protocol_1(fields: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a valid message of the test task in Celery's task protocol 1: its body has the fields of the task.

    `fields` replaces fields of the body. `changes` sets fields of the message, as for `envelope`.
    """
    body = {"task": TASK, "id": "i", "args": ["x", 0.0], "kwargs": {}, "retries": 0, "eta": None, "utc": True}
    body |= {"expires": None, "timelimit": [None, None], "taskset": None, "chord": None, "callbacks": None}
    return envelope(**{"headers": {}, "body": b64(json.dumps(body | (fields or {}))), **changes})


def without(name: str) -> dict[str, Any]:
    message = envelope()
    del message[name]
    return message


def send_task(queue: TestQueue, name: str, seconds: float = 0.0, countdown: float | None = None) -> None:
    """Send one valid message of the test task to a test queue.

    `name` and `seconds` are the arguments of the task. With `countdown`, Celery delays the task for that many seconds.
    """
    eta = None if countdown is None else (datetime.now(UTC) + timedelta(seconds=countdown)).isoformat()
    changes = {"properties__delivery_info__routing_key": queue.name, "headers__eta": eta}
    send_body(queue, _encoded(envelope(name, seconds, **changes)))


def send_tasks(queue: TestQueue, names: Sequence[str]) -> None:
    """Send one valid message of the test task per name, ten per call."""
    changes = {"properties__delivery_info__routing_key": queue.name}
    for start in range(0, len(names), 10):
        bodies = [_encoded(envelope(name, **changes)) for name in names[start : start + 10]]
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        queue.client.send_message_batch(QueueUrl=queue.url, Entries=entries)


def send_body(queue: TestQueue, body: str) -> None:
    """Send a message with this body to a test queue, whether it is valid or not."""
    queue.client.send_message(QueueUrl=queue.url, MessageBody=body)


def _encoded(message: dict[str, Any]) -> str:
    return b64(json.dumps(message))


def zip_bomb(size_bytes: int = 100_000_000) -> str:
    """Return the text of a small message whose body has `size_bytes` bytes after kombu decompresses it."""
    bomb = b64(gzip.compress(b"0" * size_bytes, 9))
    return _encoded(envelope(body=bomb, headers__compression="application/x-gzip"))


#: name → (SQS body, expected reason)
MALFORMED: dict[str, tuple[str, str]] = {
    "not json": ("this is not JSON", "bad_json"),
    "a list": ("[1, 2]", "bad_envelope"),
    "a dict of something else": ('{"a": 1}', "bad_envelope"),
    "broken base64": ("abc=def", "bad_json"),
    "unknown task": (_encoded(envelope(headers__task="no.such.task")), "unknown_task"),
    "pickle": (
        _encoded(envelope(body=b64(pickle.dumps([[], {}, {}])), content_type="application/x-python-serialize")),
        "bad_content_type",
    ),
    "invalid utf-8": (_encoded(envelope(body=b64(b"\xff\xfe[]"))), "bad_json"),
    "body of the wrong shape": (_encoded(envelope(body=b64('"text"'))), "bad_arguments"),
    "arguments missing": (_encoded(envelope(body=b64("[]"))), "bad_arguments"),
    "no headers": (_encoded(without("headers")), "bad_headers"),
    "null body": (_encoded(envelope(body=None)), "bad_envelope"),
    "envelope without body": (_encoded(without("body")), "bad_envelope"),
    "bogus body encoding": (_encoded(envelope(properties__body_encoding="rot13")), "bad_properties"),
    "properties a list": (_encoded(envelope(properties=[1])), "bad_properties"),
    "unknown content type": (_encoded(envelope(content_type="text/x-brainfuck")), "bad_content_type"),
    "bogus content encoding": (_encoded(envelope(content_encoding="klingon")), "bad_content_type"),
    "zip header": (_encoded(envelope(headers__compression="zip")), "compressed"),
    "garbage eta": (_encoded(envelope(headers__eta="tomorrow")), "bad_headers"),
    "garbage retries": (_encoded(envelope(headers__retries="many")), "bad_headers"),
    "garbage timelimit": (_encoded(envelope(headers__timelimit="soon")), "bad_headers"),
    "infinite timelimit": (_encoded(envelope(headers__timelimit=[float("inf"), None])), "bad_headers"),
    "stamped headers a number": (_encoded(envelope(headers__stamped_headers=5)), "bad_headers"),
    "task id that is no text": (_encoded(envelope(headers__id="\ud800")), "bad_headers"),
    "unknown type tag": (_encoded(envelope(headers__stamps={"__type__": "gun", "__value__": "x"})), "bad_json"),
    "deep nesting": ("[" * 100_000, "bad_json"),
    "routing to nowhere": (_encoded(envelope(properties__delivery_info=[1])), "bad_properties"),
    "one MiB": ('"' + "x" * 1_000_000 + '"', "too_large"),
    "zip bomb": (zip_bomb(), "compressed"),
}
