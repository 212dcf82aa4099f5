"""Sender of an app's own tasks: their row is committed, ours is recorded, then the message is sent."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery import Celery
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from core.app_file import AppFile
from core.app_file.injected import InjectedVideo, append, header
from core.app_file.placeholders import filled, row_values
from core.app_file.videos_table import VideosTable
from core.database import Sessions
from core.models import RunRow, VideoRow
from core.video import VideoState
from injector.app_inputs import PlacedInput
from injector.producer import produce
from injector.senders import BATCH_SIZE, NewVideo, Sender, TaskMessage, encode_task, own_row

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


@dataclass
class AppSender:
    """Record and send the videos of one run of an app. `inputs` has one entry per video.

    `upload_offset_seconds` is the largest difference between the upload time in an inserted row and our clock at the
    insert. The analysis refuses S if it is too large.
    """

    app: AppFile
    celery: Celery
    sender: Sender
    sessions: Sessions
    folder: Path
    inputs: Sequence[PlacedInput]
    user_id: str | None
    table: VideosTable | None
    upload_offset_seconds: float = 0.0

    @property
    def client(self) -> SQSClient:
        """Return the client of SQS."""
        return self.sender.client

    @property
    def queue_url(self) -> str:
        """Return the URL of the app's queue."""
        return self.sender.queue_url

    def record_and_send(self, videos: Sequence[NewVideo]) -> list[str]:
        """Insert, record and send `videos`, and return their task ids.

        Raise an AforoError when the database or the producer refuses a row, or SQS refuses the tasks.
        """
        self._copy_app_file()
        task_ids: list[str] = []
        remaining = iter(videos)
        while batch := list(islice(remaining, BATCH_SIZE)):
            task_ids += self._send_batch(batch)
        return task_ids

    def _copy_app_file(self) -> None:
        """Keep the file with which this run was made in the run's folder, without passwords."""
        copy = self.folder / self.app.path.name
        if not copy.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            first_line = f"{header(self.app.name)}sha256 of the original: {self.app.sha256}\n"
            copy.write_text(first_line + self.app.redacted, encoding="utf-8")

    def _send_batch(self, batch: Sequence[NewVideo]) -> list[str]:
        prepared = [self._prepare(video) for video in batch]
        append(self.folder, [made for made, _, _ in prepared])
        with self.sessions.begin() as session:
            session.execute(insert(VideoRow), [row for _, row, _ in prepared])
        bodies = {made.video_id: encode_task(self.celery, message) for made, _, message in prepared}
        self.sender.send(bodies)
        sent = update(VideoRow).where(VideoRow.id.in_(list(bodies)))
        with self.sessions.begin() as session:
            session.execute(sent.values(sent_at=time.time()))
            self._store_offset(session, batch[0].run_id)
        return [made.task_id for made, _, _ in prepared]

    def _store_offset(self, session: Session, run_id: str) -> None:
        run = session.get_one(RunRow, run_id)
        app = {**run.environment["app"], "upload_offset_seconds": self.upload_offset_seconds}
        run.environment = {**run.environment, "app": app}

    def _prepare(self, video: NewVideo) -> tuple[InjectedVideo, dict[str, object], TaskMessage]:
        """Insert the app's row of one video. Return what was made, our row, and the message."""
        placed = self.inputs[video.sequence]
        now = time.time()
        row = own_row(video, now) | {"source_key": placed.made or placed.path}
        values = placeholder_values(video.sequence, str(row["task_id"]), placed, video.run_id, self.user_id)
        args, kwargs, key, status, uploaded_at = self._arguments(values)
        if uploaded_at is not None:
            row |= {"uploaded_at": uploaded_at, "updated_at": uploaded_at}
            self.upload_offset_seconds = max(self.upload_offset_seconds, uploaded_at - now, key=abs)
        made = InjectedVideo(str(row["id"]), str(row["task_id"]), key, status, placed.made)
        message = TaskMessage(
            name=self.app.task,
            task_id=made.task_id,
            queue_url=self.sender.queue_url,
            args=args,
            kwargs=kwargs,
            headers=filled(self.app.headers, values),
            protocol=self.app.protocol,
            priority=self.app.priority or 0,
        )
        return made, row | {"state": VideoState.UPLOADED}, message

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


def placeholder_values(
    sequence: int, task_id: str, placed: PlacedInput, run_id: str, user_id: str | None
) -> dict[str, Any]:
    """Return the value of each placeholder of one video."""
    return {
        "n": sequence + 1,
        "uuid": str(uuid.uuid4()),
        "task_id": task_id,
        "path": placed.path,
        "key": placed.key,
        "user_id": user_id,
        "run_id": run_id,
        "now": datetime.now(UTC),
    }
