"""`python -m local.app_command`: start an app's worker in place of this process.

supervisord runs this module as its program `worker`. The command and the folder of the app's worker come from
aforo.toml.
"""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from core.app_file import AppFile
from core.app_file.child_environment import child_environment, measured
from core.app_file.values import substituted
from core.errors import EnvironmentFault
from core.settings import Settings
from local.supervisor import MARK


def main() -> None:
    """Replace this process by the worker of the app under test.

    The setting AFORO_APP_FILE is the path of the app's aforo.toml. AFORO_WORKER_CONCURRENCY is the number of slots.
    """
    settings = Settings.from_process()
    app = settings.app
    assert app is not None  # noqa: S101 (`local.app_worker` starts this program for an app only)
    words = words_of(app, settings.worker.concurrency)
    metrics = measured(settings.worker.metrics_port) if app.worker.instrument else {}
    environment = child_environment(app, {**metrics, MARK: os.environ.get(MARK, "")})
    os.chdir(app.worker.directory)
    os.execvpe(words[0], words, environment)  # noqa: S606 (the very purpose)


def words_of(app: AppFile, concurrency: int) -> list[str]:
    """Return the command that starts the app's worker, as a list of words. The first is an absolute path.

    The command is `worker.command` of aforo.toml, for `concurrency` slots. Raise EnvironmentFault if there is no such
    program.
    """
    first, *others = shlex.split(substituted(str(app.worker.command), concurrency))
    local_program = Path(str(app.worker.python)).with_name(first)
    if "/" not in first:
        path = str(local_program) if os.access(local_program, os.X_OK) else shutil.which(first)
    else:
        path = str(app.worker.directory / first)
    if path is None or not os.access(path, os.X_OK):
        remedy = f"correct that line, or install it into {local_program.parent}"
        raise EnvironmentFault(app.place("worker.command"), "there is no such program", remedy, value=first)
    return [path, *others]


if __name__ == "__main__":
    main()
