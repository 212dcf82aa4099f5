"""Environment variables of the programs of the app under test, such as its worker.

They are the user's variables and those of the app's `env_file`, without the variables of Aforo itself.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from aforo import settings
from core.app_file.sections import AppFile
from core.run_options import MAKE_VARIABLES, RUN_OPTIONS

#: Celery's command line reads these names. Ours must not change which app it loads.
OF_CELERY = frozenset({"APP", "CONFIG_MODULE", "LOADER"})
OF_STACK = frozenset({"STACK"})


def child_environment(
    app: AppFile, more: Mapping[str, str] | None = None, inherited: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the environment variables for a program of the app under test.

    They are merged in this order, and later values win: `inherited`, the variables of `env_file`, and `more`. Of
    `inherited`, the variables of Aforo, make and supervisord are left out, and those that Celery's command line reads.
    """
    hidden = OF_CELERY | OF_STACK | MAKE_VARIABLES | RUN_OPTIONS
    kept = {
        name: value
        for name, value in inherited.items()
        if name not in hidden and not name.startswith(("AFORO_", "SUPERVISOR_"))
    }
    return {**kept, **app.environment, **(more or {})}


def run_as_worker(
    app: AppFile, command: Sequence[str], *, text: str | None = None, timeout_seconds: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program `command` in the folder and with the environment variables of the app's worker.

    `text` is the standard input. Return exit code and output. Raise OSError if the program cannot be started, and
    subprocess.TimeoutExpired after `timeout_seconds`.
    """
    return subprocess.run(
        command,
        input=text,
        cwd=app.worker.directory,
        env=child_environment(app),
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )


def measured(port: int) -> dict[str, str]:
    """Return the environment variables that make a worker on this machine serve its metrics on `port`."""
    return {
        settings.INSTRUMENT.name: "1",
        settings.METRICS_HOST.name: "127.0.0.1",
        settings.METRICS_PORT.name: str(port),
    }
