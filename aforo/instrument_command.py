"""`aforo-instrument COMMAND…`: run a command so that the Celery workers it starts export metrics.

The command gets AFORO_INSTRUMENT=1 in its environment. `aforo.autoload` reads that variable.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from aforo.settings import INSTRUMENT

USAGE = "usage: aforo-instrument COMMAND [ARGUMENT…], for example: aforo-instrument celery -A app.main worker"
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as a shell ends


def main(arguments: Sequence[str] | None = None) -> None:
    """Set AFORO_INSTRUMENT=1 and replace this process by the command in `arguments`.

    By default, `arguments` is this process's command line. Exit with 127 if the command is not found, and with 126 if
    the command cannot be executed. Without a command, print the usage and exit with 2, or with 0 for `--help`.
    """
    command = list(sys.argv[1:] if arguments is None else arguments)
    if not command or command[0].startswith("-"):
        print(USAGE, file=sys.stderr)
        sys.exit(0 if command and command[0] in {"-h", "--help"} else 2)
    try:
        os.execvpe(command[0], command, os.environ | {INSTRUMENT.name: "1"})  # noqa: S606 (no shell is wanted)
    except OSError as error:
        print(f"error: {command[0]}; {error.strerror}; name a program in PATH", file=sys.stderr)
        sys.exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)
