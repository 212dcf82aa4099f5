"""Run a click command with our error form: one line on standard error and a named exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.exc import DBAPIError

from core.aws import aws_fault
from core.database import database_fault
from core.errors import AforoError, ExitCode, printable


def run(command: click.Command, name: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `command` as program `name` and exit; no traceback reaches the user for an expected error."""
    try:
        code = command.main(args=arguments, prog_name=name, standalone_mode=False)
    except click.exceptions.Exit as wanted:
        code = wanted.exit_code
    except click.ClickException as error:
        code = _say(usage_line(error, name), ExitCode.USAGE)
    except AforoError as error:
        code = _say(str(error), error.exit_code)
    except DBAPIError as error:  # what no place has told better: every other error of a library is a fault of ours
        code = _say(str(database_fault(error)), ExitCode.ENVIRONMENT)
    except (BotoCoreError, ClientError) as error:
        code = _say(str(aws_fault(error)), ExitCode.ENVIRONMENT)
    except (click.Abort, KeyboardInterrupt):
        code = _say("interrupted; Ctrl-C was pressed; what was recorded is kept", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        code = _leave_closed_pipe()
    sys.exit(code if isinstance(code, int) else ExitCode.DONE)


class EnvironmentOption(click.Option):
    """An option whose variable may be set to nothing, which is an answer: click takes it for unset."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the variable as it stands, empty or not; None when it is unset."""
        return os.environ.get(str(self.envvar))


def usage_line(error: click.ClickException, name: str) -> str:
    """Return a click error in our form, on one line."""
    what = printable(error.format_message().rstrip("."), limit=300)
    return f"{what}; the command line was refused; see `{name} --help`"


def _say(line: str, code: ExitCode) -> ExitCode:
    click.echo(f"error: {line}", err=True)
    return code


def _leave_closed_pipe() -> int:
    """Silence the interpreter's own complaint about a reader such as `head` that went away."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE
