"""The observer interface of a hardened app.

The observer receives every poll, invalid message, pending delete and handled error.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol


class Label(str, Enum):  # not enum.StrEnum: the library runs on Python 3.10
    """Base class of the closed sets of label values. `str(member)` is the label value."""

    __str__ = str.__str__


class PollResult(Label):
    """Result of a receive call."""

    MESSAGES = "messages"
    EMPTY = "empty"
    ERROR = "error"
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    DENIED = "denied"


class InvalidReason(Label):
    """Reason for not delivering a message to Celery.

    The dead-lettered message carries the reason in its attribute `aforo_reason`.
    """

    TOO_LARGE = "too_large"
    BAD_JSON = "bad_json"
    BAD_ENVELOPE = "bad_envelope"
    BAD_HEADERS = "bad_headers"
    BAD_PROPERTIES = "bad_properties"
    BAD_CONTENT_TYPE = "bad_content_type"
    BAD_ARGUMENTS = "bad_arguments"
    COMPRESSED = "compressed"
    UNKNOWN_TASK = "unknown_task"
    UNEXPECTED_OPTION = "unexpected_option"  # for an app's own check: a time limit, a callback, an eta …
    UNKNOWN_VERSION = "unknown_version"  # for an app's own check
    UNDELIVERABLE = "undeliverable"  # valid, but Celery raised: left to the redrive policy of the queue


class Operation(Label):
    """Operation of the transport. The label of an error that was logged and ignored."""

    DELETE = "delete"  # the delete is retried
    DEAD_LETTER = "dead_letter"  # SQS delivers the message again
    REJECT = "reject"  # the message stays in its queue
    MAKE_VISIBLE = "make_visible"  # the visibility timeout returns the message
    EXTEND_VISIBILITY = "extend_visibility"  # the next tick of the visibility heartbeat tries again


class ExtensionResult(Label):
    """Result of one heartbeat tick: the worse of two results.

    One result is that of extending the visibility, the other is that of renewing the lease.
    """

    OK = "ok"
    FAILED = "failed"  # the next tick tries again
    GONE = "gone"  # the message or the lease belongs to another worker


class Observer(Protocol):
    """Callbacks for the transport events that an app may want to count.

    Background threads also call these methods. In a forked child, the visibility heartbeat calls the child's own copy
    of the observer.
    """

    def polled(self, result: PollResult) -> None:
        """Handle the result of a receive call."""

    def invalid_message(self, reason: InvalidReason) -> None:
        """Handle the reason for not delivering a message to Celery."""

    def pending_deletes(self, count: int) -> None:
        """Handle the number of finished messages whose delete is being retried."""

    def handled_error(self, operation: Operation) -> None:
        """Handle the operation of an error that was logged and ignored."""

    def visibility_extended(self, result: ExtensionResult) -> None:
        """Handle the result of a heartbeat tick."""

    def stopped_slots(self, count: int, replaced: int) -> None:
        """Handle the number of slots whose process is stopped, and how many of them are replaced now."""


class SilentObserver:
    """An observer that counts nothing."""

    def polled(self, result: PollResult) -> None:
        """Do nothing with the result of a receive call."""

    def invalid_message(self, reason: InvalidReason) -> None:
        """Do nothing with the reason of an invalid message."""

    def pending_deletes(self, count: int) -> None:
        """Do nothing with the number of pending deletes."""

    def handled_error(self, operation: Operation) -> None:
        """Do nothing with the operation of a handled error."""

    def visibility_extended(self, result: ExtensionResult) -> None:
        """Do nothing with the result of a heartbeat tick."""

    def stopped_slots(self, count: int, replaced: int) -> None:
        """Do nothing with the number of stopped slots."""
