"""Import a test that a team made with its own scripts: store rows of the app's table as a run."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from core.app_file import AppFile
from core.app_file.videos_table import TheirVideo, VideosTable
from core.app_file.worker_probe import probe_worker
from core.database import Sessions
from core.errors import UsageError
from core.models import RunRow, VideoRow
from core.run import END_OF_VIDEO, EndOfVideo, Mode, RunStatus, new_run_id
from core.size import label_bytes, size_label
from core.video import FINAL_STATES, VideoState

NOTE = "imported"


@dataclass(frozen=True)
class ImportRequest:
    """Facts about an imported test that are not in the app's table: video size, slots, workers and rate.

    `concurrency` is the number of slots of each worker. `rate_per_minute` is in videos per minute, or None for a burst.
    """

    size_bytes: int
    concurrency: int
    workers: int
    rate_per_minute: float | None

    @property
    def mode(self) -> Mode:
        """Return the mode of the imported test: sustained if it has a rate, else a burst."""
        return Mode.BURST if self.rate_per_minute is None else Mode.SUSTAINED


def import_run(sessions: Sessions, app: AppFile, keys: Sequence[Any], request: ImportRequest) -> str:
    """Store a finished run in our database, made from rows of an app's table. Return the id of the run.

    `keys` are the keys of the rows, one row per video. The app is imported with its own Python, to learn when it
    acknowledges messages. Raise UsageError if a row is missing, has no upload time, or was imported before.
    """
    videos = VideosTable.open(app).read(keys)
    missing = [key for key in keys if key not in videos]
    if missing or not videos:
        why = f"{len(missing)} of {len(keys)} rows are not in {app.videos.table if app.videos else 'the table'}"
        raise UsageError("import", why, "give the ids of its rows", value=missing[0] if missing else None)
    if any(video.uploaded_at is None for video in videos.values()):
        raise UsageError(app.place("videos.uploaded_at"), "it is null in a row", "import rows that were uploaded")
    run = _run(app, videos, request)
    with sessions.begin() as session:
        same = select(RunRow.id).where(
            RunRow.note == NOTE, RunRow.created_at == run.created_at, RunRow.count == run.count
        )
        if (known := session.scalar(same)) is not None:
            raise UsageError("import", "these rows are imported already", "see `make table APP=…`", value=known)
        session.add(run)
        session.flush()
        session.add_all(_video(app, run.id, number, videos[key]) for number, key in enumerate(keys))
    return run.id


def _run(app: AppFile, videos: Mapping[Any, TheirVideo], request: ImportRequest) -> RunRow:
    uploads = [video.uploaded_at or 0.0 for video in videos.values()]
    ends = [video.updated_at for video in videos.values() if video.updated_at is not None]
    label = size_label(request.size_bytes)
    facts: dict[str, Any] = {
        "name": app.name,
        "version": "unknown",
        "file": str(app.path),
        "sha256": app.sha256,
        "task": app.task,
    }
    facts |= {"queue": app.queue, "started_by": app.worker.started_by, "instrumented": False}
    facts["acks_late"] = probe_worker(app).acks_late
    window = None if request.rate_per_minute is None else len(videos) * 60.0 / request.rate_per_minute
    return RunRow(
        id=new_run_id(request.mode, label, request.concurrency, f"{app.name}-{NOTE}", nodes=request.workers),
        status=RunStatus.FINISHED,
        mode=request.mode,
        size_label=label,
        size_bytes=label_bytes(label),
        count=len(videos),
        concurrency=request.concurrency,
        nodes=request.workers,
        slots=request.concurrency * request.workers,
        profile=app.name,
        rate_per_minute=request.rate_per_minute,
        window_seconds=window,
        source=NOTE,
        source_sha256="",
        created_at=min(uploads),
        started_at=min(uploads),
        finished_at=max(ends, default=time.time()),
        note=NOTE,
        environment={END_OF_VIDEO: EndOfVideo.TABLE, "app": facts, "stack": None, "workers": {"start": []}},
    )


def _video(app: AppFile, run_id: str, number: int, theirs: TheirVideo) -> VideoRow:
    state = _state(app, theirs.status)
    uploaded_at = theirs.uploaded_at or 0.0
    ended_at = theirs.updated_at if state in FINAL_STATES else None
    return VideoRow(
        id=uuid.uuid4().hex,
        run_id=run_id,
        sequence=number,
        task_id=str(uuid.uuid4()),
        state=state,
        source_key=NOTE,
        source_bytes=0,
        source_sha256="",
        profile=app.name,
        uploaded_at=uploaded_at,
        updated_at=ended_at or uploaded_at,
    )


def _state(app: AppFile, status: Any) -> VideoState:
    assert app.videos is not None  # noqa: S101 (VideosTable.open checks it)
    if app.videos.status.is_done(status):
        return VideoState.DONE
    return VideoState.FAILED if app.videos.status.is_failed(status) else VideoState.PROCESSING
