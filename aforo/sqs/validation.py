"""Check a message before Celery decodes it, so that a malformed one cannot harm the worker.

Without this check, a malformed message could end the worker process, or be lost.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Container, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from kombu.compression import decompress
from kombu.serialization import loads
from kombu.utils import json as kombu_json

from aforo.sqs.observer import InvalidReason

#: what SQS accepts
LARGEST_BODY_BYTES = 1024 * 1024
JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Call:
    """Task call in a message: task name, arguments, and the options (such as `eta`) that are set.

    `options` has only names from the constant OPTIONS. For a message of protocol 2 that is compressed or not
    JSON, `args` and `kwargs` are empty.
    """

    task: str
    args: list[Any]
    kwargs: dict[str, Any]
    options: frozenset[str] = frozenset()
    due_at: float | None = None  # epoch seconds, of a countdown or an eta


def accept_any(_call: Call) -> InvalidReason | None:
    """Return None: accept every task call. This is the default `check` of a MessagePolicy."""
    return None


@dataclass(frozen=True)
class MessagePolicy:
    """Rules of an app that decide which messages are valid, in addition to the checks of `read_call`.

    `tasks` has the accepted task names, or is None to accept all. A body above `largest_body_bytes` is invalid. If
    `allows_compression` is False, a compressed message is invalid. `content_types` has the content types of the
    accepted bodies: only JSON is read, and others are left to Celery. `check` gets the task call, and returns a reason
    to reject the call, or None. If `allows_protocol_1` is True, messages of Celery's task protocol 1 are valid too.
    Celery decodes their bodies in its main process, so they are decoded here too, whatever their content type.
    """

    tasks: Container[str] | None = None
    largest_body_bytes: int = LARGEST_BODY_BYTES
    allows_compression: bool = True
    content_types: Set[str] = frozenset({JSON_TYPE})
    check: Callable[[Call], InvalidReason | None] = accept_any
    allows_protocol_1: bool = False

    def invalid_reason(self, body: object) -> InvalidReason | None:
        """Return why this policy does not accept the body of an SQS message, or None if it accepts the body."""
        try:
            self.accept(body)
        except InvalidMessage as invalid:
            return invalid.reason
        return None

    def accept(self, body: object) -> Call:
        """Check the body of an SQS message by this policy, and return the task call in it.

        Raise InvalidMessage if the policy does not accept the body.
        """
        call = read_call(
            body, self.largest_body_bytes, self.allows_compression, self.content_types, self.allows_protocol_1
        )
        _require(self.tasks is None or call.task in self.tasks, InvalidReason.UNKNOWN_TASK)
        if (reason := self.check(call)) is not None:
            raise InvalidMessage(reason)
        return call


class InvalidMessage(Exception):
    """Error: an SQS message is invalid and must not be delivered to Celery. `reason` says why."""

    def __init__(self, reason: InvalidReason) -> None:
        super().__init__(reason)
        self.reason = reason


def read_call(
    body: object,
    largest_body_bytes: int = LARGEST_BODY_BYTES,
    allows_compression: bool = False,
    content_types: Set[str] = frozenset({JSON_TYPE}),
    allows_protocol_1: bool = False,
) -> Call:
    """Parse the task call in the body of an SQS message. Raise InvalidMessage if the body is malformed.

    The body must be Celery's task protocol 2 in kombu's JSON object, or protocol 1 with `allows_protocol_1`.
    InvalidMessage is also raised for a body above `largest_body_bytes`, for a content type that is not in
    `content_types`, and for a compressed body without `allows_compression`. Only a body of protocol 1 is
    decompressed or unpickled.
    """
    _require(isinstance(body, str), InvalidReason.BAD_ENVELOPE)
    _require(len(str(body).encode("utf-8", "replace")) <= largest_body_bytes, InvalidReason.TOO_LARGE)
    envelope = _parse(json_text(str(body)))
    _require(isinstance(envelope, dict) and isinstance(envelope.get("body"), str), InvalidReason.BAD_ENVELOPE)
    headers = envelope.get("headers")
    if allows_protocol_1 and headers is None:
        headers = {}  # as kombu reads it
    _require(isinstance(headers, dict), InvalidReason.BAD_HEADERS)
    is_compressed = "compression" in headers
    _require(allows_compression or not is_compressed, InvalidReason.COMPRESSED)
    is_protocol_1 = allows_protocol_1 and "task" not in headers
    if not is_protocol_1:
        _check_fields(headers, _HEADERS)
    _check_properties(envelope.get("properties"))
    content_type, encoding = envelope.get("content-type"), envelope.get("content-encoding")
    _require(isinstance(content_type, str) and content_type in content_types, InvalidReason.BAD_CONTENT_TYPE)
    is_json = content_type == JSON_TYPE
    _require(encoding == "utf-8" if is_json else isinstance(encoding, str), InvalidReason.BAD_CONTENT_TYPE)
    if is_protocol_1:
        return _protocol_1_call(envelope, headers, content_types)
    args, kwargs, embed = _arguments(envelope["body"]) if is_json and not is_compressed else ([], {}, {})
    return Call(headers["task"], args, kwargs, _options(headers | embed), _epoch(headers.get("eta")))


def _require(holds: bool, reason: InvalidReason) -> None:
    if not holds:
        raise InvalidMessage(reason)


def json_text(body: str) -> str:
    """Return the JSON text in the body of an SQS message. The body is this text, or its base64 form.

    Raise InvalidMessage if the base64 cannot be decoded.
    """
    return body if body.lstrip().startswith(("{", "[")) else decode_base64(body)


def decode_base64(text: str) -> str:
    """Return the decoded text of the base64 `text`. Raise InvalidMessage if the decoding fails."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        raise InvalidMessage(InvalidReason.BAD_JSON) from None


