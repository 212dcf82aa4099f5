"""The one error tree: what a person can be told in a line."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every program."""

    DONE = 0
    RUN_FAILED = 1
    USAGE = 2
    ENVIRONMENT = 3
    INTERRUPTED = 130


class AforoError(Exception):
    """An error that is told in one line: what (value); why; what to do."""

    exit_code = ExitCode.RUN_FAILED

    def __init__(self, what: str, why: str, remedy: str, *, value: object = None) -> None:
        shown = "" if value is None else f" ({printable(value)})"
        super().__init__(f"{what}{shown}; {why}; {remedy}")


class UsageError(AforoError):
    """The caller asked for something that cannot be meant."""

    exit_code = ExitCode.USAGE


class EnvironmentFault(AforoError):
    """The machine, a service or a setting is not as the program needs it."""

    exit_code = ExitCode.ENVIRONMENT


class RunFailed(AforoError):
    """A run ended, but not as it should."""


def printable(value: object, limit: int = 80) -> str:
    """Return the value on one line, control characters escaped, at most `limit` characters."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def first_line(error: object) -> str:
    """Return the first line of what a library says, without its full stop."""
    said = str(error).strip().split("\n", 1)[0].rstrip(".")
    return printable(said, limit=300) or type(error).__name__
