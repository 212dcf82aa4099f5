"""A team's own script that makes the row and the arguments of a video where a template cannot say them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.app_file import AppFile
from core.app_file.child_environment import child_environment
from core.errors import EnvironmentFault, first_line

ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Produced:
    """Arguments of one task, and the key of the row that the script inserted."""

    args: list[Any]
    kwargs: dict[str, Any]
    row: Any


def produce(app: AppFile, video: Mapping[str, Any]) -> Produced:
    """Run the script with one video as JSON on its standard input, and read its answer from standard output.

    The answer is `{"args": […], "kwargs": {…}, "row": KEY}`. Raise EnvironmentFault if the script fails or answers
    something else.
    """
    python = str(app.worker.python or "python3")
    try:
        ended = subprocess.run(
            [python, str(app.producer)],
            input=json.dumps(video),
            cwd=app.worker.directory,
            env=child_environment(app),
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
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
