"""Entry point of instrumentation: make the workers of a Celery app measure themselves.

    import aforo
    aforo.instrument(app)

The metrics are exact under the prefork, threads and solo pools. If an app cannot be measured, one line is logged and
the worker runs without metrics. With AFORO_STRICT=1, the worker ends instead.
"""

from __future__ import annotations

import importlib.util
import logging
import string
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

from billiard import get_start_method
from celery import Celery, concurrency, current_task
from celery.signals import before_task_publish, task_postrun, task_prerun, worker_init, worker_ready
from kombu.utils.imports import symbol_by_name
from prometheus_client import CollectorRegistry

from aforo import settings
from aforo.executions.page import ExecutionsPage
from aforo.executions.recording import Recording
from aforo.stored_limits import stored_limits
from aforo.telemetry import event_channel
from aforo.telemetry.celery_events import Forwarder, forward_events
from aforo.telemetry.child_programs import follow_child_programs
from aforo.telemetry.label_values import Operation
from aforo.telemetry.node import NodeCollector, slot_pids
from aforo.telemetry.request_counting import counted
from aforo.telemetry.send_time import request_send_time
from aforo.telemetry.server import serve
from aforo.telemetry.task_start import SENT_AT, Deliveries, used_cpu_seconds
from aforo.telemetry.worker_conditions import worker_conditions
from aforo.telemetry.worker_metrics import WorkerMetrics
from aforo.unmeasured import never_an_outage

logger = logging.getLogger(__name__)
#: Start of a broker URL of aforo.sqs, which is not imported here because it needs pycurl.
HARDENED = "aforo-sqs:"
#: What kombu makes of characters that SQS refuses in the name of a queue. Its own table needs boto3.
KOMBU_REPLACES = str.maketrans(dict.fromkeys(set(string.punctuation) - set("-_."), "_") | {".": "-"})
POOL_MODULES = frozenset(f"celery.concurrency.{name}" for name in ("prefork", "thread", "solo"))
_connected: WeakKeyDictionary[Celery, WorkerMetrics] = WeakKeyDictionary()


def instrument(
    app: Celery,
    *,
    port: int | None = None,
    host: str | None = None,
    places: Mapping[str, Path] | None = None,
    events_redis_url: str | None = None,
) -> WorkerMetrics | None:
    """Make each worker of `app` measure itself, and serve its metrics at /metrics on `host` and `port`.

    Call this where `app` is created. `places` maps a name to a folder whose free disk space is measured. Celery's
    events are sent to the Redis `events_redis_url`, where celery-exporter reads them. The defaults of `host`, `port`
    and `events_redis_url` are the environment variables AFORO_METRICS_HOST, AFORO_METRICS_PORT and
    AFORO_EVENTS_REDIS_URL. Return the metrics, which can be the argument `observer` of the function `aforo.harden`.
    Return None if `app` cannot be measured. With AFORO_STRICT=1, raise SystemExit instead. A second call for the same
    `app` changes nothing and returns the same metrics.
    """
    with never_an_outage():
        if app not in _connected:
            ports = [port] if port is not None else settings.port_range(settings.read(settings.METRICS_PORT))
            address = host or settings.read(settings.METRICS_HOST), ports
            _instrument(app, address, places or {}, events_redis_url or settings.read(settings.EVENTS_REDIS_URL))
        return _connected[app]
    return None


def connect(app: Celery, worker_metrics: WorkerMetrics) -> None:
    """Install Celery signal handlers that count the tasks of the workers of `app`.

    Call this function before a worker starts. The counting in `worker_metrics` begins at the start of the worker. Each
    message that this process sends gets a header with its send time.
    """
    _connected[app] = worker_metrics
    before_task_publish.connect(_stamp, weak=False)

    def begin(sender: Any = None, **_signal: Any) -> None:
        if sender.app is app:
            with never_an_outage():
                pool = getattr(sender, "pool_cls", None)
                _require_known_pool(pool)
                _require_fork(app, pool)
                _count_tasks(app, worker_metrics, pool)

    def start_reading(sender: Any = None, **_signal: Any) -> None:
        if sender.app is app and worker_metrics.channel is not None:
            worker_metrics.channel.start()  # after the fork: a thread before it may hold a lock

    worker_init.connect(begin, weak=False)
    worker_ready.connect(start_reading, weak=False)


def serve_when_ready(
    app: Celery,
    worker_metrics: WorkerMetrics,
    registry: CollectorRegistry,
    address: tuple[str, Sequence[int]],
    node: Callable[[Any], NodeCollector],
    facts: Mapping[str, str] = MappingProxyType({}),
    forwarder: Forwarder | None = None,
    recording: Recording | None = None,
) -> None:
    """Install a Celery signal handler that starts a /metrics server in each worker of `app`.

    `address` is a host and the ports to try. `node` gets Celery's consumer and returns the collector of the machine's
    metrics. `facts` has further labels for the metric aforo_worker_info. `forwarder` sends Celery events to Redis. With
    `recording`, the server also has the page /executions.
    """

    def start(sender: Any = None, **_signal: Any) -> None:
        if sender.app is app and worker_metrics.channel is not None:
            with never_an_outage():
                registry.register(node(sender))
                _describe(app, worker_metrics, sender, facts)
                if forwarder is not None:
                    forwarder.start()
                page = recording.start(sender.hostname) if recording is not None else None
                _serve(registry, worker_metrics, address, page)

    worker_ready.connect(start, weak=False)


