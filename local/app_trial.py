"""Start an app's worker once and stop it again, to see whether it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from typing import IO

from core.app_file import AppFile
from core.app_file.child_environment import child_environment, measured
from core.errors import EnvironmentFault
from core.settings import Settings
from local.app_command import words_of
from local.app_worker import POLL_SECONDS, Start, is_ready, last_line_of, not_ready, record_stop

#: a stop that takes longer is not worth waiting for: the worker had no task
STOP_SECONDS = 20.0


def try_worker(settings: Settings, app: AppFile) -> str:
    """Start the app's worker with one slot, wait until it is ready, and stop it. Return a text with its time to start.

    Call this only while no worker of the app's stack runs and its queue is empty. Raise EnvironmentFault if the worker
    ends, or is not ready after `worker.ready_seconds`.
    """
    metrics = measured(settings.worker.metrics_port) if app.worker.instrument else {}
    environment, started = child_environment(app, metrics), time.monotonic()
    with tempfile.TemporaryFile("a+", errors="replace") as log:
        worker = _started(app, environment, log)
        try:
            start = Start([1], started, lambda: _text(log), lambda: worker.poll() is None)
            while not is_ready(settings, app, start):
                if not start.is_alive():
                    why = f"it ended at its start: {last_line_of(_text(log)) or 'without output'}"
                    raise EnvironmentFault(app.place("worker.command"), why, "correct the app or that line")
                if time.monotonic() - started > app.worker.ready_seconds:
                    raise not_ready(app)
                time.sleep(POLL_SECONDS)
            return f"it starts, and is ready after {time.monotonic() - started:.0f} s"
        finally:
            _stop(worker)
            record_stop()


def _started(app: AppFile, environment: Mapping[str, str], log: IO[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            words_of(app, 1),
            cwd=app.worker.directory,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        why = f"it cannot be started: {error.strerror or error}"
        raise EnvironmentFault(app.place("worker.command"), why, "correct that line") from None


def _stop(worker: subprocess.Popen[bytes]) -> None:
    """Stop the worker as supervisord does, and kill its whole process group if that does not end it."""
    if worker.poll() is None:
        worker.terminate()
        try:
            worker.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def _text(log: IO[str]) -> str:
    log.seek(0)
    return log.read()
