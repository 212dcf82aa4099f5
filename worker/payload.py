"""The payload of the video task: check before delivery, and parsing of dead-lettered messages."""

from __future__ import annotations

import json

from aforo.sqs.observer import InvalidReason
from aforo.sqs.validation import Call, InvalidMessage, decode_base64, json_text
from core.video import PAYLOAD_VERSION


def check_payload(call: Call) -> InvalidReason | None:
    """Return the reason why the worker cannot process the payload of `call`, or None if it can.

    Valid payloads are those of the video task, in the version that this worker supports.
    """
    if call.kwargs.get("version") != PAYLOAD_VERSION:
        return InvalidReason.UNKNOWN_VERSION
    ids = (call.kwargs.get("video_id"), call.kwargs.get("run_id"))
    is_complete = not call.args and len(call.kwargs) == 3 and all(_is_id(value) for value in ids)
    return None if is_complete else InvalidReason.BAD_ARGUMENTS


def video_and_task_of(body: str) -> tuple[str, str] | None:
    """Return the video id and the task id of a message, even if the rest of the message is malformed.

    Return None if the message does not contain them.
    """
    try:
        envelope = json.loads(json_text(body))
        _args, kwargs, _embed = json.loads(decode_base64(envelope["body"]))
        return str(kwargs["video_id"]), str(envelope["headers"]["id"])
    except (InvalidMessage, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 255
