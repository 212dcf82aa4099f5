"""Message of a video's task in the app under test, and the check of row and message before anything is sent."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from celery import Celery

from aforo.telemetry.task_start import RUN_ID
from core.app_file.placeholders import filled, message_values, placeholders, video_values
from core.app_file.sections import AppFile
from core.app_file.videos_table import VideosTable
from core.errors import UsageError, first_line
from core.task_message import TaskMessage, encode_task


def task_message(
    app: AppFile,
    values: Mapping[str, Any],
    row: Mapping[str, Any],
    queue_url: str,
    routing_key: str | None,
) -> TaskMessage:
    """Return the message of one video's task, with its placeholders replaced.

    - `values` are the values of the placeholders, as `video_values` returns them.
    - `row` is the inserted row in the app's table. It is empty if the app has no table.
    - `routing_key` is the name of the queue in Celery, or None if unknown.
    """
    known = message_values(values, row)
    return TaskMessage(
        name=app.task,
        task_id=str(values["task_id"]),
        queue_url=queue_url,
        args=filled(app.args, known),
        kwargs=filled(app.kwargs, known),
        headers={**filled(app.headers, known), RUN_ID: values["run_id"]},
        protocol=app.protocol,
        priority=app.priority or 0,
        routing_key=routing_key,
    )


def require_user_id(app: AppFile, user_id: str | None) -> None:
    """Raise UsageError if `user_id` is None and the app's rows or messages have the placeholder `{user_id}`."""
    used = [*placeholders(app.message), *placeholders(app.videos.insert if app.videos else {})]
    if user_id is None and "user_id" in used:
        remedy = "give USER_ID, the id of a user in their database"
        raise UsageError("USER_ID", f"{app.path.name} uses {{user_id}}", remedy)


def try_video(app: AppFile, table: VideosTable | None, user_id: str | None) -> dict[str, Any]:
    """Insert a row for a video, roll it back, and encode the message of its task. Return the row.

    Without a table, the row is empty. If the app has a script that makes rows and messages, nothing is tried, and the
    row is empty. Raise an AforoError if `user_id` is None but used, if the database rejects the row, or if the message
    cannot be encoded.
    """
    require_user_id(app, user_id)
    if app.producer is not None:
        return {}
    values = video_values(1, str(uuid.uuid4()), f"{'x' * 40}.mp4", "x.mp4", "trial", user_id)
    row = {} if table is None else table.try_insert(values)
    try:
        encode_task(Celery(set_as_current=False), task_message(app, values, row, app.queue, None))
    except (TypeError, ValueError) as error:
        why = f"args, kwargs or headers cannot be sent: {first_line(error)}"
        raise UsageError(app.path.name, why, "use other columns or values there") from None
    return row
