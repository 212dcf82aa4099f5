"""Errors of programs: one line on standard error and a documented exit code."""

import errno
import tempfile

import click
import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from sqlalchemy import create_engine

from core import cli
from core.errors import EnvironmentFault
from core.storage import StorageFull


def ended(action, capsys):
    """Return the output and the exit code of a program that runs `action`."""

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
def test_an_environment_fault_is_one_line_and_exit_code_3(action, line, capsys):
    assert ended(action, capsys) == (f"error: {line}\n", 3)


def test_a_long_path_in_an_error_keeps_its_beginning_and_the_name_of_the_file():
    path = f"/home/me/{'folder/' * 40}aforo.toml"
    shown = str(EnvironmentFault("APP", "it is missing", "correct it", value=path))
    assert shown.startswith("APP (/home/me/folder/folder/")
    assert shown.endswith("/folder/aforo.toml); it is missing; correct it")
    assert len(shown) == len("APP (); it is missing; correct it") + 120


def test_an_error_that_replaces_ctrl_c_is_the_line_of_ctrl_c(capsys):
    """SQLAlchemy raises one if Ctrl-C interrupts a commit."""

    def interrupted_commit():
        try:
            raise KeyboardInterrupt
        finally:
            raise AssertionError

    line = "error: interrupted; Ctrl-C was pressed; what was recorded is kept\n"
    assert ended(interrupted_commit, capsys) == (line, 130)


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), OverflowError("too large"), RuntimeError("redis://:s3cret@host"), RecursionError(), ValueError("")],
)
def test_a_bug_of_ours_is_one_line_that_names_the_file_with_its_traceback(error, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    line, code = ended(raising(error), capsys)
    (file,) = tmp_path.iterdir()
    assert code == 1
    assert line.startswith(f"error: internal error ({type(error).__name__}")
    assert line.endswith(f"; this is a bug of Aforo; report it with {file}\n")
    assert line.count("\n") == 1
    assert "Traceback" in file.read_text()
    assert "s3cret" not in line + file.read_text()
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EROFS, "Read-only file system", "/r/x"), "file (/r/x); Read-only file system; check that path"),
        (OSError(errno.ENOSPC, "No space left", "/r/x"), "file (/r/x); it has no space left; free space on that disk"),
        (OSError(errno.EMFILE, "Too many open files"), "operating system; Too many open files; check that path"),
        (MemoryError(), "memory; it is exhausted"),
    ],
)
def test_an_error_of_the_system_is_one_line_and_exit_code_3(error, line, capsys):
    shown, code = ended(raising(error), capsys)
    assert shown.startswith(f"error: {line}")
    assert shown.count("\n") == 1
    assert code == 3


def echo_of(**attributes):
    @click.command()
    @cli.env_option("--count", "COUNT", "Videos per cell", **attributes)
    def main(count):
        click.echo(count)

    return main


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [
        ({"default": 8}, "Videos per cell [env: COUNT, default 8]."),
        ({"unset": "then AFORO_COUNT"}, "Videos per cell [env: COUNT, then AFORO_COUNT]."),
        ({"is_flag": True}, "Videos per cell [env: COUNT]."),
    ],
)
def test_the_help_of_an_option_shows_its_variable_and_its_default(attributes, shown):
    option = echo_of(**attributes).params[0]
    assert option.help == shown


@pytest.mark.parametrize(
    ("attributes", "value", "line"),
    [
        ({"type": cli.WholeNumber(1, 9)}, "10", "COUNT (10); it must be a whole number; give 1 to 9"),
        ({"type": cli.WholeNumber(1)}, "1_0", "COUNT (1_0); it must be a whole number; give 1 or more"),
        ({"type": click.Choice(["a", "b"])}, "c", "COUNT (c); it is unknown; use a or b"),
        ({"is_flag": True}, "flase", "COUNT (flase); it is unknown; give 1 or 0"),
        ({"type": float}, "c", "COUNT (c); 'c' is not a valid float; see `python -m program --help`"),
        (
            {"type": cli.WholeNumber(1, 9), "empty_is_value": True},
            "",
            "COUNT (); it must be a whole number; give 1 to 9",
        ),
    ],
)
def test_an_invalid_value_is_one_line_that_names_the_variable(attributes, value, line, capsys, monkeypatch):
    monkeypatch.setenv("COUNT", value)
    with pytest.raises(SystemExit) as end:
        cli.run(echo_of(**attributes), "python -m program", [])
    assert (capsys.readouterr().err, end.value.code) == (f"error: {line}\n", 2)


def test_an_empty_variable_counts_as_unset(capsys, monkeypatch):
    monkeypatch.setenv("COUNT", "")
    with pytest.raises(SystemExit):
        cli.run(echo_of(default=8, type=cli.WholeNumber(1, 9)), "python -m program", [])
    assert capsys.readouterr().out == "8\n"
