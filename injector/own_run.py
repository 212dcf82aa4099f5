"""One injection of a foreign app's task.

Files record the sent videos. Our database is not used. The foreign app processes the videos. `own_videos` gets their
states from the database exporter, if that can read the app's table.
"""

from __future__ import annotations

import csv
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import aws, sqs_queue
from core.broker import make_celery
from core.errors import EnvironmentFault
from core.results_folder import new_tasks_log, run_folder, write_run_file
from core.run import RunStatus, new_run_id
from core.settings import Settings
from core.size import size_label
from injector.injection import (
    Request,
    Source,
    name_taken,
    paced,
    print_leftovers,
    status_after,
    store_source,
)
from injector.own_task import OwnTask
from injector.schedule import Schedule
from injector.senders import Sender, encode_task, write_tasks_log
from injector.worker_fleet import read_fleet

COLUMNS = ("sequence", "video_id", "task_id", "intended_at", "uploaded_at")


@dataclass(frozen=True)
class OwnVideo:
    """One message of the run. The fields are the columns of `videos.csv`."""

    sequence: int
    video_id: str
    task_id: str
    intended_at: float | None
    uploaded_at: float


@dataclass
class OwnRun:
    """A prepared injection: its input is stored, and no task has been sent."""

    settings: Settings
    request: Request
    task: OwnTask
    run_id: str
    source: Source
    sender: Sender
    facts: dict[str, Any] = field(default_factory=dict)
    lateness_seconds: float | None = None

    @classmethod
    def prepare(cls, settings: Settings, request: Request, say: Callable[[str], None]) -> OwnRun:
        """Check the queue and make the input.

        If this raises an AforoError, only the input remains on disk.
        """
        assert request.own_task is not None  # noqa: S101 (the caller checks it)
        client = aws.client(settings, "sqs")
        url = sqs_queue.find_queue(client, settings.queue.name)
        slots = _slots(settings, say)
        source = store_source(settings, request, say)
        run_id = request.run_id or new_run_id(request.mode, size_label(source.size_bytes), slots or 0)
        if run_folder(settings.results.path, run_id).exists():
            raise name_taken(run_id)
        print_leftovers(sqs_queue.read_attributes(client, url).total, say)
        facts = {"id": run_id, "task": request.own_task.name, "payload": request.own_task.payload, "slots": slots}
        return cls(settings, request, request.own_task, run_id, source, Sender(client, url), facts)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Context manager: write `run.json` at the start and at the end of the `with` block.

        An exception ends the run as interrupted (Ctrl-C) or as failed. Raise UsageError, and change no file, if a run
        with this id has started in the meantime.
        """
        self._create_folder()
        self._record(status=RunStatus.RUNNING, mode=self.request.mode, count=self.request.count, note=self.request.note)
        self._record(source=self.source.origin, source_bytes=self.source.size_bytes, source_sha256=self.source.sha256)
        try:
            yield
        except BaseException as error:
            self._record(status=status_after(error), finished_at=time.time())
            raise
        self._record(status=RunStatus.FINISHED, finished_at=time.time())

    def send(self) -> Path:
        """Send every task at its scheduled time.

        Write `videos.csv` and return the path of the log of task ids.
        """
        schedule = Schedule(self.request.count, self.request.rate_per_minute)
        app = make_celery(self.settings, self.sender.queue_url)
        log, started_at = new_tasks_log(self.settings.results.path), time.time()
        folder = self._record(started_at=started_at, rate_per_minute=self.request.rate_per_minute, tasks_log=str(log))
        with log.open("a", encoding="utf-8") as ids, (folder / "videos.csv").open("w", encoding="utf-8") as table:
            rows = csv.writer(table)
            rows.writerow(COLUMNS)
            for videos in paced(schedule, started_at, _video):
                self.sender.send({each.video_id: self._message(app, each) for each in videos})
                write_tasks_log([each.task_id for each in videos], ids)
                rows.writerows([getattr(each, column) for column in COLUMNS] for each in videos)
                self._record_lateness(videos)
        return log

    def _create_folder(self) -> None:
        folder = run_folder(self.settings.results.path, self.run_id)
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir()
        except FileExistsError:
            raise name_taken(self.run_id) from None

    def _message(self, app: Any, video: OwnVideo) -> str:
        facts = {
            "video_id": video.video_id,
            "path": self._path(),
            "key": self.source.key,
            "run_id": self.run_id,
            "user_id": self.request.user_id or "",
            "uploaded_at": f"{video.uploaded_at:.6f}",
        }
        return encode_task(app, self.task.name, video.task_id, self.task.kwargs(facts), self.sender.queue_url)

    def _path(self) -> str:
        storage = self.settings.storage
        if storage.backend == "s3":
            return f"s3://{storage.bucket}/{self.source.key}"
        return str((storage.path / self.source.key).resolve())

    def _record(self, **facts: object) -> Path:
        self.facts |= facts
        return write_run_file(self.settings.results.path, self.run_id, self.facts)

    def _record_lateness(self, videos: Sequence[OwnVideo]) -> None:
        late = [each.uploaded_at - each.intended_at for each in videos if each.intended_at is not None]
        if late:
            self.lateness_seconds = max(self.lateness_seconds or 0.0, *late)
            self.facts["lateness_seconds"] = self.lateness_seconds


def _video(sequence: int, intended_at: float | None) -> OwnVideo:
    return OwnVideo(sequence, uuid.uuid4().hex, str(uuid.uuid4()), intended_at, time.time())


def _slots(settings: Settings, say: Callable[[str], None]) -> int | None:
    """Return the slots of the foreign workers if they are instrumented, else None."""
    try:
        return read_fleet(settings).slots
    except EnvironmentFault as fault:
        say(f"note: the number of slots is unknown: {fault}")
        return None
