"""The observer of a hardened app: every poll, invalid message, pending delete and handled error."""

from __future__ import annotations

from enum import Enum
from typing import Protocol


class Label(str, Enum):  # not enum.StrEnum: the library runs on Python 3.10
    """A closed set of label values; an instance is its text."""

    __str__ = str.__str__


class PollResult(Label):
    """How a receive call ended."""

    MESSAGES = "messages"
    EMPTY = "empty"
    ERROR = "error"
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    DENIED = "denied"


class InvalidReason(Label):
    """Why a message is not delivered to Celery; the attribute `aforo_reason` of a dead-lettered one."""

    TOO_LARGE = "too_large"
    BAD_JSON = "bad_json"
    BAD_ENVELOPE = "bad_envelope"
    BAD_HEADERS = "bad_headers"
    BAD_PROPERTIES = "bad_properties"
    BAD_CONTENT_TYPE = "bad_content_type"
    BAD_ARGUMENTS = "bad_arguments"
    COMPRESSED = "compressed"
    UNKNOWN_TASK = "unknown_task"
    UNKNOWN_VERSION = "unknown_version"  # for an app's own check
    UNDELIVERABLE = "undeliverable"  # valid, but Celery raised: left to the redrive policy of the queue


class Operation(Label):
    """What the transport was doing when it met an error that it logged and ignored."""

    DELETE = "delete"  # the delete is retried
    DEAD_LETTER = "dead_letter"  # SQS delivers the message again
    REJECT = "reject"  # the message stays in its queue
    MAKE_VISIBLE = "make_visible"  # the visibility timeout returns the message
    EXTEND_VISIBILITY = "extend_visibility"  # the next tick of the visibility heartbeat tries again


class ExtensionResult(Label):
    """Result of one heartbeat: the worse of extending the visibility and renewing the lease."""

    OK = "ok"
    FAILED = "failed"  # the next tick tries again
    GONE = "gone"  # the message or the lease belongs to another worker


class Observer(Protocol):
    """What an app may want to count.

    Background threads call it too. A heartbeat in a forked child calls the child's copy.
    """

    def polled(self, result: PollResult) -> None:
        """Take the result of a receive call."""

    def invalid_message(self, reason: InvalidReason) -> None:
        """Take the reason why a message was not delivered to Celery."""

    def pending_deletes(self, count: int) -> None:
        """Take the number of finished messages whose delete is being retried."""

    def handled_error(self, operation: Operation) -> None:
        """Take the operation of an error that was logged and ignored."""

    def visibility_extended(self, result: ExtensionResult) -> None:
        """Take the result of a heartbeat tick."""


class SilentObserver:
    """An observer that counts nothing."""

    def polled(self, result: PollResult) -> None:
        """Ignore it."""

    def invalid_message(self, reason: InvalidReason) -> None:
        """Ignore it."""

    def pending_deletes(self, count: int) -> None:
        """Ignore it."""

    def handled_error(self, operation: Operation) -> None:
        """Ignore it."""

    def visibility_extended(self, result: ExtensionResult) -> None:
        """Ignore it."""