def _instrument(
    app: Celery, address: tuple[str, Sequence[int]], places: Mapping[str, Path], events_redis_url: str
) -> None:
    registry = CollectorRegistry()
    worker_metrics = WorkerMetrics(registry)
    forwarder = None
    if events_redis_url:
        if importlib.util.find_spec("redis") is None:
            raise ModuleNotFoundError("Celery events need the package redis: install aforo[events]")
        forwarder = Forwarder(events_redis_url, registry, worker_metrics.telemetry_cpu)
        forward_events(app, forwarder)
    connect(app, worker_metrics)
    follow_child_programs()
    recording = Recording(
        worker_metrics.executions_lost.inc, lambda: worker_metrics.handled_error(Operation.WRITE_EXECUTION)
    )
    worker_metrics.recorder = recording.recorder

    def node(consumer: Any) -> NodeCollector:
        return NodeCollector(places, slot_pids(consumer), stored_limits())

    serve_when_ready(app, worker_metrics, registry, address, node, forwarder=forwarder, recording=recording)


def _require_known_pool(pool: Any) -> None:
    """Raise ValueError for a pool whose tasks cannot be counted, such as gevent."""
    modules = _modules(pool)
    if modules and POOL_MODULES.isdisjoint(modules):
        raise ValueError(f"the pool {modules[0]} is none of prefork, threads and solo")


def _require_fork(app: Celery, pool: Any) -> None:
    """Raise ValueError for a pool of processes that inherit nothing from the main process, so not its event channel."""
    if "celery.concurrency.prefork" not in _modules(pool):
        return
    methods = (app.conf.get("worker_pool_start_method") or "fork", get_start_method() or "fork")
    if any(method != "fork" for method in methods):
        raise ValueError("children of the pool are spawned, not forked (worker_pool_start_method)")


def _modules(pool: Any) -> tuple[str, ...]:
    """Return the module of `pool`, a class or a name of it, then those of the classes from which it is derived."""
    implementation = concurrency.get_implementation(pool) if pool else None
    return tuple(parent.__module__ for parent in implementation.__mro__) if implementation else ()


def _count_tasks(app: Celery, worker_metrics: WorkerMetrics, pool: Any) -> None:
    event_channel.use(worker_metrics.open_channel())
    _follow_deliveries(app, pool)
    request_send_time(app)
    for task in app.tasks.values():
        task.Request = counted(symbol_by_name(task.Request), worker_metrics)
    worker_metrics.initialise_tasks(app.tasks)
    if str(app.conf.broker_url).startswith(HARDENED):
        worker_metrics.initialise_transport()
    worker_metrics.started_at.set(time.time())


def _describe(app: Celery, worker_metrics: WorkerMetrics, consumer: Any, facts: Mapping[str, str]) -> None:
    autoscale = ",".join(str(slots) for slots in getattr(consumer.controller, "autoscale", None) or ())
    worker_metrics.info.labels(**worker_conditions(app, consumer.pool, {**facts, "autoscale": autoscale})).set(1)
    for queue in _queues(app):
        worker_metrics.queues.labels(queue).set(1)
    worker_metrics.slots.set_function(lambda: consumer.pool.num_processes if consumer.pool else 0)


def _serve(
    registry: CollectorRegistry,
    worker_metrics: WorkerMetrics,
    address: tuple[str, Sequence[int]],
    executions: ExecutionsPage | None,
) -> None:
    host, ports = address
    try:
        port = serve(registry, host, ports, worker_metrics.telemetry_cpu, executions)
    except OSError as error:
        span = f"{ports[0]}" if len(ports) == 1 else f"{ports[0]}-{ports[-1]}"
        raise OSError(f"cannot listen on {host}:{span} for /metrics: {error}") from error
    logger.info("aforo measures this worker: http://%s:%d/metrics", host, port)


def _queues(app: Celery) -> list[str]:
    """Return the names in SQS of the queues that a worker of `app` reads.

    They may differ from Celery's names: the URLs in `predefined_queues` have the names in SQS.
    """
    options = app.conf.broker_transport_options or {}
    predefined = options.get("predefined_queues") or {}
    names = (f"{options.get('queue_name_prefix') or ''}{name}" for name in app.amqp.queues.consume_from)
    of_kombu = [name.translate(KOMBU_REPLACES) for name in names]
    return [str(predefined.get(name, {}).get("url", name)).rsplit("/", 1)[-1] for name in of_kombu]


def _stamp(headers: dict[str, Any] | None = None, **_signal: Any) -> None:
    """Write the send time into a message, because only SQS stores the send time itself."""
    if headers is not None:
        headers[SENT_AT] = time.time()


def _follow_deliveries(app: Celery, pool: Any) -> None:
    shares_process = "celery.concurrency.thread" in _modules(pool)
    cpu_seconds = None if shares_process else used_cpu_seconds
    deliveries = Deliveries(event_channel.send, cpu_seconds=cpu_seconds)

    def begin(task: Any = None, **_signal: Any) -> None:
        if task.app is app and not task.request.is_eager:
            deliveries.begin(task.name, task.request)

    def end(task: Any = None, **_signal: Any) -> None:
        if task.app is app and not task.request.is_eager:
            deliveries.end(task.request)

    def sent(headers: dict[str, Any] | None = None, **_signal: Any) -> None:
        if headers is not None and current_task and current_task.app is app and not current_task.request.is_eager:
            deliveries.sent(current_task.request, str(headers.get("id")))

    task_prerun.connect(begin, weak=False)
    task_postrun.connect(end, weak=False)
    before_task_publish.connect(sent, weak=False)
