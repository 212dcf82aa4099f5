"""The command-line programs of a run: the injector, and the program that starts the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence

from core.errors import AforoError
from core.run_options import RUN_OPTIONS

INJECTOR_END_SECONDS = 30.0


class MeasurementFailed(AforoError):
    """Error: a program of the run failed, or the videos or the queue made no progress for too long."""


class RunPrograms:
    """Runs the programs of a run with the same command lines that a user would type."""

    def run(self, variables: Mapping[str, str], *arguments: str) -> None:
        """Run `python -m` with these arguments until it ends. Raise MeasurementFailed if it fails.

        `variables` are added to the environment of the program.
        """
        ended = subprocess.run(
            _command(*arguments), env=environment(variables), capture_output=True, text=True, check=False
        )
        _check(arguments[0], ended.returncode, ended.stderr)

    def inject(self, options: Sequence[str], while_running: Callable[[], None]) -> None:
        """Run the injector with these options until it ends. Raise MeasurementFailed if it fails.

        Meanwhile, `while_running` is called again and again. It must contain a short pause.
        """
        with tempfile.TemporaryFile("w+") as stderr:
            injector = subprocess.Popen(
                _command("injector", *options), env=environment({}), stdout=subprocess.DEVNULL, stderr=stderr
            )
            try:
                while injector.poll() is None:
                    while_running()
            finally:
                _interrupt(injector)
            stderr.seek(0)
            _check("injector", injector.returncode, stderr.read())


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program: that of this process, and `variables`.

    The options that differ between runs are left out. The programs get them as arguments.
    """
    hidden = RUN_OPTIONS - {"USER_ID"}
    return {key: value for key, value in os.environ.items() if key not in hidden} | dict(variables)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """Interrupt an injector that is still running, so that it marks its run as interrupted."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(INJECTOR_END_SECONDS)


def _check(program: str, code: int, stderr: str) -> None:
    if code != 0:
        last = (stderr.strip().splitlines() or ["no error message"])[-1].removeprefix("error: ")
        raise MeasurementFailed(f"python -m {program}", last, "fix it and run again: finished cells are kept")
