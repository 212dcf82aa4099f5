"""Command lines of all programs: options that environment variables can also set, and error output.

An error is one line on standard error and a named exit code.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.exc import DBAPIError

from core.aws import aws_fault
from core.database import database_fault
from core.errors import FULL, AforoError, EnvironmentFault, ExitCode, UsageError, first_line, is_interruption, printable
from core.passwords import without_passwords
from core.plain_text import spell_missing_characters


def run(command: click.Command, name: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the click command `command` as the program `name`, and exit.

    The user sees each error as one line, without a traceback. If the error is unexpected, the line names a file that
    has the traceback. The exit code is that of the command, or the ExitCode of the error.
    """
    spell_missing_characters(sys.stdout, sys.stderr)
    try:
        code = command.main(args=arguments, prog_name=name, standalone_mode=False)
    except click.exceptions.Exit as end:
        code = end.exit_code
    except click.ClickException as error:
        code = _print_error(usage_line(error, name), ExitCode.USAGE)
    except AforoError as error:
        code = _print_error(str(error), error.exit_code)
    except DBAPIError as error:  # not handled closer to its cause; an unexpected error of another library is a bug
        code = _print_error(str(database_fault(error.orig)), ExitCode.ENVIRONMENT)
    except (BotoCoreError, ClientError) as error:
        code = _print_error(str(aws_fault(error)), ExitCode.ENVIRONMENT)
    except (click.Abort, KeyboardInterrupt):
        code = _interrupted()
    except BrokenPipeError:
        code = _leave_closed_pipe()
    except OSError as error:
        code = _print_error(str(file_fault(error)), ExitCode.ENVIRONMENT)
    except MemoryError:
        code = _print_error("memory; it is exhausted; free some, or analyse fewer runs", ExitCode.ENVIRONMENT)
    except Exception as error:
        code = _interrupted() if is_interruption(error) else _print_error(_bug_line(error), ExitCode.RUN_FAILED)
    sys.exit(code if isinstance(code, int) else ExitCode.DONE)


def env_option(
    flag: str, variable: str, text: str, *, default: Any = None, unset: str = "", **attributes: Any
) -> Callable[[Any], Any]:
    """Return a decorator that adds the option `flag` to a click command.

    The environment variable `variable` can also set the option. The option's help is `text` and an ending such as
    `[env: COUNT, default 8]`. `unset` replaces `default 8` in the ending. `attributes` are further arguments of
    `click.option`.
    """
    if default is None and not attributes.get("is_flag"):
        unset = unset or "default none"
    elif default is not None:
        unset, attributes = unset or f"default {default}", {"default": default, **attributes}
    names = ", ".join(filter(None, [variable, unset]))
    attributes = {"cls": EnvironmentOption, "metavar": _metavar(variable, attributes), **attributes}
    return click.option(flag, envvar=variable, help=f"{text} [env: {names}].", **attributes)


class EnvironmentOption(click.Option):
    """Click option that an environment variable can also set.

    The error for an invalid value names the variable. An empty variable counts as unset, unless the argument
    `empty_is_value` is True.
    """

    def __init__(self, *arguments: Any, empty_is_value: bool = False, **attributes: Any) -> None:
        self.empty_is_value = empty_is_value
        super().__init__(*arguments, **attributes)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value of the option's environment variable, or None if the variable is not set.

        If the value is an empty text, also return None, unless the attribute `empty_is_value` is True.
        """
        return os.environ.get(str(self.envvar)) if self.empty_is_value else super().resolve_envvar_value(ctx)

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Convert the option's value to its type. Raise UsageError if the type does not allow the value."""
        try:
            return super().type_cast_value(ctx, value)
        except click.BadParameter as error:
            why, remedy = _allowed(self.type) or (error.message.rstrip("."), f"see `{ctx.command_path} --help`")
            raise UsageError(str(self.envvar), why, remedy, value=value) from error


class WholeNumber(click.IntRange):
    """Click type for whole numbers in a range, written in ASCII digits.

    It rejects `1_000` and digits of other scripts, which `click.IntRange` accepts.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert the option's value to a whole number.

        Raise click.BadParameter if the value is out of range, or if any character is not an ASCII digit.
        """
        if isinstance(value, str) and not (value.isascii() and value.isdigit()):
            self.fail(f"{value!r} is not a whole number", param, ctx)
        return int(super().convert(value, param, ctx))


def whole_numbers(name: str, text: str, things: str, most: int) -> tuple[int, ...]:
    """Parse a list such as `1,2,4`. Return its numbers, without repetitions.

    Raise UsageError if an item is not a whole number from 1 to `most`. The error shows `name`, the option's name, and
    `things`, what the numbers count, such as "slots".
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part[:9]) <= most for part in parts):
        raise UsageError(name, f"it must be whole numbers of {things}, 1 to {most}", "give 1,2,4", value=text)
    return tuple(dict.fromkeys(int(part) for part in parts))


def _metavar(variable: str, attributes: dict[str, Any]) -> str | None:
    """Return the placeholder of a value in the help, or None where click has its own (choice, flag)."""
    return None if attributes.get("is_flag") or isinstance(attributes.get("type"), click.Choice) else variable


def _allowed(kind: click.ParamType[Any]) -> tuple[str, str] | None:
    """Return the reason why a value of this type is invalid, and what to give instead.

    Return None for a type that has its own error text.
    """
    if isinstance(kind, click.Choice):
        return "it is unknown", f"use {' or '.join(str(choice) for choice in kind.choices)}"
    if isinstance(kind, click.types.BoolParamType):
        return "it is unknown", "give 1 or 0"
    if isinstance(kind, click.IntRange):
        most = "or more" if kind.max is None else f"to {kind.max}"
        return "it must be a whole number", f"give {kind.min} {most}"
    return None


def file_fault(error: OSError) -> EnvironmentFault:
    """Return the one-line error that the user sees for an OSError, such as a full disk."""
    what = "file" if error.filename is not None else "operating system"
    remedy = "free space on that disk" if error.errno in FULL else "check that path and its permissions"
    why = "it has no space left" if error.errno in FULL else first_line(error.strerror or error)
    return EnvironmentFault(what, why, remedy, value=error.filename)


def _bug_line(error: Exception) -> str:
    """Write the traceback to a file, and return the line that names it."""
    traceback_text = without_passwords("".join(traceback.format_exception(error)))
    cause = without_passwords(first_line(f"{type(error).__name__}: {error}"))
    try:
        with tempfile.NamedTemporaryFile("w", prefix="aforo-", suffix=".traceback", delete=False) as file:
            file.write(traceback_text)
    except OSError:
        return f"internal error ({cause}); this is a bug of Aforo; report it"
    return f"internal error ({cause}); this is a bug of Aforo; report it with {file.name}"


def usage_line(error: click.ClickException, name: str) -> str:
    """Return an error of click as one line in Aforo's error format. `name` is the name of the program."""
    what = without_passwords(printable(error.format_message().rstrip("."), limit=300))
    return f"{what}; the command line was refused; see `{name} --help`"


def _print_error(line: str, code: ExitCode) -> ExitCode:
    click.echo(f"error: {line}", err=True)
    return code


def _interrupted() -> ExitCode:
    return _print_error("interrupted; Ctrl-C was pressed; what was recorded is kept", ExitCode.INTERRUPTED)


def _leave_closed_pipe() -> int:
    """Suppress the interpreter's error message for a closed pipe, such as that to an ended `head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE
