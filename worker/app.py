"""The composition root: the Celery application with its task, transport, metrics and events."""

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

from aforo.sqs import MessagePolicy, ReceivedMessage, UnsupportedApp, VisibilityHeartbeat, harden
from aforo.telemetry import instrument
from aforo.telemetry.celery_events import Forwarder, forward_events
from aforo.telemetry.event_channel import Action
from aforo.telemetry.node import NodeCollector, slot_pids
from aforo.telemetry.request_counting import WorkerMetrics
from core import aws, database, sqs_queue
from core.broker import make_celery
from core.errors import EnvironmentFault
from core.settings import Settings
from core.storage import StorageError, open_storage
from core.video import TASK_NAME
from worker import cleanup, task
from worker.bandwidth_limits import ceilings
from worker.claims import BEAT_SECONDS, Ledger
from worker.dead_letter_watch import DeadLetterWatch
from worker.media.transcode import Transcoder
from worker.payload import check_payload
from worker.slot import Slot

logger = logging.getLogger(__name__)
#: ffmpeg has its own deadline; a task that hangs elsewhere is interrupted, and says so as `timeout`
HANG_SECONDS = 120
#: what does not even react to that is killed, process and all, and its message comes again
KILL_SECONDS = 30
#: dead letters are looked for so often in a visibility timeout, which is how soon the queue itself changes its mind
LOOKS_PER_TIMEOUT = 4


@dataclass(frozen=True)
class WorkerApp:
    """The application and what must be started in the main process beside it."""

    celery: Celery
    registry: CollectorRegistry
    metrics: WorkerMetrics
    forwarder: Forwarder | None
    queue_url: str


def create_app(settings: Settings) -> WorkerApp:
    """Wire everything for the queue that `settings` name; raise EnvironmentFault when it is not there."""
    registry = CollectorRegistry()
    worker_metrics = WorkerMetrics(registry)
    queue_url = sqs_queue.find_queue(aws.client(settings, "sqs"), settings.queue.name)
    app = make_celery(settings, queue_url)
    _harden(app, worker_metrics)
    redis_url = settings.events.redis_url
    forwarder = Forwarder(redis_url, registry, worker_metrics.measuring) if redis_url else None
    forward_events(app, forwarder)
    instrument.connect(app, worker_metrics)
    task.register(app, _one_per_process(settings, worker_metrics))
    app.conf.task_soft_time_limit = settings.worker.deadline_seconds + HANG_SECONDS
    app.conf.task_time_limit = app.conf.task_soft_time_limit + KILL_SECONDS
    return WorkerApp(app, registry, worker_metrics, forwarder, queue_url)


def _harden(app: Celery, worker_metrics: WorkerMetrics) -> None:
    try:
        harden(app, worker_metrics, MessagePolicy(tasks={TASK_NAME}, check=check_payload))
    except UnsupportedApp as error:
        raise EnvironmentFault("SQS transport", str(error), "install the versions in requirements/") from error


def serve_metrics(made: WorkerApp, settings: Settings) -> None:
    """Answer /metrics from the main process, and start the event thread, once the pool has forked."""
    worker, most = settings.worker, ceilings(settings)
    places = {"work": worker.work_path, "storage": settings.storage.path}
    instrument.serve_when_ready(
        made.celery,
        made.metrics,
        made.registry,
        (worker.metrics_host, worker.metrics_port),
        lambda consumer: NodeCollector(places, slot_pids(consumer), most),
        worker.profile,
        made.forwarder,
    )


def watch_dead_letters(made: WorkerApp, settings: Settings) -> None:
    """Look after dead letters beside the event loop, which must not wait for SQS, the storage or the database."""
    discard = partial(cleanup.discard, open_storage(settings))
    client = aws.client(settings, "sqs", read_timeout_seconds=5)
    watch = DeadLetterWatch(client, made.queue_url, _ledger(settings, forks=True), discard)

    def start(**_signal: object) -> None:
        watch.start(settings.queue.visibility_timeout_seconds / LOOKS_PER_TIMEOUT)

    worker_ready.connect(start, weak=False)


def keep_signed_in(settings: Settings) -> None:
    """Say in the database from time to time that this worker lives: others that leave are then not the last."""
    ledger, worker = _ledger(settings, forks=True), Slot.this()

    def sign_in() -> None:
        try:
            ledger.sign_in(worker)
        except SQLAlchemyError as error:
            logger.warning("could not say that this worker lives, one that leaves may end a run: %s", error)

    def start(sender: Any = None, **_signal: object) -> None:
        sign_in()
        sender.hub.call_repeatedly(BEAT_SECONDS, sign_in)

    worker_ready.connect(start, weak=False)


def sweep(made: WorkerApp, settings: Settings) -> None:
    """Clear away what an earlier worker left, in the work folder and, where the storage lets us, of publications."""
    cleanup.sweep(settings.worker.work_path)
    try:
        open_storage(settings).sweep(settings.storage.processed_prefix, cleanup.ABANDONED_SECONDS)
    except (StorageError, OSError) as error:
        made.metrics.survived_errors.labels(Action.SWEEP).inc()
        logger.warning("could not look for abandoned publications: %s", error)


def sweep_after_dead_slots(settings: Settings) -> None:
    """Let the process that replaces a killed one remove what that left."""

    def sweep(**_signal: object) -> None:
        cleanup.sweep_dead_slots(settings.worker.work_path)

    worker_process_init.connect(sweep, weak=False)


def leave(settings: Settings) -> None:
    """Say in the database that this worker has ended: its claims are free; the last one interrupts what goes on."""
    ledger = _ledger(settings, forks=True)
    ledger.release_dead()
    if ledger.sign_out(Slot.this()):
        ledger.interrupt_runs()


def _ledger(settings: Settings, *, forks: bool = False) -> Ledger:
    sessions = database.open_sessions(database.open_engine(settings.database.url, forks=forks))
    lease = float(settings.queue.visibility_timeout_seconds)
    return Ledger(sessions, lease, settings.worker.max_attempts, settings.storage.processed_prefix)


def _one_per_process(settings: Settings, worker_metrics: WorkerMetrics) -> Callable[[], task.Workshop]:
    """Return what makes a process's workshop once; the pid in the key keeps a child from using its parent's."""

    @lru_cache(maxsize=1)
    def made(_pid: int) -> task.Workshop:
        return _workshop(settings, worker_metrics)

    return lambda: made(os.getpid())


def _workshop(settings: Settings, worker_metrics: WorkerMetrics) -> task.Workshop:
    work_path = settings.worker.work_path.resolve() / str(os.getpid())
    work_path.mkdir(parents=True, exist_ok=True)
    return task.Workshop(
        slot=Slot.this(),
        ledger=_ledger(settings),
        storage=open_storage(settings),
        transcoder=Transcoder.from_settings(settings.worker),
        heartbeat=_heartbeat(settings, worker_metrics),
        work_path=work_path,
    )


def _heartbeat(
    settings: Settings, worker_metrics: WorkerMetrics
) -> Callable[[ReceivedMessage, Callable[[], bool]], VisibilityHeartbeat]:
    client = aws.client(settings, "sqs", read_timeout_seconds=5)
    timeout_seconds = settings.queue.visibility_timeout_seconds
    return lambda message, renew: VisibilityHeartbeat(client, message, timeout_seconds, renew, worker_metrics)
