"""Create the rows of an app's videos and the messages of their tasks.

The row in the app's table is committed first, then the row in Aforo's table. Then the message is sent.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery import Celery

from aforo.telemetry.task_start import RUN_ID
from core.app_file import AppFile
from core.app_file.injected import InjectedVideo, append
from core.app_file.placeholders import filled, row_values, video_values
from core.app_file.videos_table import VideosTable
from core.database import Sessions
from injector.app_inputs import PlacedInput
from injector.producer import produce
from injector.senders import Batch, NewVideo, Sender, TaskMessage, encode_batch, own_row


@dataclass
class AppSender:
    """Create the rows and task messages of one run of the app under test.

    `inputs` has the input file of each video. `table` is the app's table of videos, or None. `upload_offset_seconds` is
    the upload time in the app's row minus this machine's time. Of all rows, the offset furthest from 0 is kept.
    `routing_key` is the name of the queue in Celery, or None if unknown.
    """

    app: AppFile
    celery: Celery
    sender: Sender
    sessions: Sessions
    folder: Path
    inputs: Sequence[PlacedInput]
    table: VideosTable | None
    routing_key: str | None = None
    upload_offset_seconds: float = 0.0

    def make(self, videos: Sequence[NewVideo]) -> Batch:
        """Insert the rows of these videos into the app's table, and return their messages as a Batch.

        The Batch also has the rows for Aforo's own table, which the caller inserts. Raise an AforoError if the app's
        database or producer script rejects a row.
        """
        prepared = [self._prepare(video) for video in videos]
        facts = {"upload_offset_seconds": self.upload_offset_seconds}
        return Batch([row for row, _ in prepared], [message for _, message in prepared], facts)

    def encode(self, batch: Batch) -> dict[str, str]:
        """Return the SQS message bodies of a batch, by video id."""
        return encode_batch(self.celery, batch)

    def _prepare(self, video: NewVideo) -> tuple[dict[str, object], TaskMessage]:
        """Insert the app's row of one video, and list it. Return our row and the message."""
        placed = self.inputs[video.sequence]
        now = time.time()
        row = own_row(video, now) | {"source_key": placed.made or placed.path}
        task_id = str(row["task_id"])
        values = video_values(video.sequence + 1, task_id, placed.path, placed.key, video.run_id, video.user_id)
        args, kwargs, key, status, uploaded_at = self._arguments(values)
        if uploaded_at is not None:
            row |= {"uploaded_at": uploaded_at, "updated_at": uploaded_at}
            self.upload_offset_seconds = max(self.upload_offset_seconds, uploaded_at - now, key=abs)
        made = InjectedVideo(str(row["id"]), task_id, key, status, placed.made)
        append(self.folder, [made])  # at once: a row that is inserted and not listed could never be removed
        message = TaskMessage(
            name=self.app.task,
            task_id=task_id,
            queue_url=self.sender.queue_url,
            args=args,
            kwargs=kwargs,
            headers={**filled(self.app.headers, values), RUN_ID: video.run_id},
            protocol=self.app.protocol,
            priority=self.app.priority or 0,
            routing_key=self.routing_key,
        )
        return row, message

    def _arguments(self, values: dict[str, Any]) -> tuple[list[Any], dict[str, Any], Any, Any, float | None]:
        """Insert the row. Return args, kwargs, its key, its status, and its upload time if it has one."""
        if self.app.producer is not None:
            produced = produce(self.app, {name: value for name, value in values.items() if name != "now"})
            return produced.args, produced.kwargs, produced.row, None, None
        row = {} if self.table is None else self.table.insert(values)
        known = {**values, **row_values(row), "now": values["now"].isoformat()}
        args, kwargs = filled(list(self.app.args), known), filled(dict(self.app.kwargs), known)
        if self.table is None:
            return args, kwargs, None, None, None
        section = self.table.section
        return args, kwargs, row[section.id], row[section.status.column], self.table.uploaded_at(row)
