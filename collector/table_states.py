"""Read the states of an app's videos in the app's own database table, until each is done or failed.

A failure is recorded only if no retry can follow. No retry follows if all messages of the video were processed, if the
app's queue is empty, or if the video's row has not changed for 15 minutes.
"""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from collector.metrics import CollectorMetrics, Reason
from collector.video_end import final_state
from core import aws, sqs_queue
from core.app_file import AppFile
from core.app_file.injected import FILE, InjectedVideo, injected
from core.app_file.videos_table import TheirVideo, VideosTable
from core.database import Sessions
from core.errors import AforoError, first_line
from core.models import ExecutionRow, RunRow, VideoRow
from core.results_folder import run_folder
from core.settings import Settings
from core.video import FINAL_STATES, VideoState

logger = logging.getLogger(__name__)
#: Videos of older runs are not looked for any more.
OLDEST_RUN_SECONDS = 7 * 86_400.0
#: A failed row that has not changed for this long will not be retried, even if the queue never becomes empty.
SETTLED_SECONDS = 900.0
#: A column without fractions of seconds is up to this much before its moment.
TIME_RESOLUTION_SECONDS = 1.0
FINAL = tuple(state.value for state in FINAL_STATES)


@dataclass(frozen=True)
class _RunUpdate:
    """What the videos of one run share while they are updated. The queue is read once, for the first failed video."""

    session: Session
    run: RunRow
    now: float
    queue_is_empty: Callable[[], bool]


@dataclass
class _Seen:
    """When an open video's row was last seen without an end, and first seen with its last status. By our clock."""

    open_at: float = -math.inf
    status: Any = None
    ended_at: float | None = None


@dataclass
class TableStates:
    """Read the states of an app's open videos in the app's own table, and store them in our database.

    Our database also says which videos are still open. So a restart of the collector loses nothing.
    """

    settings: Settings
    app: AppFile
    sessions: Sessions
    metrics: CollectorMetrics
    _table: VideosTable | None = None
    _lists: dict[Path, tuple[int, dict[str, InjectedVideo]]] = field(default_factory=dict)  # size of the file, videos
    _seen: dict[str, _Seen] = field(default_factory=lambda: defaultdict(_Seen))
    _failure: str = ""

    def run(self, now: float | None = None) -> None:
        """Update the state of each open video in our database from the app's own table.

        Videos of runs older than 7 days are left out. If the app's database or SQS does not answer, count the error,
        and log it unless it is the same as the last time. `now` is in epoch seconds.
        """
        try:
            self._read(time.time() if now is None else now)
        except (AforoError, SQLAlchemyError, BotoCoreError, ClientError) as error:
            self.metrics.errors.labels(Reason.APP_TABLE.value).inc()
            text = first_line(getattr(error, "orig", None) or error)
            if text != self._failure:
                logger.warning("the videos of %s are not read: %s", self.app.name, text)
            self._failure = text
        else:
            self._failure = ""

    def _read(self, now: float) -> None:
        with self.sessions() as session:
            open_videos = _open_videos(session, self.app.name, now)
        still_open = {video_id for video_ids in open_videos.values() for video_id in video_ids}
        for video_id in self._seen.keys() - still_open:
            del self._seen[video_id]
        for run_id, video_ids in open_videos.items():
            listed = self._injected(run_id)
            known = {video_id: listed[video_id] for video_id in video_ids if video_id in listed}
            if known:
                table_rows = self._open_table().read([video.row for video in known.values()])
                self._store(run_id, known, table_rows, now)

    def _store(
        self, run_id: str, videos: Mapping[str, InjectedVideo], table_rows: Mapping[Any, TheirVideo], now: float
    ) -> None:
        with self.sessions.begin() as session:
            run_update = _RunUpdate(session, session.get_one(RunRow, run_id), now, cache(self._queue_is_empty))
            for row in session.scalars(select(VideoRow).where(VideoRow.id.in_(list(videos)))):
                theirs = table_rows.get(videos[row.id].row)
                if theirs is not None and row.state not in FINAL:
                    self._update(run_update, row, theirs, inserted_status=videos[row.id].status)

    def _update(self, run_update: _RunUpdate, row: VideoRow, theirs: TheirVideo, inserted_status: Any) -> None:
        state = self._state(run_update, row, theirs, inserted_status)
        seen = self._note(run_update, row, theirs)
        if state in FINAL_STATES:
            row.uploaded_at = theirs.uploaded_at or row.uploaded_at
            if theirs.updated_at is not None and _is_end(run_update.run, row, theirs.updated_at, seen.open_at):
                row.updated_at = theirs.updated_at
            else:
                row.updated_at = seen.ended_at or run_update.now
                _count(run_update.run, "observed_ends")
        elif state != row.state:
            row.updated_at = run_update.now
        row.state = state

    def _state(self, run_update: _RunUpdate, row: VideoRow, theirs: TheirVideo, inserted_status: Any) -> VideoState:
        status = self._open_table().section.status
        if status.is_done(theirs.status):
            return VideoState.DONE
        if status.is_failed(theirs.status):
            return VideoState.FAILED if _stays_failed(run_update, row, theirs) else VideoState.PROCESSING
        moved = inserted_status is not None and theirs.status != inserted_status
        return VideoState.PROCESSING if moved or row.state == VideoState.PROCESSING else VideoState.UPLOADED

    def _note(self, run_update: _RunUpdate, row: VideoRow, theirs: TheirVideo) -> _Seen:
        """Note that the row of the video was seen with an end, or without one."""
        status, seen = self._open_table().section.status, self._seen[row.id]
        if status.is_done(theirs.status) or status.is_failed(theirs.status):
            if seen.ended_at is None or seen.status != theirs.status:
                seen.status, seen.ended_at = theirs.status, run_update.now
        else:
            seen.open_at, seen.ended_at = run_update.now, None  # a retry has opened it again
        return seen

    def _queue_is_empty(self) -> bool:
        client = aws.client(self.settings, "sqs")
        url = sqs_queue.find_queue(client, self.app.queue)
        return sqs_queue.read_attributes(client, url).total == 0

    def _injected(self, run_id: str) -> dict[str, InjectedVideo]:
        """Return the videos of the run that have a row in the app's table, by id."""
        folder = run_folder(self.settings.results.path, run_id)
        try:
            size = (folder / FILE).stat().st_size
        except FileNotFoundError:
            return {}
        known = self._lists.get(folder)
        if known is None or known[0] != size:
            with_row = {video.video_id: video for video in injected(folder) if video.row is not None}
            known = self._lists[folder] = (size, with_row)
        return known[1]

    def _open_table(self) -> VideosTable:
        if self._table is None:
            self._table = VideosTable.open(self.app)
        return self._table


