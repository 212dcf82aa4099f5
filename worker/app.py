"""The composition root: the Celery application with its task, transport, metrics and events."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import psutil
from celery import Celery
from prometheus_client import CollectorRegistry

from pipeline import aws, database, queue
from pipeline.broker import make_celery
from pipeline.settings import Settings
from pipeline.storage import open_storage
from worker import instrumentation, tasks, transport
from worker.ceilings import ceilings
from worker.counting import WorkerMetrics
from worker.events import Forwarder, forward_events
from worker.ledger import Ledger, Slot
from worker.resources import NodeCollector, slot_pids
from worker.transcode import Transcoder
from worker.visibility import Receipt, VisibilityKeeper


@dataclass(frozen=True)
class WorkerApp:
    """The application and what must be started in the main process beside it."""

    celery: Celery
    registry: CollectorRegistry
    metrics: WorkerMetrics
    forwarder: Forwarder | None


def create_app(settings: Settings) -> WorkerApp:
    """Wire everything for the queue that `settings` name; raise EnvironmentFault when it is not there."""
    registry = CollectorRegistry()
    worker_metrics = WorkerMetrics(registry)
    if settings.aws.endpoint_url:
        os.environ.setdefault("AWS_ENDPOINT_URL_SQS", settings.aws.endpoint_url)  # the one way to tell kombu's clients
    queue_url = queue.find_queue(aws.client(settings, "sqs"), settings.queue.name)
    app = make_celery(settings, queue_url, broker_url=transport.register())
    transport.set_observer(worker_metrics)
    redis_url = settings.events.redis_url
    forwarder = Forwarder(redis_url, registry, worker_metrics.measuring) if redis_url else None
    forward_events(app, forwarder)
    instrumentation.connect(app, worker_metrics)
    tasks.register(app, _one_per_process(settings))
    app.conf.worker_soft_shutdown_timeout = settings.worker.shutdown_seconds
    app.conf.task_time_limit = settings.worker.deadline_seconds + 120
    return WorkerApp(app, registry, worker_metrics, forwarder)


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


def sweep_work_folder(settings: Settings) -> None:
    """Remove what an earlier, killed worker left; only one worker node uses a work folder."""
    shutil.rmtree(settings.worker.work_path, ignore_errors=True)
    settings.worker.work_path.mkdir(parents=True, exist_ok=True)


def _one_per_process(settings: Settings) -> Callable[[], tasks.Workshop]:
    """Return what makes a process's workshop once; the pid in the key keeps a child from using its parent's."""

    @lru_cache(maxsize=1)
    def made(_pid: int) -> tasks.Workshop:
        return _workshop(settings)

    return lambda: made(os.getpid())


def _workshop(settings: Settings) -> tasks.Workshop:
    work_path = settings.worker.work_path / str(os.getpid())
    work_path.mkdir(parents=True, exist_ok=True)
    _sweep_dead_slots(settings.worker.work_path)
    sessions = database.open_sessions(database.open_engine(settings.database.url))
    sqs = aws.client(settings, "sqs")
    lease = float(settings.queue.visibility_timeout_seconds)
    return tasks.Workshop(
        slot=Slot.this(),
        ledger=Ledger(sessions, lease, settings.worker.max_attempts, settings.storage.processed_prefix),
        storage=open_storage(settings),
        transcoder=Transcoder.from_settings(settings.worker),
        keeper=_keeper(sqs, lease),
        work_path=work_path,
    )


def _sweep_dead_slots(folder: Path) -> None:
    """Remove the temporary files of slots that were killed: each has a folder named by its pid."""
    for leftover in folder.iterdir():
        if not psutil.pid_exists(int(leftover.name)):
            shutil.rmtree(leftover, ignore_errors=True)


def _keeper(sqs: object, timeout_seconds: float) -> Callable[[Receipt, Callable[[], bool]], VisibilityKeeper]:
    return lambda receipt, renew: VisibilityKeeper(sqs, receipt, timeout_seconds, renew)
