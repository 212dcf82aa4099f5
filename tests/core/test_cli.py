"""How programs end: one line on standard error and a named exit code, whatever the world outside does."""

import click
import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from sqlalchemy import create_engine

from core import cli
from core.errors import EnvironmentFault
from core.storage import StorageFull


def ended(action, capsys):
    """Return what a program says that does `action`, and its exit code."""

    @click.command()
    def main():
        action()

    with pytest.raises(SystemExit) as end:
        cli.run(main, "python -m program", [])
    return capsys.readouterr().err, end.value.code


def raising(error):
    def act():
        raise error

    return act


@pytest.mark.parametrize(
    ("action", "line"),
    [
        (
            create_engine("sqlite:////dev/null/a.db").connect,
            "database; unable to open database file; check AFORO_DATABASE_URL and the server",
        ),
        (
            raising(NoCredentialsError()),
            "AWS; it refused or did not answer: Unable to locate credentials; "
            "check AWS_ENDPOINT_URL, AWS_REGION and the credentials",
        ),
        (
            raising(ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "SendMessage")),
            "AWS; it refused or did not answer: AccessDenied; check AWS_ENDPOINT_URL, AWS_REGION and the credentials",
        ),
        (
            raising(StorageFull("[Errno 28] No space left on device: 'a\nb'")),
            r"storage; [Errno 28] No space left on device: 'a\nb'; free some, or set UPLOAD_PATH",
        ),
        (raising(EnvironmentFault("disk", "it is full", "free some", value="/")), "disk (/); it is full; free some"),
    ],
)
def test_what_is_wrong_outside_is_one_line_and_exit_code_3(action, line, capsys):
    assert ended(action, capsys) == (f"error: {line}\n", 3)


def test_a_fault_of_ours_keeps_its_traceback():
    command = click.Command("main", callback=raising(KeyError("x")))
    with pytest.raises(KeyError):
        cli.run(command, "python -m program", [])
