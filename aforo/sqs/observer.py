"""Interface by which the hardened SQS transport reports its events to an app, which can count them.

The events are receive calls, invalid messages, pending deletes, handled errors, ticks of the visibility heartbeat, and
stopped slots.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

logger = logging.getLogger(__name__)


class Label(str, Enum):  # not enum.StrEnum: the library runs on Python 3.10
    """Base class of enumerations whose members are metric label values. `str(member)` is the label value."""

    __str__ = str.__str__


class PollResult(Label):
    """Result of a receive call to SQS, as a metric label value."""

    MESSAGES = "messages"
    EMPTY = "empty"
    ERROR = "error"
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    DENIED = "denied"


class InvalidReason(Label):
    """Reason why a message is invalid and is not delivered to Celery.

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
    """What the SQS transport was doing when an error was logged and ignored, as a metric label value."""

    DELETE = "delete"  # the delete is retried
    DEAD_LETTER = "dead_letter"  # SQS delivers the message again
    REJECT = "reject"  # the message stays in its queue
    MAKE_VISIBLE = "make_visible"  # the visibility timeout returns the message
    EXTEND_VISIBILITY = "extend_visibility"  # the next tick of the visibility heartbeat tries again


class ExtensionResult(Label):
    """Result of one tick of the visibility heartbeat, as a metric label value.

    A tick renews the lease of a video and extends the visibility of its message. The worse of the two results counts:
    `gone` is worse than `failed`, and `failed` is worse than `ok`.
    """

    OK = "ok"
    FAILED = "failed"  # the next tick tries again
    GONE = "gone"  # the message or the lease belongs to another worker


class Observer(Protocol):
    """Callbacks for the transport events that an app may want to count.

    The methods are also called from background threads. The method `visibility_extended` is called in the process that
    runs the task. In a prefork pool, this process is a child with its own copy of the observer.
    """

    def polled(self, result: PollResult) -> None:
        """Handle the result of a receive call to SQS. The transport calls this after each receive call."""

    def invalid_message(self, reason: InvalidReason) -> None:
        """Handle an invalid message, by its reason. The transport calls this for each invalid message."""

    def pending_deletes(self, count: int) -> None:
        """Handle the number of pending deletes, `count`. The transport calls this after each delete call."""

    def handled_error(self, operation: Operation) -> None:
        """Handle an error that the transport has logged and ignored. The transport calls this for each one.

        `operation` is what the transport was doing when the error occurred.
        """

    def visibility_extended(self, result: ExtensionResult) -> None:
        """Handle the result of one tick of the visibility heartbeat. The heartbeat calls this after each tick."""

    def stopped_slots(self, count: int, replaced: int) -> None:
        """Handle the current number of stopped slots, `count`.

        `replaced` is the number of stopped processes that the transport has just replaced. The transport calls this
        when `count` changes and when it replaces processes.
        """


class SilentObserver:
    """Observer of the SQS transport that does nothing at any event, for an app that counts none.

    A subclass overrides the methods of the events that it needs. The class Observer describes the events.
    """

    def polled(self, result: PollResult) -> None:
        """Do nothing. A subclass can count receive calls by their result."""

    def invalid_message(self, reason: InvalidReason) -> None:
        """Do nothing. A subclass can count invalid messages by their reason."""

    def pending_deletes(self, count: int) -> None:
        """Do nothing. A subclass can record the number of pending deletes, `count`."""

    def handled_error(self, operation: Operation) -> None:
        """Do nothing. A subclass can count handled errors by the operation that failed."""

    def visibility_extended(self, result: ExtensionResult) -> None:
        """Do nothing. A subclass can count ticks of the visibility heartbeat by their result."""

    def stopped_slots(self, count: int, replaced: int) -> None:
        """Do nothing. A subclass can record the number of stopped slots, and count the replaced processes."""


class GuardedObserver:
    """Observer that passes each event on to the observer of an app, and logs what that observer raises.

    The observer is code of the app. Its errors must not stop the transport or one of its threads.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def polled(self, result: PollResult) -> None:
        """Pass on the result of a receive call."""
        self._tell(self._observer.polled, result)

    def invalid_message(self, reason: InvalidReason) -> None:
        """Pass on the reason of an invalid message."""
        self._tell(self._observer.invalid_message, reason)

    def pending_deletes(self, count: int) -> None:
        """Pass on the number of pending deletes."""
        self._tell(self._observer.pending_deletes, count)

    def handled_error(self, operation: Operation) -> None:
        """Pass on the operation that failed."""
        self._tell(self._observer.handled_error, operation)

    def visibility_extended(self, result: ExtensionResult) -> None:
        """Pass on the result of one tick of the visibility heartbeat."""
        self._tell(self._observer.visibility_extended, result)

    def stopped_slots(self, count: int, replaced: int) -> None:
        """Pass on the number of stopped slots, and that of the replaced processes."""
        self._tell(self._observer.stopped_slots, count, replaced)

    def _tell(self, handle: Callable[..., None], *event: Any) -> None:
        try:
            handle(*event)
        except Exception:
            logger.exception("the observer of the SQS transport failed at an event, which is not counted")