def _open_videos(session: Session, app_name: str, now: float) -> dict[str, list[str]]:
    """Return the ids of the app's videos that are not final, by run."""
    newer = select(RunRow).where(RunRow.created_at > now - OLDEST_RUN_SECONDS)
    runs = [run.id for run in session.scalars(newer) if run.environment.get("app", {}).get("name") == app_name]
    open_videos = select(VideoRow.run_id, VideoRow.id).where(VideoRow.run_id.in_(runs), VideoRow.state.not_in(FINAL))
    by_run: dict[str, list[str]] = {}
    for run_id, video_id in session.execute(open_videos):
        by_run.setdefault(run_id, []).append(video_id)
    return by_run


def _is_end(run: RunRow, row: VideoRow, updated_at: float, open_at: float) -> bool:
    """Return True if `updated_at` can be the time of the video's end: after its upload, and not before `open_at`.

    Some apps write the final status and leave the time of an earlier change.
    """
    offset = run.environment.get("app", {}).get("database_clock_offset_seconds") or 0.0
    return updated_at > row.uploaded_at and updated_at - offset >= open_at - TIME_RESOLUTION_SECONDS


def _stays_failed(run_update: _RunUpdate, row: VideoRow, theirs: TheirVideo) -> bool:
    """Return True if no message of a failed video can follow."""
    executions = _executions(run_update.session, row.id)
    if executions and final_state(row.task_id, executions) is not None:
        return True
    changed_at = theirs.updated_at or theirs.uploaded_at or row.uploaded_at
    return run_update.now - changed_at > SETTLED_SECONDS or run_update.queue_is_empty()


def _executions(session: Session, video_id: str) -> Sequence[ExecutionRow]:
    of_video = select(ExecutionRow).where(ExecutionRow.video_id == video_id).order_by(ExecutionRow.ended_at)
    return session.scalars(of_video).all()


def _count(run: RunRow, name: str) -> None:
    app = run.environment["app"]
    run.environment = {**run.environment, "app": {**app, name: app.get(name, 0) + 1}}
