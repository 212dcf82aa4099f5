"""Reasons why an exporter cannot read its metrics: the values of the label `reason`.

The function `fault_of` finds the reason of an exception.
"""

from __future__ import annotations

from enum import StrEnum

from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from sqlalchemy.exc import DBAPIError


class Fault(StrEnum):
    """Reason why an exporter could not read its metrics, as a value of the label `reason`."""

    STARTING = "starting"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    DENIED = "denied"
    THROTTLED = "throttled"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    INTERNAL = "internal"


class SourceNotReady(Exception):
    """Error of a source of metrics whose first read of the database or of SQS has not finished."""


_AWS_CODES = (
    (Fault.NOT_FOUND, ("NonExistentQueue", "QueueDoesNotExist")),
    (Fault.THROTTLED, ("Throttl", "TooManyRequests", "SlowDown")),
    (Fault.DENIED, ("AccessDenied", "Forbidden", "InvalidClientTokenId", "Signature", "Expired", "Unauthorized")),
    (Fault.UNREACHABLE, ("ServiceUnavailable", "InternalError", "InternalFailure")),
)
_SQLSTATES = (
    (Fault.TIMEOUT, ("57014", "55P03")),
    (Fault.DENIED, ("28", "42501")),
    (Fault.NOT_FOUND, ("42P01", "42703", "3D000")),
    (Fault.UNREACHABLE, ("08", "57P", "53")),
)


def fault_of(error: BaseException) -> Fault:
    """Return the failure reason (a value of the label `reason`) that matches this exception."""
    if isinstance(error, SourceNotReady):
        return Fault.STARTING
    if isinstance(error, TimeoutError | ConnectTimeoutError | ReadTimeoutError):
        return Fault.TIMEOUT
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return Fault.DENIED
    if isinstance(error, ClientError):
        return _of_aws(error)
    if isinstance(error, DBAPIError):
        return _of_database(error)
    return Fault.UNREACHABLE if isinstance(error, HTTPClientError | OSError) else Fault.INTERNAL


def _of_aws(error: ClientError) -> Fault:
    code = error.response["Error"]["Code"]
    return next((fault for fault, marks in _AWS_CODES if any(mark in code for mark in marks)), Fault.REFUSED)


def _of_database(error: DBAPIError) -> Fault:
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return next((fault for fault, starts in _SQLSTATES if state.startswith(starts)), Fault.REFUSED)
    return _of_sqlite(str(error.orig))


def _of_sqlite(message: str) -> Fault:
    """Return the reason for an error that has no SQLSTATE, from its text.

    Such errors come from SQLite, or from libpq without a connection.
    """
    patterns = (
        (Fault.TIMEOUT, ("interrupted", "locked", "timeout expired")),
        (Fault.NOT_FOUND, ("no such table", "no such column")),
        (Fault.DENIED, ("password", "not authorized")),
        (Fault.UNREACHABLE, ("unable to open", "connection", "closed", "disk I/O")),
    )
    return next((fault for fault, marks in patterns if any(mark in message for mark in marks)), Fault.REFUSED)
