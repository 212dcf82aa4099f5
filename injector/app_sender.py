"""Create the rows of an app's videos and the messages of their tasks.

The row in the app's table is committed first, then the row in Aforo's table. Then the message is sent.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from celery import Celery

from core.app_file import AppFile
from core.app_file.injected import InjectedVideo, append
from core.app_file.placeholders import video_values
from core.app_file.video_message import task_message
from core.app_file.videos_table import VideosTable
from core.database import Sessions
from core.errors import AforoError, EnvironmentFault
from core.task_message import TaskMessage
from injector.app_inputs import PlacedInput
from injector.producer import Produced, produce
from injector.senders import Batch, NewVideo, Sender, encode_batch, own_row


@dataclass
class AppSender:
    """Create the rows and task messages of one run of the app under test.

    `inputs` has the input file of each video. `table` is the app's table of videos, or None. `upload_offset_seconds` is
    the upload time in the app's row minus this machine's time. Of all rows, the offset furthest from 0 is kept.
    `routing_key` is the name of the queue in Celery, or None if unknown. `clock_offset_seconds` is how many seconds the
    clock of the app's database is ahead of this machine's.
    """

    app: AppFile
    celery: Celery
    sender: Sender
    sessions: Sessions
    folder: Path
    inputs: Sequence[PlacedInput]
    table: VideosTable | None
    routing_key: str | None = None
    clock_offset_seconds: float = 0.0
    upload_offset_seconds: float = 0.0

    def make(self, videos: Sequence[NewVideo]) -> Batch:
        """Insert the rows of these videos into the app's table, and return their messages as a Batch.

        The Batch also has the rows for Aforo's own table, which the caller inserts. Each inserted row is listed in the
        file `injected.jsonl` of the run folder. Raise an AforoError if the app's database or producer script rejects a
        row.
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
        own = own_row(video, now) | {"source_key": placed.made or placed.path}
        task_id = str(own["task_id"])
        values = video_values(video.sequence + 1, task_id, placed.path, placed.key, video.run_id, video.user_id)
        listed = InjectedVideo(str(own["id"]), task_id, made=placed.made)
        row, produced = self._insert(values, listed)
        uploaded_at = None if self.table is None else self.table.uploaded_at(row)
        if uploaded_at is not None:
            own |= {"uploaded_at": uploaded_at, "updated_at": uploaded_at}
            # a script inserts its row at any moment while it runs
            latest = now if produced is None else time.time()
            moment = min(max(uploaded_at - self.clock_offset_seconds, now), latest)
            self.upload_offset_seconds = max(self.upload_offset_seconds, uploaded_at - moment, key=abs)
        message = task_message(self.app, values, row, self.sender.queue_url, self.routing_key)
        return own, message if produced is None else replace(message, args=produced.args, kwargs=produced.kwargs)

    def _insert(self, values: Mapping[str, Any], video: InjectedVideo) -> tuple[dict[str, Any], Produced | None]:
        """Insert the row of a video and list it. Return the row, empty without a table, and a script's answer.

        It is listed at once: a row that is inserted and not listed could never be removed.
        """
        produced = None
        if self.app.producer is not None:
            produced = produce(self.app, {name: value for name, value in values.items() if name != "now"})
            video = replace(video, row=produced.row)
        if self.table is None:
            append(self.folder, [video])
            return {}, produced
        try:
            row = self.table.insert(values) if produced is None else self._read(produced)
        except AforoError:
            if produced is not None:
                append(self.folder, [video])
            raise
        section = self.table.section
        append(self.folder, [replace(video, row=row[section.id], status=row[section.status.column])])
        return row, produced

    def _read(self, produced: Produced) -> dict[str, Any]:
        """Return the row that the app's script inserted."""
        assert self.table is not None  # noqa: S101 (the caller checks it)
        row = self.table.row(produced.row)
        if row is None:
            why = f"{self.table.section.table} has no row with the key of its answer"
            remedy = "let the script commit its row before it answers"
            raise EnvironmentFault(self.app.place("app.producer"), why, remedy, value=produced.row)
        return row
