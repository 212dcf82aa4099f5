"""Build the worker's Celery application: its task, SQS transport, metrics and background threads."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_ready
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import SQLAlchemyError

from aforo.process_identity import WorkerProcess
from aforo.sqs import MessagePolicy, ReceivedMessage, UnsupportedApp, VisibilityHeartbeat, harden, stall
from aforo.telemetry import instrument
from aforo.telemetry.celery_events import Forwarder, forward_events
from aforo.telemetry.label_values import Operation
from aforo.telemetry.node import NodeCollector, slot_pids
from aforo.telemetry.slot_number import slot_number
from aforo.telemetry.worker_metrics import WorkerMetrics
from core import aws, database, sqs_queue
from core.broker import make_celery
from core.errors import EnvironmentFault
from core.settings import Settings
from core.storage import StorageError, open_storage
from core.video import TASK_NAME
from worker import cleanup, task
from worker.bandwidth_limits import bandwidth_limits
from worker.claims import BEAT_SECONDS, Claims
from worker.dead_letter_watch import DeadLetterWatch
from worker.media.thread_budget import thread_budget
from worker.media.transcode import Transcoder
from worker.outage_log import Consequence, OutageLog, RejectedTasks
from worker.payload import check_payload
from worker.slot import Slot

logger = logging.getLogger(__name__)
#: ffmpeg has its own deadline; a task that hangs elsewhere is interrupted after this and fails as `timeout`
HANG_SECONDS = 120
#: a task that ignores the interruption is killed with its process, and its message returns to the queue
KILL_SECONDS = 30
#: checks of the dead-letter queue per visibility timeout, the time in which SQS itself dead-letters a message
CHECKS_PER_TIMEOUT = 4


@dataclass(frozen=True)
class WorkerApp:
    """The worker's Celery application, with the objects that the functions of this module share.

    The field `registry` holds the metrics for Prometheus. The field `forwarder` sends Celery events to Redis, and is
    None if no Redis is configured. The field `outages` logs failures of the database.
    """

    celery: Celery
    registry: CollectorRegistry
    metrics: WorkerMetrics
    forwarder: Forwarder | None
    queue_url: str
    outages: OutageLog


def create_app(settings: Settings) -> WorkerApp:
    """Build the worker's Celery application for the queue in `settings`.

    Raise EnvironmentFault if the queue does not exist, or if the SQS transport cannot work with the installed packages.
    """
    registry = CollectorRegistry()
    worker_metrics = WorkerMetrics(registry)
    queue_url = sqs_queue.find_queue(aws.client(settings, "sqs"), settings.queue.name)
    app = make_celery(settings, queue_url)
    _harden(app, worker_metrics)
    redis_url = settings.events.redis_url
    forwarder = Forwarder(redis_url, registry, worker_metrics.telemetry_cpu) if redis_url else None
    forward_events(app, forwarder)
    instrument.connect(app, worker_metrics)
    worker_metrics.initialise_videos()
    outages = OutageLog()
    task.register(app, _one_per_process(settings, worker_metrics), outages)
    logging.getLogger("celery.app.trace").addFilter(RejectedTasks())
    app.conf.task_soft_time_limit = settings.worker.deadline_seconds + HANG_SECONDS
    app.conf.task_time_limit = app.conf.task_soft_time_limit + KILL_SECONDS
    return WorkerApp(app, registry, worker_metrics, forwarder, queue_url, outages)


def _harden(app: Celery, worker_metrics: WorkerMetrics) -> None:
    try:
        policy = MessagePolicy(tasks={TASK_NAME}, allows_compression=False, check=check_payload)
        harden(app, worker_metrics, policy)
    except UnsupportedApp as error:
        raise EnvironmentFault("SQS transport", str(error), "install the versions in requirements/") from error


def serve_metrics(parts: WorkerApp, settings: Settings) -> None:
    """Prepare the worker's main process to serve /metrics and to send Celery events to Redis.

    Call this before the worker starts. Serving and sending begin when the worker is ready. The bandwidth limits are
    measured now, which takes some seconds, unless they were measured in the last day.
    """
    worker, limits = settings.worker, bandwidth_limits(settings, parts.metrics.handled_error)
    places = {"work": worker.work_path, "storage": settings.storage.path}
    instrument.serve_when_ready(
        parts.celery,
        parts.metrics,
        parts.registry,
        (worker.metrics_host, [worker.metrics_port]),
        lambda consumer: NodeCollector(places, slot_pids(consumer), limits),
        {
            "profile": worker.profile,
            "threads_setting": str(worker.threads or "auto"),
            "threads": str(thread_budget(worker)),
        },
        parts.forwarder,
    )


def watch_dead_letters(parts: WorkerApp, settings: Settings) -> None:
    """Prepare the worker to mark the videos of dead-lettered messages as failed, in a thread.

    Call this before the worker starts. The thread starts when the worker is ready.
    """
    delete_outputs = partial(cleanup.delete_outputs, open_storage(settings))
    client = aws.client(settings, "sqs", read_timeout_seconds=5)
    watch = DeadLetterWatch(client, parts.queue_url, _claims(settings, forks=True), delete_outputs, parts.outages)

    def start(**_signal: object) -> None:
        # in a thread, because the worker's event loop must not wait for SQS, the storage or the database
        watch.start(settings.queue.visibility_timeout_seconds / CHECKS_PER_TIMEOUT)

    worker_ready.connect(start, weak=False)


def write_heartbeats(parts: WorkerApp, settings: Settings) -> None:
    """Prepare the worker to write a heartbeat to the database every 20 s.

    Call this before the worker starts. The heartbeat is a row with the current time. The row shows other workers that
    this worker is alive.
    """
    claims, worker = _claims(settings, forks=True), WorkerProcess.this()

    def write_heartbeat() -> None:
        try:
            claims.write_heartbeat(worker)
        except SQLAlchemyError as error:
            parts.metrics.handled_error(Operation.WRITE_HEARTBEAT)
            parts.outages.note(Consequence.WORKER_SEEMS_DEAD, error)

    def start(sender: Any = None, **_signal: object) -> None:
        write_heartbeat()
        sender.hub.call_repeatedly(BEAT_SECONDS, write_heartbeat)

    worker_ready.connect(start, weak=False)


def clean_up(parts: WorkerApp, settings: Settings) -> None:
    """Delete the work files and the unfinished uploads that an earlier, killed worker left.

    Before that, kill the ffmpeg processes of that worker. Uploads stay if they are younger than 24 hours. A failure of
    the storage is logged and counted.
    """
    cleanup.clean_up_work_folder(settings.worker.work_path)
    try:
        storage = open_storage(settings)
        storage.abort_uploads(settings.storage.processed_prefix, cleanup.ABANDONED_SECONDS)
    except (StorageError, OSError) as error:
        parts.metrics.handled_error(Operation.CLEAN_UP)
        logger.warning("could not abort abandoned uploads: %s", error)


def clean_up_after_dead_slots(settings: Settings) -> None:
    """Make each child process of the pool, when it starts, delete the work files of dead child processes.

    Call this before the worker starts.
    """

    def clean_up(**_signal: object) -> None:
        cleanup.clean_up_dead_slots(settings.worker.work_path)

    worker_process_init.connect(clean_up, weak=False)


def leave(settings: Settings) -> None:
    """Free the claims of dead processes on this machine, and delete this worker's heartbeat row.

    Call this after the worker has stopped. The last worker of a queue also marks the unfinished runs of the queue as
    interrupted. A worker that restarts itself after a stall only frees the claims. Raise the database's error if the
    database fails.
    """
    claims = _claims(settings, forks=True)
    claims.release_dead_claims()
    if stall.is_restarting():
        return
    if claims.remove_worker(WorkerProcess.this()):
        claims.interrupt_runs()


def _claims(settings: Settings, *, forks: bool = False) -> Claims:
    sessions = database.open_sessions(database.open_engine(settings.database.url, forks=forks))
    lease = float(settings.queue.visibility_timeout_seconds)
    return Claims(
        sessions, lease, settings.worker.max_executions, settings.storage.processed_prefix, settings.queue.name
    )


def _one_per_process(settings: Settings, worker_metrics: WorkerMetrics) -> Callable[[], task.TaskContext]:
    """Return a function that returns the task context of the calling process.

    The first call in a process builds the context. A forked child has another pid, so it builds its own. Create the
    function in the worker's main process.
    """
    worker = WorkerProcess.this()

    @lru_cache(maxsize=1)
    def context_of(_pid: int) -> task.TaskContext:
        return _task_context(settings, worker_metrics, worker)

    return lambda: context_of(os.getpid())


def _task_context(settings: Settings, worker_metrics: WorkerMetrics, worker: WorkerProcess) -> task.TaskContext:
    process = WorkerProcess.this()
    return task.TaskContext(
        slot=lambda: Slot(process, worker, slot_number()),
        claims=_claims(settings),
        storage=open_storage(settings),
        transcoder=Transcoder.from_settings(settings.worker),
        heartbeat=_heartbeat(settings, worker_metrics),
        work_path=settings.worker.work_path.resolve() / str(os.getpid()),
    )


def _heartbeat(
    settings: Settings, worker_metrics: WorkerMetrics
) -> Callable[[ReceivedMessage, Callable[[], bool | None]], VisibilityHeartbeat]:
    client = aws.client(settings, "sqs", read_timeout_seconds=5)
    timeout_seconds = settings.queue.visibility_timeout_seconds
    return lambda message, renew: VisibilityHeartbeat(client, message, timeout_seconds, renew, worker_metrics)