def _parse(text: str) -> Any:
    """Return the JSON value as kombu will read it.

    Type tags in the JSON make kombu run decoders, which may raise any exception.
    """
    try:
        return kombu_json.loads(text)
    except Exception:
        raise InvalidMessage(InvalidReason.BAD_JSON) from None


def _check_fields(fields: dict[str, Any], checks: Mapping[str, Callable[[object], bool]]) -> None:
    for name, is_good in checks.items():
        _require(is_good(fields.get(name)), InvalidReason.BAD_HEADERS)


def _check_properties(properties: object) -> None:
    _require(isinstance(properties, dict), InvalidReason.BAD_PROPERTIES)
    assert isinstance(properties, dict)  # noqa: S101 (for the type checker)
    _require(properties.get("body_encoding") == "base64", InvalidReason.BAD_PROPERTIES)
    for name, is_good in _PROPERTIES.items():
        _require(is_good(properties.get(name)), InvalidReason.BAD_PROPERTIES)


def _arguments(body: str) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    payload = _parse(decode_base64(body))
    _require(isinstance(payload, list) and len(payload) == 3, InvalidReason.BAD_ARGUMENTS)
    args, kwargs, embed = payload
    _require(isinstance(args, list) and isinstance(kwargs, dict), InvalidReason.BAD_ARGUMENTS)
    _require(embed is None or isinstance(embed, dict), InvalidReason.BAD_ARGUMENTS)
    return args, kwargs, embed or {}


def _protocol_1_call(envelope: dict[str, Any], headers: dict[str, Any], content_types: Set[str]) -> Call:
    """Return the call of a message of protocol 1, which has the fields of a task in its body, not in its headers."""
    body = _decoded(envelope, headers, content_types)
    _require(isinstance(body, dict), InvalidReason.BAD_HEADERS)
    # as in Celery: with arguments the headers override the body, without them they are not read
    fields = body | headers if "args" in body else {**body, "group": body.get("taskset", body.get("group"))}
    if isinstance(limit := fields.get("timelimit"), tuple):  # pickle keeps it
        fields["timelimit"] = list(limit)
    _check_fields(fields, _HEADERS | _PROTOCOL_1)
    args, kwargs = body.get("args", []), body.get("kwargs", {})
    _require(isinstance(args, list | tuple) and isinstance(kwargs, dict), InvalidReason.BAD_ARGUMENTS)
    return Call(fields["task"], list(args), kwargs, _options(fields), _epoch(fields.get("eta")))


def _decoded(envelope: dict[str, Any], headers: dict[str, Any], content_types: Set[str]) -> Any:
    """Return the body as Celery will decode it. A decompressor or a decoder may raise any exception."""
    try:
        data = base64.b64decode(envelope["body"], validate=True)
        if headers.get("compression"):
            data = decompress(data, headers["compression"])
        return loads(data, envelope["content-type"], envelope["content-encoding"], accept=content_types)
    except Exception:
        raise InvalidMessage(InvalidReason.BAD_JSON) from None


def _options(fields: dict[str, Any]) -> frozenset[str]:
    """Return which OPTIONS the fields set. A time limit is a pair, which may be empty."""
    values = {name: fields.get(name) for name in OPTIONS}
    values["timelimit"] = any(values["timelimit"] or ())
    return frozenset(name for name, value in values.items() if value)


def is_storable(text: object) -> bool:
    """Return True for a text of 1 to 255 characters that logs and databases can store.

    Databases cannot store the character NUL, nor a lone surrogate, which JSON can contain.
    """
    if not isinstance(text, str) or not 0 < len(text) <= 255 or "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _are_names(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(name, str) for name in value))


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


def _epoch(moment: str | None) -> float | None:
    """Return an ISO moment in epoch seconds. Celery's senders write UTC."""
    if moment is None:
        return None
    parsed = datetime.fromisoformat(moment)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)).timestamp()


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


def _are_calls(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(call, dict) for call in value))


def _is_mapping(value: object) -> bool:
    return value is None or isinstance(value, dict)


#: what a message can ask of Celery beyond the call itself
OPTIONS = (
    "shadow",
    "eta",
    "expires",
    "timelimit",
    "group",
    "stamped_headers",
    "callbacks",
    "errbacks",
    "chain",
    "chord",
)
#: Every header that Celery's `Request` reads in the main process, with a check for what it can read.
_HEADERS: dict[str, Callable[[object], bool]] = {
    "task": is_storable,
    "id": is_storable,
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
    "stamped_headers": _are_names,
}
#: What protocol 1 has in its body, and Celery's main process reads when a task ends badly.
_PROTOCOL_1: dict[str, Callable[[object], bool]] = {
    "callbacks": _are_calls,
    "errbacks": _are_calls,
    "chord": _is_mapping,
}
_PROPERTIES: dict[str, Callable[[object], bool]] = {
    "delivery_info": _is_routing,
    "correlation_id": _is_text,
    "reply_to": _is_text,
}
