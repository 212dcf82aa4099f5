"""Attaches metrics to a Celery app, ours or anybody's: exact under prefork, threads and solo, and no database needed.

    from worker import instrumentation
    instrumentation.attach(app)

See docs/bring-your-own-app.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import celery
from celery import Celery
from celery.signals import before_task_publish, task_postrun, task_prerun, worker_init, worker_ready
from kombu.utils.imports import symbol_by_name
from prometheus_client import CollectorRegistry

from aforo.telemetry import event_channel
from aforo.telemetry.celery_events import Forwarder, forward_events
from aforo.telemetry.event_channel import Post
from aforo.telemetry.node import NodeCollector, slot_pids
from aforo.telemetry.request_counting import WorkerMetrics, counted
from aforo.telemetry.server import serve
from aforo.telemetry.stages import stage
from aforo.telemetry.task_start import SENT_AT, Deliveries
from core import VERSION
from core.ffmpeg.requirement import ffmpeg_version

__all__ = ["attach", "connect", "serve_when_ready", "stage"]
logger = logging.getLogger(__name__)
#: how a broker URL on aforo.sqs.channel begins; that is not imported here, for it needs pycurl
HARDENED = "aforo-sqs:"


def attach(
    app: Celery,
    *,
    port: int = 9101,
    host: str = "127.0.0.1",
    places: Mapping[str, Path] | None = None,
    events_redis_url: str | None = None,
) -> WorkerMetrics:
    """Measure the workers of `app`, and let each answer /metrics on `host`:`port`; call it once, where `app` is made.

    `places` are folders whose free space is watched, by a word for each. With `events_redis_url`, Celery's events go to
    that Redis, for celery-exporter. What is returned may observe `transport.harden(app, …)`. In a process that only
    sends tasks nothing is started.
    """
    registry = CollectorRegistry()
    worker_metrics = WorkerMetrics(registry)
    forwarder = Forwarder(events_redis_url, registry, worker_metrics.measuring) if events_redis_url else None
    connect(app, worker_metrics)
    if forwarder is not None:
        forward_events(app, forwarder)

    def node(consumer: Any) -> NodeCollector:
        return NodeCollector(places or {}, slot_pids(consumer))

    serve_when_ready(app, worker_metrics, registry, (host, port), node, forwarder=forwarder)
    return worker_metrics


def connect(app: Celery, worker_metrics: WorkerMetrics) -> None:
    """Count the tasks that workers of `app` run in `worker_metrics`; call before they start."""
    before_task_publish.connect(_stamp, weak=False)

    def begin(sender: Any = None, **_signal: Any) -> None:
        if sender.app is not app:
            return
        post = Post(worker_metrics.take)
        event_channel.use(post)
        _follow_deliveries(app)
        _ask_for_moment_of_sending(app)
        for task in app.tasks.values():
            task.Request = counted(symbol_by_name(task.Request), worker_metrics)
        worker_metrics.expect(app.tasks)
        if str(app.conf.broker_url).startswith(HARDENED):
            worker_metrics.expect_polls()
        worker_metrics.started_at.set(time.time())
        worker_ready.connect(lambda **_signal: post.start(), weak=False)  # a thread before the fork may hold a lock

    worker_init.connect(begin, weak=False)


def serve_when_ready(
    app: Celery,
    worker_metrics: WorkerMetrics,
    registry: CollectorRegistry,
    address: tuple[str, int],
    node: Callable[[Any], NodeCollector],
    profile: str = "",
    forwarder: Forwarder | None = None,
) -> None:
    """Answer /metrics, and start `forwarder`, in the main process once its pool has forked.

    `node` makes the collector of machine facts from Celery's consumer.
    """

    def start(sender: Any = None, **_signal: Any) -> None:
        if sender.app is not app:
            return
        registry.register(node(sender))
        facts = (VERSION, celery.__version__, ffmpeg_version(), profile)
        for queue in _queues(app):
            worker_metrics.info.labels(*facts, queue).set(1)
        worker_metrics.slots.set_function(lambda: sender.pool.num_processes if sender.pool else 0)
        try:
            serve(registry, *address, worker_metrics.measuring)
        except OSError as error:
            logger.error("no metrics: %s:%d cannot be listened on (%s); tasks go on", *address, error)
        if forwarder is not None:
            forwarder.start()

    worker_ready.connect(start, weak=False)


def _queues(app: Celery) -> list[str]:
    """Return the names of the queues a worker of `app` reads, as its broker knows them."""
    prefix = (app.conf.broker_transport_options or {}).get("queue_name_prefix", "")
    return [f"{prefix}{name}" for name in app.amqp.queues.consume_from]


def _stamp(headers: dict[str, Any] | None = None, **_signal: Any) -> None:
    """Write the moment of sending into a message: brokers other than SQS do not tell it."""
    if headers is not None:
        headers[SENT_AT] = time.time()


def _follow_deliveries(app: Celery) -> None:
    deliveries = Deliveries(event_channel.report)

    def begin(task: Any = None, **_signal: Any) -> None:
        if task.app is app and not task.request.is_eager:
            deliveries.begin(task.name, task.request)

    def end(task: Any = None, **_signal: Any) -> None:
        if task.app is app and not task.request.is_eager:
            deliveries.end()

    task_prerun.connect(begin, weak=False)
    task_postrun.connect(end, weak=False)


def _ask_for_moment_of_sending(app: Celery) -> None:
    """Let kombu ask SQS for SentTimestamp, unless the app says itself what to ask for."""
    options = dict(app.conf.broker_transport_options or {})
    options.setdefault("fetch_message_attributes", ["ApproximateReceiveCount", "SentTimestamp"])
    app.conf.broker_transport_options = options
