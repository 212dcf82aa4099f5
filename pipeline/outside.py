"""Errors of the database's and AWS's libraries in one line, told where the place is known, else at the end in `cli`."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.exc import DBAPIError

from pipeline.errors import EnvironmentFault, printable

#: what the database or AWS answers, and that they do not; every other error of the libraries is a fault of ours
OUTSIDE = (DBAPIError, BotoCoreError, ClientError)


def fault_of(error: DBAPIError | BotoCoreError | ClientError) -> EnvironmentFault:
    """Return the one-line fault for any of `OUTSIDE`."""
    return database_fault(error) if isinstance(error, DBAPIError) else aws_fault(error)


def database_fault(error: DBAPIError, url: str | None = None) -> EnvironmentFault:
    """Return the one-line fault for what the database at `url`, its password hidden, says."""
    return EnvironmentFault("database", first_line(error.orig), "check DATABASE_URL and the server", value=url)


def aws_fault(error: Exception, service: str = "AWS", endpoint: str | None = None) -> EnvironmentFault:
    """Return the one-line fault for a failed call of `service`."""
    why = error.response["Error"]["Code"] if isinstance(error, ClientError) else first_line(error)
    return EnvironmentFault(
        service,
        f"it refused or did not answer: {why}",
        "check AWS_ENDPOINT_URL, AWS_REGION and the credentials",
        value=endpoint,
    )


def first_line(error: object) -> str:
    """Return the first line of what a library says, without its full stop."""
    said = str(error).strip().split("\n", 1)[0].rstrip(".")
    return printable(said, limit=300) or type(error).__name__
