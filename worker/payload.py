"""Check the payload of the video task before delivery, and read the ids in dead-lettered messages.

The payload is the arguments of the task: video id, run id and version.
"""

from __future__ import annotations

import json

from aforo.sqs.observer import InvalidReason
from aforo.sqs.validation import Call, InvalidMessage, decode_base64, is_storable, json_text
from core.video import PAYLOAD_VERSION


def check_payload(call: Call) -> InvalidReason | None:
    """Return why the worker must not run this task call, or None if the call is valid.

    A valid call has a complete payload, in the version that this worker supports. A valid call has no options of
    Celery, such as a time limit.
    """
    # a time limit kills the slot's process, a callback runs another task, and an expired message is dropped
    if call.options:
        return InvalidReason.UNEXPECTED_OPTION
    if call.kwargs.get("version") != PAYLOAD_VERSION:
        return InvalidReason.UNKNOWN_VERSION
    ids = (call.kwargs.get("video_id"), call.kwargs.get("run_id"))
    is_complete = not call.args and len(call.kwargs) == 3 and all(map(is_storable, ids))
    return None if is_complete else InvalidReason.BAD_ARGUMENTS


def video_and_task_of(body: str) -> tuple[str, str] | None:
    """Return the video id and the task id in the body of a message.

    Return None if one of these ids is missing, or if a database cannot store it.
    """
    try:
        envelope = json.loads(json_text(body))
        _args, kwargs, _embed = json.loads(decode_base64(envelope["body"]))
        ids = str(kwargs["video_id"]), str(envelope["headers"]["id"])
    except (InvalidMessage, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return ids if all(map(is_storable, ids)) else None
