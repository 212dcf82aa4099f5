"""Error classes of all programs. The user sees each error as one line."""

from __future__ import annotations

import errno
from enum import IntEnum

from core.passwords import without_passwords

#: error numbers of a disk without space or inodes, or of a quota
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
#: most characters of a value in an error: those of a path in a folder of folders
VALUE_LENGTH = 120


class ExitCode(IntEnum):
    """Exit codes of all programs."""

    DONE = 0
    RUN_FAILED = 1
    USAGE = 2
    ENVIRONMENT = 3
    GOAL_MISSED = 4
    CAPACITY_LOST = 5
    INTERRUPTED = 130


class AforoError(Exception):
    """Base class of errors that the user sees as one line: `WHAT (VALUE); WHY; REMEDY`.

    WHAT names an option, a file or a service, and VALUE is its value. WHY says what is wrong. REMEDY says what the user
    can do. If the argument `value` is None, the line has no `(VALUE)`. Passwords in URLs are masked.
    """

    exit_code = ExitCode.RUN_FAILED

    def __init__(self, what: str, why: str, remedy: str, *, value: object = None) -> None:
        shown = "" if value is None else f" ({printable(without_passwords(str(value)), VALUE_LENGTH)})"
        super().__init__(without_passwords(f"{what}{shown}; {why}; {remedy}"))


class UsageError(AforoError):
    """Error for invalid input: an option, an argument, a file of the user or a setting."""

    exit_code = ExitCode.USAGE


class EnvironmentFault(AforoError):
    """Error for a machine, a service or its configuration that does not meet a requirement."""

    exit_code = ExitCode.ENVIRONMENT


class RunFailed(AforoError):
    """Error for a run that did not end successfully."""


class GoalMissed(AforoError):
    """Error for a result that misses a goal of the user, or that cannot be compared with the goal."""

    exit_code = ExitCode.GOAL_MISSED


class CapacityLost(AforoError):
    """Error for a cell that became slower over its runs, by more than the user allows.

    Slower means a lower X_sat. If no X_sat of the cell is known, slower means a longer mean service time.
    """

    exit_code = ExitCode.CAPACITY_LOST


def printable(value: object, limit: int = 80) -> str:
    """Return a value as text on one line of at most `limit` characters, with control characters escaped.

    A longer text loses its middle, because the end of a path is the name of the file.
    """
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))
    start = limit // 2
    return text if len(text) <= limit else f"{text[:start]}…{text[1 + start - limit :]}"


def is_interruption(error: BaseException | None) -> bool:
    """Return True if `error` is a KeyboardInterrupt (Ctrl-C), or was raised while one was being handled.

    SQLAlchemy raises an AssertionError in its place if it interrupts a commit.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def first_line(error: object) -> str:
    """Return the first line of the text of `error`, without the full stop at its end.

    `error` is an exception or a text. If `error` has no text, return the name of its class. The result has at most 300
    characters.
    """
    line = str(error).strip().split("\n", 1)[0].rstrip(".")
    return printable(line, limit=300) or type(error).__name__
