"""`make doctor APP=… ARGS=--send`: send one small video through an app, and explain a failure."""

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
from core.models import ExecutionRow, VideoRow
from core.run import WARM_UP
from core.settings import Settings
from core.video import VideoState
from local.app_worker import LOG

VIDEO_SIZE = "0.3MB"
#: a task that has not ended after this time will hardly end
WAIT_SECONDS = 120
ERROR_WORDS = ("raised unexpected", "Received unregistered task", "Error", "Exception")


def send_one(settings: Settings, app: AppFile, user_id: str | None) -> None:
    """Send one small video with the injector, and wait until the app has processed it.

    The wait ends after 120 s, or after AFORO_APP_STUCK_SECONDS if that is shorter. `user_id` is the owner of the
    video's row, or None. Raise RunFailed if the video is `failed` or still open after the wait. If the injector fails,
    exit with the injector's exit code.
    """
    start = LOG.stat().st_size if LOG.exists() else 0
    wait_seconds = min(WAIT_SECONDS, settings.app_stuck_seconds)
    run_id = _inject(wait_seconds, user_id)
    subprocess.run([sys.executable, "-m", "capacity", "wait", run_id], check=False)  # it closes the run
    state, execution = _state(settings, run_id)
    if state == VideoState.DONE:
        click.echo(f"one video of {app.name} was processed from end to end; run {run_id}")
        return
    cause = _worker_error(start) or execution or f"the worker's log, {LOG}, has no error"
    if state == VideoState.FAILED:
        raise RunFailed(
            app.task, f"the app ended the video as failed: {cause}", "correct the app or app.args", value=run_id
        )
    why = f"the video is still {state} after {wait_seconds:g} s: {cause}"
    raise RunFailed(app.place("app.task"), why, "see app.args, app.queue and videos.status", value=run_id)


def _inject(wait_seconds: float, user_id: str | None) -> str:
    """Run the injector for one video that no table shows. Return the id of its run."""
    options = ["--count", "1", "--size", VIDEO_SIZE, "--mode", "burst", "--note", WARM_UP, "--monitor"]
    options += [] if user_id is None else ["--user-id", user_id]
    command = [sys.executable, "-m", "injector", *options]
    environment = {**os.environ, "AFORO_APP_STUCK_SECONDS": str(wait_seconds)}
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    for line in ended.stdout.splitlines():
        click.echo(line)
    if ended.returncode != 0:
        sys.exit(ended.returncode)
    return next(line.split()[1].rstrip(":") for line in ended.stdout.splitlines() if line.startswith("run "))


def _state(settings: Settings, run_id: str) -> tuple[str, str | None]:
    """Return the state of the video, and how its execution ended if one was recorded."""
    sessions = database.open_sessions(database.open_engine(settings.database.url))
    with sessions() as session:
        state = session.scalars(select(VideoRow.state).where(VideoRow.run_id == run_id)).one()
        outcomes = session.scalars(select(ExecutionRow.outcome).where(ExecutionRow.run_id == run_id)).all()
    return state, f"its task ended as {outcomes[-1]} and left the row as it was" if outcomes else None


def _worker_error(start: int, log: Path = LOG) -> str | None:
    """Return the last error line that the worker wrote since `start`."""
    if not log.exists():
        return None
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    errors = [line for line in lines if any(word in line for word in ERROR_WORDS)]
    return first_line(errors[-1]) if errors else None
