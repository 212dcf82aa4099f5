"""`make doctor APP=… ARGS=--send`: one small video from end to end, and the line that is wrong if it does not end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
from sqlalchemy import select

from core import database
from core.app_file import AppFile
from core.errors import RunFailed, first_line
from core.models import VideoRow
from core.settings import Settings
from core.video import VideoState
from local.app_worker import LOG

VIDEO_SIZE = "0.3MB"
#: a task that has not ended after this time will hardly end
WAIT_SECONDS = 120
ERROR_WORDS = ("raised unexpected", "Received unregistered task", "Error", "Exception")


def send_one(settings: Settings, app: AppFile) -> None:
    """Send one video with the injector and follow it to its end.

    Raise RunFailed with the worker's last error line, or with the state that the video is in.
    """
    start = LOG.stat().st_size if LOG.exists() else 0
    run_id = _inject()
    state, reason = _state(settings, run_id)
    if state == VideoState.DONE:
        click.echo(f"one video of {app.name} was processed from end to end; run {run_id}")
        return
    cause = _worker_error(start) or reason or f"the worker's log, {LOG}, has no error"
    if state == VideoState.FAILED:
        raise RunFailed(
            app.task, f"the app ended the video as failed: {cause}", "correct the app or app.args", value=run_id
        )
    why = f"the video is still {state} after {WAIT_SECONDS} s: {cause}"
    raise RunFailed(app.place("app.task"), why, "see app.args, app.queue and videos.status", value=run_id)


def _inject() -> str:
    command = [sys.executable, "-m", "injector", "--count", "1", "--size", VIDEO_SIZE, "--mode", "burst", "--monitor"]
    environment = {**os.environ, "AFORO_APP_STUCK_SECONDS": str(WAIT_SECONDS)}
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    for line in ended.stdout.splitlines():
        click.echo(line)
    if ended.returncode != 0:
        sys.exit(ended.returncode)
    return next(line.split()[1].rstrip(":") for line in ended.stdout.splitlines() if line.startswith("run "))


def _state(settings: Settings, run_id: str) -> tuple[str, str | None]:
    sessions = database.open_sessions(database.open_engine(settings.database.url))
    with sessions() as session:
        row = session.scalars(select(VideoRow).where(VideoRow.run_id == run_id)).one()
        return row.state, row.reason


def _worker_error(start: int, log: Path = LOG) -> str | None:
    """Return the last error line that the worker wrote since `start`."""
    if not log.exists():
        return None
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    errors = [line for line in lines if any(word in line for word in ERROR_WORDS)]
    return first_line(errors[-1]) if errors else None
