"""A Celery task as the body of an SQS message, in kombu's format."""

from __future__ import annotations

import base64
import datetime
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from celery import Celery

from aforo.telemetry.task_start import SENT_AT


@dataclass(frozen=True)
class TaskMessage:
    """A Celery task to send as a message, before it is encoded.

    `headers` has headers in addition to Celery's own. `protocol` is the version of Celery's message format, 1 or 2.
    `routing_key` is the name of the queue in Celery. None means the name in SQS. After the task, kombu deletes the
    message only if kombu knows a queue of the name `routing_key`.
    """

    name: str
    task_id: str
    queue_url: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    protocol: int = 2
    priority: int = 0
    routing_key: str | None = None


def encode_task(app: Celery, task: TaskMessage) -> str:
    """Return the SQS message body for this task, in kombu's format: JSON in base64.

    A header in the body has the current time in epoch seconds as the send time. Other times in `task` become texts in
    ISO format. Raise TypeError for a value that JSON does not have.
    """
    encode = app.amqp.as_task_v2 if task.protocol == 2 else app.amqp.as_task_v1
    message = encode(task.task_id, task.name, args=list(task.args), kwargs=dict(task.kwargs))
    body = json.dumps(message.body, default=_iso_text).encode()
    routing_key = task.routing_key or task.queue_url.rsplit("/", 1)[-1]
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        # our own send time, because kombu before 5.5 does not provide SQS's
        "headers": {**message.headers, **task.headers, SENT_AT: time.time()},
        "properties": {
            **message.properties,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": routing_key},
            "priority": task.priority,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    return base64.b64encode(json.dumps(envelope, default=_iso_text).encode()).decode()


def _iso_text(value: object) -> str:
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    raise TypeError(f"JSON has no {type(value).__name__}")
