"""Run the app's own script that inserts the row of a video and returns the arguments of its task.

An app has such a script if the templates in `aforo.toml` cannot describe its rows or arguments.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.app_file import AppFile
from core.app_file.child_environment import run_as_worker
from core.errors import EnvironmentFault, first_line

ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Produced:
    """Answer of the app's script for one video.

    `args` and `kwargs` are the arguments of the task. `row` is the primary key of the row that the script inserted.
    """

    args: list[Any]
    kwargs: dict[str, Any]
    row: Any


def produce(app: AppFile, video: Mapping[str, Any]) -> Produced:
    """Run the app's script for one video, and return its answer.

    The script reads `video` as JSON on its standard input. It writes `{"args": […], "kwargs": {…}, "row": KEY}`. Raise
    EnvironmentFault if the script fails, is too slow (`ANSWER_SECONDS`) or writes something else.
    """
    command = [str(app.worker.python or "python3"), str(app.producer)]
    try:
        ended = run_as_worker(app, command, text=json.dumps(video), timeout_seconds=ANSWER_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _fault(app, first_line(error)) from None
    if ended.returncode != 0:
        raise _fault(app, first_line((ended.stderr.strip().splitlines() or ["it failed without a message"])[-1]))
    return _answer(app, ended.stdout)


def _answer(app: AppFile, text: str) -> Produced:
    try:
        answer = json.loads(text)
        produced = Produced(list(answer.get("args", [])), dict(answer.get("kwargs", {})), answer.get("row"))
    except (ValueError, TypeError, AttributeError):
        why = 'its answer is not {"args": […], "kwargs": {…}, "row": KEY}'
        raise _fault(app, f"{why}: {first_line(text or '(nothing)')}") from None
    if app.videos is not None and produced.row is None:
        raise _fault(app, "its answer has no row, so the end of the video cannot be read")
    return produced


def _fault(app: AppFile, why: str) -> EnvironmentFault:
    return EnvironmentFault(app.place("app.producer"), why, "correct the script", value=app.producer)
