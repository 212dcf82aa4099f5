"""One injection: record a run, store its input videos, and send its tasks at the scheduled times."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core import aws, database, sqs_queue
from core.broker import make_celery
from core.cpu_calibration import calibration_seconds
from core.database import Sessions
from core.errors import EnvironmentFault, UsageError, is_interruption
from core.ffmpeg.profiles import PROFILES, Profile
from core.lost_videos import LossWatch, look_at
from core.models import RunRow, VideoRow
from core.queue_contract import Level, check_retention
from core.results_folder import new_tasks_log, write_run_file
from core.run import (
    FINAL_STATUSES,
    REAL_SQS,
    SEED,
    SHAPE,
    STUCK_SECONDS,
    Host,
    Mode,
    RunStatus,
    fewest_arrivals,
    has_constant_rate,
    new_run_id,
    queue_of_run,
)
from core.settings import Settings
from core.size import size_label
from core.size_mix import DEFAULT_SEED, SizeMix
from core.storage import ObjectMissing, Storage, describe, open_storage
from injector.input_video import MediaFile, inspect_file, make_video
from injector.parallel_sender import BatchMaker, ParallelSender
from injector.run_inputs import RunInputs, Source
from injector.schedule import Schedule
from injector.senders import BATCH_SIZE, NewVideo, Sender, VideoSender, write_tasks_log
from injector.worker_fleet import WorkerFleet, read_fleet

#: number of the PostgreSQL advisory lock under which a run starts; unique in our database
START_LOCK = 0xAF0120
#: download, upload and the end of a hung task take less; the deadline of the worker is that of ffmpeg alone
AFTER_DEADLINE_SECONDS = 300.0
#: a camera's 1080p file shrinks to a fifth or a quarter at 720p; smaller pictures shrink less
SMALLEST_OUTPUT_RATIO = 0.2
Video = TypeVar("Video")


@dataclass(frozen=True)
class Request:
    """Validated command-line options of one injection: which videos are sent, how many, and when."""

    count: int
    #: None for the user's own file
    sizes: SizeMix | None
    mode: Mode
    #: mean rate of a sustained run
    rate_per_minute: float | None
    file: str | None
    user_id: str | None
    profile: Profile
    run_id: str | None
    note: str
    #: declared slots per worker and number of workers of an app that is not instrumented
    concurrency: int = 2
    workers: int = 1
    #: do not ask before sending to a queue of somebody else
    assume_yes: bool = False
    #: process videos before the run, so that the slots are warm
    warmup: bool = False
    #: load shape, and its arrivals in seconds after the start
    shape: str | None = None
    arrivals: Sequence[float] | None = None
    #: of random arrivals and of the order of a mix; None if nothing is random
    seed: int | None = None

    @property
    def schedule(self) -> Schedule:
        """Return the times at which the videos are sent."""
        return Schedule(self.count, self.rate_per_minute, self.arrivals)

    def order(self) -> list[int]:
        """Return the index of the input file of each video, in the order of the videos.

        The index is 0 for the first size of a mix, 1 for the second, and so on. For a single input file, every index is
        0.
        """
        if self.sizes is None:
            return [0] * self.count
        return self.sizes.positions(self.count, DEFAULT_SEED if self.seed is None else self.seed)


@dataclass(frozen=True)
class Injection:
    """A run that is ready to start: its input videos are stored, and no task has been sent."""

    settings: Settings
    request: Request
    run_id: str
    inputs: RunInputs
    sessions: Sessions
    maker: BatchMaker
    row: RunRow

    @classmethod
    def prepare(cls, settings: Settings, request: Request, say: Callable[[str], None]) -> Injection:
        """Check the queue and the workers, store the input videos, and return the prepared run.

        The run is not recorded in the database yet. Raise an AforoError if a check fails. `say` prints a line of text
        for the user.
        """
        sessions = open_store(settings, request)
        client = aws.client(settings, "sqs")
        url = sqs_queue.find_queue(client, settings.queue.name)
        fleet = read_fleet(settings)
        print_unjudged_stability(request, fleet.slots, say)
        inputs = store_inputs(settings, request, say)
        run_id = request.run_id or new_run_id(request.mode, inputs.label, fleet.slots_per_node, nodes=fleet.nodes)
        queue = sqs_queue.read_attributes(client, url)
        print_leftovers(queue.total, say)
        if (retention := check_retention(queue)).level is not Level.OK:
            say(f"warning: queue {settings.queue.name}, {retention.line}")
        row = run_row(settings, run_id, request, inputs, fleet)
        row.environment |= {
            "messages_before": queue.total,
            "dead_letters_before": sqs_queue.dead_letter_depth(client, queue),
            **({} if request.profile.name in PROFILES else {"profile": request.profile.to_dict()}),
        }
        maker = VideoSender(make_celery(settings, url), Sender(client, url), sessions)
        return cls(settings, request, run_id, inputs, sessions, maker, row)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Context manager that records the run in the database when the block starts.

        Raise an AforoError if another run is active. If the block raises an exception, a run without a final status
        becomes interrupted (Ctrl-C) or failed. At the end of the block, `run.json` is written.
        """
        self._record()
        try:
            yield
        except BaseException as error:
            self.end(RunStatus.INTERRUPTED if is_interruption(error) else RunStatus.FAILED)
            raise
        finally:
            self._write_run_file()

    def send(self) -> Path:
        """Send the task of every video at its scheduled time. Return the path of the file with the task ids."""
        log = new_tasks_log(self.settings.results.path)
        started_at = time.time()
        self._set(status=RunStatus.RUNNING, started_at=started_at, heartbeat_at=started_at, tasks_log=str(log))
        with (
            log.open("a", encoding="utf-8") as file,
            ParallelSender(self.maker, self.run_id, partial(write_tasks_log, file=file)) as sender,
        ):
            for videos in paced(self.request.schedule, started_at, self._video, sender.rest):
                sender.send(videos)
        return log

    def end(self, status: RunStatus) -> None:
        """Record `status` as the final status of the run. A run that has a final status keeps it."""
        open_run = (RunRow.id == self.run_id, RunRow.status.not_in([s.value for s in FINAL_STATUSES]))
        with self.sessions.begin() as session:
            session.execute(update(RunRow).where(*open_run).values(status=status, finished_at=time.time()))

    def loss_watch(self) -> LossWatch | None:
        """Return a LossWatch, which detects when the queue has lost videos of this run.

        For an app under test, return None.
        """
        # an app makes no claims, and may delete a message before it processes the video
        if self.settings.app is not None:
            return None
        sender, queue = self.maker.sender, self.settings.queue
        look = partial(look_at, sender.client, sender.queue_url, self.sessions, self.run_id)
        return LossWatch(look, queue.visibility_timeout_seconds)

    def stuck_seconds(self) -> float:
        """Return after how many seconds without any change of its videos the run ends as interrupted.

        For our own worker, this is longer than one video may take.
        """
        if self.settings.app is not None:
            return self.settings.app_stuck_seconds
        return max(STUCK_SECONDS, self.settings.worker.deadline_seconds + AFTER_DEADLINE_SECONDS)

    def lateness_seconds(self) -> float | None:
        """Return the largest lateness of a video of this run: its upload time minus its scheduled time.

        The result is in seconds. It is None for a burst, because its videos have no scheduled time.
        """
        late = select(func.max(VideoRow.uploaded_at - VideoRow.intended_at)).where(VideoRow.run_id == self.run_id)
        with self.sessions() as session:
            return session.scalar(late)

    def _video(self, sequence: int, intended_at: float | None) -> NewVideo:
        source, request = self.inputs.of_video(sequence), self.request
        return NewVideo(
            run_id=self.run_id,
            sequence=sequence,
            source_key=source.key,
            source_bytes=source.size_bytes,
            source_sha256=source.sha256,
            profile=request.profile.name,
            user_id=request.user_id,
            intended_at=intended_at,
        )

    def _record(self) -> None:
        """Insert the run unless another run is active on its queue, in one transaction.

        Therefore only one of two injectors that start at the same time succeeds.
        """
        with self.sessions.begin() as session:
            database.take_turn(session.connection(), START_LOCK)
            is_generated = self.request.run_id is None
            require_no_other_run(session, self.run_id, self.settings.queue.name, is_generated=is_generated)
            session.add(self.row)

    def _set(self, **values: object) -> None:
        with self.sessions.begin() as session:
            session.execute(update(RunRow).where(RunRow.id == self.run_id).values(**values))

    def _write_run_file(self) -> None:
        with self.sessions() as session:
            row = session.get(RunRow, self.run_id)
            facts = {column.name: getattr(row, column.name, None) for column in RunRow.__table__.columns}
        if row is not None:
            write_run_file(self.settings.results.path, self.run_id, facts)


