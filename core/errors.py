"""The error classes of all programs. Each error is shown to the user as one line."""

from __future__ import annotations

from enum import IntEnum

from core.passwords import without_passwords


class ExitCode(IntEnum):
    """Exit codes of every program."""

    DONE = 0
    RUN_FAILED = 1
    USAGE = 2
    ENVIRONMENT = 3
    GOAL_MISSED = 4
    CAPACITY_LOST = 5
    INTERRUPTED = 130


class AforoError(Exception):
    """Error shown as one line: the problem with its value, the reason and the remedy."""

    exit_code = ExitCode.RUN_FAILED

    def __init__(self, what: str, why: str, remedy: str, *, value: object = None) -> None:
        shown = "" if value is None else f" ({printable(without_passwords(str(value)))})"
        super().__init__(without_passwords(f"{what}{shown}; {why}; {remedy}"))


class UsageError(AforoError):
    """Error: invalid input, that is an option, an argument or a setting."""

    exit_code = ExitCode.USAGE


class EnvironmentFault(AforoError):
    """Error: the machine, a service or its configuration does not meet a requirement."""

    exit_code = ExitCode.ENVIRONMENT


class RunFailed(AforoError):
    """Error: a run did not end successfully."""


class GoalMissed(AforoError):
    """Error: a result does not meet a goal of the user, or that is unknown."""

    exit_code = ExitCode.GOAL_MISSED


class CapacityLost(AforoError):
    """Error: the newest runs of a cell are worse than those before them, by more than the user allows."""

    exit_code = ExitCode.CAPACITY_LOST


def printable(value: object, limit: int = 80) -> str:
    """Return the value on one line of at most `limit` characters, with control characters escaped."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def first_line(error: object) -> str:
    """Return the first line of a library's error text, without its full stop."""
    line = str(error).strip().split("\n", 1)[0].rstrip(".")
    return printable(line, limit=300) or type(error).__name__
