"""Says whether Celery can read a message, before Celery tries: five malformed shapes end a stock worker, two vanish."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from kombu.utils import json as kombu_json

from core.video import PAYLOAD_VERSION

LARGEST_BODY_BYTES = 256 * 1024


class Defect(StrEnum):
    """Why a message is moved to the dead-letter queue unread; the value of its attribute `aforo_reason`."""

    TOO_LARGE = "too_large"
    BAD_JSON = "bad_json"
    BAD_ENVELOPE = "bad_envelope"
    BAD_HEADERS = "bad_headers"
    BAD_PROPERTIES = "bad_properties"
    BAD_CONTENT_TYPE = "bad_content_type"
    BAD_ARGUMENTS = "bad_arguments"
    COMPRESSED = "compressed"
    UNKNOWN_TASK = "unknown_task"
    UNKNOWN_VERSION = "unknown_version"
    UNDELIVERABLE = "undeliverable"  # readable, and still Celery raised: left to SQS's redrive


@dataclass(frozen=True)
class Call:
    """What a message asks for."""

    task: str
    args: list[Any]
    kwargs: dict[str, Any]


def any_call(_call: Call) -> Defect | None:
    """Take every call."""
    return None


def our_call(call: Call) -> Defect | None:
    """Take only payloads of the video task, in the version this worker knows."""
    if call.kwargs.get("version") != PAYLOAD_VERSION:
        return Defect.UNKNOWN_VERSION
    names = (call.kwargs.get("video_id"), call.kwargs.get("run_id"))
    whole = not call.args and len(call.kwargs) == 3 and all(_is_name(name) for name in names)
    return None if whole else Defect.BAD_ARGUMENTS


@dataclass(frozen=True)
class Rules:
    """What a worker takes: its tasks (None means any), the largest body, and a check of the call itself."""

    tasks: Container[str] | None = None
    largest_body_bytes: int = LARGEST_BODY_BYTES
    check: Callable[[Call], Defect | None] = any_call

    def defect_of(self, body: object) -> Defect | None:
        """Return why this SQS body is not for this worker, None when it is."""
        try:
            call = read_call(body, self.largest_body_bytes)
        except Unreadable as unreadable:
            return unreadable.defect
        if self.tasks is not None and call.task not in self.tasks:
            return Defect.UNKNOWN_TASK
        return self.check(call)


class Unreadable(Exception):
    """A body Celery must not see."""

    def __init__(self, defect: Defect) -> None:
        super().__init__(defect)
        self.defect = defect


def read_call(body: object, largest_body_bytes: int = LARGEST_BODY_BYTES) -> Call:
    """Return what a Celery message (protocol 2, JSON, as kombu wraps it for SQS) asks for; raise Unreadable.

    Nothing is decompressed or unpickled here, and all of it is checked before Celery's own decoders run.
    """
    _require(isinstance(body, str), Defect.BAD_ENVELOPE)
    _require(len(str(body).encode("utf-8", "replace")) <= largest_body_bytes, Defect.TOO_LARGE)
    envelope = _parse(_plain(str(body)))
    _require(isinstance(envelope, dict) and isinstance(envelope.get("body"), str), Defect.BAD_ENVELOPE)
    headers = envelope.get("headers")
    _require(isinstance(headers, dict), Defect.BAD_HEADERS)
    _require("compression" not in headers, Defect.COMPRESSED)
    for name, is_good in _HEADERS.items():
        _require(is_good(headers.get(name)), Defect.BAD_HEADERS)
    _check_properties(envelope.get("properties"))
    _require(envelope.get("content-type") == "application/json", Defect.BAD_CONTENT_TYPE)
    _require(envelope.get("content-encoding") == "utf-8", Defect.BAD_CONTENT_TYPE)
    args, kwargs = _arguments(envelope["body"])
    return Call(headers["task"], args, kwargs)


def video_named_in(body: str) -> tuple[str, str] | None:
    """Return the video's id and the task's id that a message tells, however broken the rest of it is; None if none."""
    try:
        envelope = json.loads(_plain(body))
        _args, kwargs, _embed = json.loads(_decode(envelope["body"]))
        return str(kwargs["video_id"]), str(envelope["headers"]["id"])
    except (Unreadable, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _require(holds: bool, defect: Defect) -> None:
    if not holds:
        raise Unreadable(defect)


def _plain(body: str) -> str:
    """Return the JSON text of a body that may be base64, as kombu writes it by default."""
    return body if body.lstrip().startswith(("{", "[")) else _decode(body)


def _decode(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        raise Unreadable(Defect.BAD_JSON) from None


def _parse(text: str) -> Any:
    """Return the JSON value as kombu will see it: its type tags run decoders that raise all sorts of things."""
    try:
        return kombu_json.loads(text)
    except Exception:
        raise Unreadable(Defect.BAD_JSON) from None


def _check_properties(properties: object) -> None:
    _require(isinstance(properties, dict), Defect.BAD_PROPERTIES)
    assert isinstance(properties, dict)  # noqa: S101 (told to the type checker)
    _require(properties.get("body_encoding") == "base64", Defect.BAD_PROPERTIES)
    for name, is_good in _PROPERTIES.items():
        _require(is_good(properties.get(name)), Defect.BAD_PROPERTIES)


def _arguments(body: str) -> tuple[list[Any], dict[str, Any]]:
    payload = _parse(_decode(body))
    _require(isinstance(payload, list) and len(payload) == 3, Defect.BAD_ARGUMENTS)
    args, kwargs, embed = payload
    _require(isinstance(args, list) and isinstance(kwargs, dict), Defect.BAD_ARGUMENTS)
    _require(embed is None or isinstance(embed, dict), Defect.BAD_ARGUMENTS)
    return args, kwargs


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 255


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_count(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _is_moment(value: object) -> bool:
    if value is None:
        return True
    try:
        return bool(datetime.fromisoformat(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _is_expiry(value: object) -> bool:
    return _is_seconds(value) or _is_moment(value)


def _is_seconds(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _is_time_limit(value: object) -> bool:
    return value is None or (isinstance(value, list) and len(value) == 2 and all(_is_seconds(part) for part in value))


def _is_routing(value: object) -> bool:
    return value is None or (
        isinstance(value, dict) and _is_text(value.get("exchange")) and _is_text(value.get("routing_key"))
    )


def _is_mapping(value: object) -> bool:
    return value is None or isinstance(value, dict)


#: Every header Celery's `Request` reads in the main process, and what it can read.
_HEADERS: dict[str, Callable[[object], bool]] = {
    "task": _is_name,
    "id": _is_name,
    "root_id": _is_text,
    "parent_id": _is_text,
    "group": _is_text,
    "shadow": _is_text,
    "argsrepr": _is_text,
    "kwargsrepr": _is_text,
    "origin": _is_text,
    "retries": _is_count,
    "eta": _is_moment,
    "expires": _is_expiry,
    "timelimit": _is_time_limit,
    "stamps": _is_mapping,
}
_PROPERTIES: dict[str, Callable[[object], bool]] = {
    "delivery_info": _is_routing,
    "correlation_id": _is_text,
    "reply_to": _is_text,
}