def print_leftovers(messages: int, say: Callable[[str], None]) -> None:
    """Tell the user that the queue holds messages of earlier work.

    `messages` is their number. If it is 0, nothing is printed. `say` prints a line of text.
    """
    if messages:
        say(
            f"note: about {messages} messages of earlier work are in the queue, so X and S will be invalid; "
            "Ctrl-C and `python -m capacity wait --queue` first takes out those of ended runs and waits for the others"
        )


def print_unjudged_stability(request: Request, slots: int, say: Callable[[str], None]) -> None:
    """Print a note if the analysis will not judge the stability of this sustained run. Print nothing for a burst.

    The reason is a changing rate, or too few videos for `slots` slots. `say` prints a line of text.
    """
    needed = fewest_arrivals(slots)
    if not has_constant_rate(request.shape):
        say(f"note: the rate of {request.shape} changes during the run, so its stability is not judged")
    elif request.mode == Mode.SUSTAINED and request.count < needed:
        say(
            f"note: COUNT={request.count} is too few to tell whether the queue is stable: "
            f"on {slots} slots a verdict needs {needed} videos, and more near the capacity"
        )


def paced(
    schedule: Schedule,
    started_at: float,
    make: Callable[[int, float | None], Video],
    rest: Callable[[float], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
) -> Iterator[list[Video]]:
    """Yield the videos of a run in batches, each as soon as its videos are due by the schedule.

    - `started_at` is the epoch time at which the schedule starts.
    - `make` creates a video from its number and its due time in epoch seconds. In a burst, the due time is None.
    - `rest` is called while no video is due. It waits at most the given number of seconds.
    - `clock` gives monotonic seconds, and `wall_clock` epoch seconds.
    """
    started, sent = clock() - (wall_clock() - started_at), 0
    while sent < schedule.count:
        due = schedule.due(sent, clock() - started)
        if due == 0:
            rest(max(0.0, min(0.5, schedule.intended_seconds(sent) - (clock() - started))))
            continue
        has_due_times = schedule.rate_per_minute is not None
        batch = range(sent, sent + min(due, BATCH_SIZE))
        yield [make(k, started_at + schedule.intended_seconds(k) if has_due_times else None) for k in batch]
        sent = batch.stop


def open_store(settings: Settings, request: Request) -> Sessions:
    """Open Aforo's own database, update its schema, and return a factory of sessions.

    Raise an AforoError if another run is active on the queue, or if the run id of the request exists already.
    """
    engine = database.open_engine(settings.database.url)
    database.upgrade_schema(engine)
    sessions = database.open_sessions(engine)
    with sessions.begin() as session:  # `recorded` checks again, because making the input takes time
        require_no_other_run(session, request.run_id, settings.queue.name)
    return sessions


def require_no_other_run(session: Session, run_id: str | None, queue: str, *, is_generated: bool = False) -> None:
    """Raise an AforoError if another run is active on `queue`, or if a run with id `run_id` exists.

    An active run whose queue is unknown counts too. A run whose injector has died is recorded as interrupted. Pass
    `is_generated=True` if Aforo, and not the user, chose `run_id`.
    """
    active = select(RunRow).where(RunRow.status.not_in([s.value for s in FINAL_STATUSES]))
    for row in session.scalars(active):
        if not row.is_dead(time.time()):
            if queue_of_run(row.environment or {}) not in {None, queue}:
                continue
            remedy = "wait for it (`python -m capacity wait`) or stop it with Ctrl-C"
            raise EnvironmentFault("run", "it is active", remedy, value=row.id)
        row.status, row.finished_at = RunStatus.INTERRUPTED, time.time()
    # second, because two injectors that start in the same second generate the same id
    if run_id and session.get(RunRow, run_id) is not None:
        if is_generated:
            raise EnvironmentFault("run", "another one has begun in the same second", "run it again", value=run_id)
        raise UsageError("RUN_ID", "a run of that name is recorded", "choose another or leave it out", value=run_id)


def store_inputs(settings: Settings, request: Request, say: Callable[[str], None]) -> RunInputs:
    """Put the input videos of a run into the storage, and return them as RunInputs.

    They are one generated video of each size, or the user's own file. Raise an AforoError if the worker would not
    accept the file, or if the disk is too small. `say` prints a line of text for the user.
    """
    storage = open_storage(settings)
    if request.file and request.file.startswith("s3://"):
        return RunInputs((_remote_source(settings, storage, request.file),), request.order())
    files = input_media(settings, request, say)
    order = request.order()
    require_space(settings, request, sum(files[position].size_bytes for position in order))
    return RunInputs(tuple(_stored(settings, storage, media, request.file) for media in files), order, request.sizes)


def _stored(settings: Settings, storage: Storage, media: MediaFile, file: str | None) -> Source:
    stored = describe(media.path, f"{settings.storage.upload_prefix}{media.sha256[:16]}.mp4")
    if not storage.exists(stored.key):
        storage.upload(media.path, stored.key)
    origin = file or f"generated {size_label(stored.size_bytes)}"
    return Source(stored.key, stored.size_bytes, stored.sha256, media.duration_seconds, origin)


def require_space(settings: Settings, request: Request, input_bytes: int) -> None:
    """Raise EnvironmentFault if the storage folder has too little space for the output files of the run.

    `input_bytes` is the total input size of all videos of the run. Nothing is checked for storage in S3, or for
    profiles other than `full`.
    """
    if settings.storage.backend != "filesystem" or request.profile.name != "full":
        return
    free_bytes = shutil.disk_usage(_existing(settings.storage.path)).free
    needed_bytes = round(input_bytes * SMALLEST_OUTPUT_RATIO)
    if needed_bytes > free_bytes:
        raise EnvironmentFault(
            "disk",
            f"the outputs of {request.count} videos need {size_label(needed_bytes)} or more",
            "free some, set UPLOAD_PATH, or give a smaller COUNT or SIZE",
            value=f"{size_label(free_bytes)} free",
        )


def _existing(folder: Path) -> Path:
    """Return `folder`, or its nearest parent that exists.

    If a user's own file is the first file of the storage, `folder` does not exist yet.
    """
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def input_media(settings: Settings, request: Request, say: Callable[[str], None]) -> list[MediaFile]:
    """Return the input videos as local files: the user's own file, or a generated file of each size.

    Raise UsageError if the worker would not accept the user's file. `say` prints a line of text for the user.
    """
    if request.sizes is None:
        return [inspect_file(Path(str(request.file)))]
    folder = settings.storage.path / "media"
    return [make_video(share.size_bytes, folder, say) for share in request.sizes.shares]


def _remote_source(settings: Settings, storage: Storage, url: str) -> Source:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if bucket != settings.storage.bucket or not key:
        raise UsageError("FILE", f"the bucket is {settings.storage.bucket}", "give s3://bucket/key in it", value=url)
    local = settings.storage.path / "media" / f"s3-{time.time_ns()}.bin"
    local.parent.mkdir(parents=True, exist_ok=True)
    try:
        stored = storage.fetch(key, local)
        media = inspect_file(local)
    except ObjectMissing:
        raise UsageError("FILE", "there is no such object", "give s3://bucket/key of a video", value=url) from None
    finally:
        local.unlink(missing_ok=True)
    return Source(key, stored.size_bytes, stored.sha256, media.duration_seconds, url)


def run_row(settings: Settings, run_id: str, request: Request, inputs: RunInputs, fleet: WorkerFleet) -> RunRow:
    """Return the row that records a run in Aforo's database, before the run has started.

    `inputs` has the stored input files, and `fleet` the running workers.
    """
    return RunRow(
        id=run_id,
        status=RunStatus.PREPARING,
        mode=request.mode,
        size_label=inputs.label,
        size_bytes=inputs.mean_bytes,
        count=request.count,
        concurrency=fleet.slots_per_node,
        nodes=fleet.nodes,
        slots=fleet.slots,
        profile=request.profile.name,
        rate_per_minute=request.rate_per_minute,
        window_seconds=request.schedule.window_seconds,
        source=inputs.origin,
        source_sha256=inputs.sha256,
        source_seconds=inputs.mean_seconds,
        user_id=request.user_id,
        created_at=time.time(),
        heartbeat_at=time.time(),
        note=request.note,
        environment=_environment(settings, fleet) | {"is_warm": request.warmup} | _shape(request) | inputs.as_json(),
    )


def _shape(request: Request) -> dict[str, Any]:
    """Return load shape and seed as stored in the run's row. Videos of one size at equal intervals store none."""
    return {key: value for key, value in ((SHAPE, request.shape), (SEED, request.seed)) if value is not None}


def _environment(settings: Settings, fleet: WorkerFleet) -> dict[str, Any]:
    """Return the conditions of the run, as stored in its row. `host` is the machine of this injector.

    The CPU calibration runs only if the workers run on this machine.
    """
    return {
        "host": dataclasses.asdict(Host.this()),
        "stack": settings.stack,
        "queue": settings.queue.name,
        REAL_SQS: settings.aws.endpoint_of("sqs") is None,
        "storage": settings.storage.backend,
        "ceilings": fleet.bandwidth_limits,
        "canary_before_seconds": calibration_seconds() if settings.stack != "aws" else None,
        **fleet.versions,
        "workers": {"start": list(fleet.workers)},
    }
