"""The composition root: the Celery application with its task, transport, metrics and events."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_ready
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import SQLAlchemyError

from pipeline import aws, database, queue
from pipeline.broker import make_celery
from pipeline.settings import Settings
from pipeline.storage import open_storage
from pipeline.video import TASK_NAME
from worker import instrumentation, reports, sweeping, tasks, transport
from worker.ceilings import ceilings
from worker.counting import WorkerMetrics
from worker.dead_letters import DeadLetterWatch
from worker.envelope import Rules, our_call
from worker.events import Forwarder, forward_events
from worker.ledger import BEAT_SECONDS, Ledger, Slot
from worker.resources import NodeCollector, slot_pids
from worker.transcode import Transcoder
from worker.visibility import Receipt, VisibilityKeeper

logger = logging.getLogger(__name__)
#: ffmpeg has its own deadline; this ends a task that hangs elsewhere, and its message comes again
TIME_LIMIT_MARGIN_SECONDS = 120
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
    if settings.aws.endpoint_url:
        os.environ.setdefault("AWS_ENDPOINT_URL_SQS", settings.aws.endpoint_url)  # the one way to tell kombu's clients
    queue_url = queue.find_queue(aws.client(settings, "sqs"), settings.queue.name)
    app = make_celery(settings, queue_url)
    transport.harden(app, worker_metrics, Rules(tasks={TASK_NAME}, check=our_call))
    redis_url = settings.events.redis_url
    forwarder = Forwarder(redis_url, registry, worker_metrics.measuring) if redis_url else None
    forward_events(app, forwarder)
    instrumentation.connect(app, worker_metrics)
    tasks.register(app, _one_per_process(settings))
    app.conf.task_time_limit = settings.worker.deadline_seconds + TIME_LIMIT_MARGIN_SECONDS
    return WorkerApp(app, registry, worker_metrics, forwarder, queue_url)


def serve_metrics(made: WorkerApp, settings: Settings) -> None:
    """Answer /metrics from the main process, and start the event thread, once the pool has forked."""
    worker, most = settings.worker, ceilings(settings)
    places = {"work": worker.work_path, "storage": settings.storage.path}
    instrumentation.serve_when_ready(
        made.celery,
        made.metrics,
        made.registry,
        (worker.metrics_host, worker.metrics_port),
        lambda consumer: NodeCollector(places, slot_pids(consumer), most),
        worker.profile,
        made.forwarder,
    )


def watch_dead_letters(made: WorkerApp, settings: Settings) -> None:
    """Look after dead letters from the event loop: no thread, so a fork never finds the database half-way."""
    client = aws.client(settings, "sqs", read_timeout_seconds=3)
    watch = DeadLetterWatch(client, made.queue_url, _ledger(settings, forks=True))
    pause_seconds = settings.queue.visibility_timeout_seconds / LOOKS_PER_TIMEOUT

    def start(sender: Any = None, **_signal: object) -> None:
        sender.hub.call_repeatedly(pause_seconds, watch.look)

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


def sweep_after_dead_slots(settings: Settings) -> None:
    """Let the process that replaces a killed one remove what that left."""

    def sweep(**_signal: object) -> None:
        sweeping.sweep_dead_slots(settings.worker.work_path)

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


def _one_per_process(settings: Settings) -> Callable[[], tasks.Workshop]:
    """Return what makes a process's workshop once; the pid in the key keeps a child from using its parent's."""

    @lru_cache(maxsize=1)
    def made(_pid: int) -> tasks.Workshop:
        return _workshop(settings)

    return lambda: made(os.getpid())


def _workshop(settings: Settings) -> tasks.Workshop:
    work_path = settings.worker.work_path.resolve() / str(os.getpid())
    work_path.mkdir(parents=True, exist_ok=True)
    return tasks.Workshop(
        slot=Slot.this(),
        ledger=_ledger(settings),
        storage=open_storage(settings),
        transcoder=Transcoder.from_settings(settings.worker),
        keeper=_keeper(aws.client(settings, "sqs", read_timeout_seconds=5), settings.queue.visibility_timeout_seconds),
        work_path=work_path,
    )


def _keeper(sqs: object, timeout_seconds: float) -> Callable[[Receipt, Callable[[], bool]], VisibilityKeeper]:
    tell = lambda result: reports.report("extension", result=result)  # noqa: E731
    return lambda receipt, renew: VisibilityKeeper(sqs, receipt, timeout_seconds, renew, tell)
