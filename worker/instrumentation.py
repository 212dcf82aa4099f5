"""Counts what a worker does, in its main process: exact under prefork, threads and solo.

Celery's event dispatcher sees every start and every end of a task in the main process; ours counts them and hands
them on to the events Redis (`worker.events`). Child processes hold no metric, so nothing is lost when they die and
nothing grows. `connect(app, …)` attaches it to any Celery app.
"""

from __future__ import annotations

import ast
import re
import time
from typing import Any

from celery import Celery
from celery.app.events import Events
from celery.exceptions import WorkerLostError
from celery.worker.request import Request
from prometheus_client import CollectorRegistry

from pipeline import metrics
from worker.events import Forwarder

_REASON = re.compile(r"VideoFailed\(<Reason\.\w+: '(\w+)'>|VideoFailed\('(\w+)'")


class WorkerMetrics:
    """The worker's metrics and what each event does to them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.info = metrics.gauge("aforo_worker_info", registry)
        self.started = metrics.counter("aforo_worker_tasks_started_total", registry)
        self.ended = metrics.counter("aforo_worker_tasks_total", registry)
        self.task_seconds = metrics.histogram("aforo_worker_task_seconds", registry)
        self.queue_wait = metrics.histogram("aforo_worker_queue_wait_seconds", registry)
        self.stage_seconds = metrics.histogram("aforo_worker_stage_seconds", registry)
        self.failures = metrics.counter("aforo_worker_failures_total", registry)
        self.video_bytes = metrics.counter("aforo_worker_video_bytes_total", registry)
        self.speed = metrics.histogram("aforo_worker_ffmpeg_speed_ratio", registry)
        self.cpu_seconds = metrics.histogram("aforo_worker_ffmpeg_cpu_seconds", registry)
        self.cores = metrics.histogram("aforo_worker_ffmpeg_cores", registry)
        self.max_rss = metrics.gauge("aforo_worker_ffmpeg_max_rss_bytes", registry)
        self.idle = metrics.histogram("aforo_worker_slot_idle_seconds", registry)
        self.redeliveries = metrics.counter("aforo_worker_redeliveries_total", registry)
        self.children_lost = metrics.counter("aforo_worker_children_lost_total", registry)
        self.polls = metrics.counter("aforo_worker_polls_total", registry)
        self.last_poll = metrics.gauge("aforo_worker_last_poll_timestamp_seconds", registry)
        self.refused_messages = metrics.counter("aforo_worker_messages_refused_total", registry)
        self.slots = metrics.gauge("aforo_worker_slots", registry)
        self.slots_busy = metrics.gauge("aforo_worker_slots_busy", registry)
        self.started_at = metrics.gauge("aforo_worker_started_timestamp_seconds", registry)
        self.started_at.set(time.time())
        self._running: dict[str, tuple[str, float]] = {}
        self._lost: set[str] = set()

    def polled(self, result: str) -> None:
        """Count one receive call (TransportObserver)."""
        self.polls.labels(result).inc()
        if result in {"messages", "empty"}:
            self.last_poll.set(time.time())

    def refused(self, reason: str) -> None:
        """Count one message moved to the dead-letter queue unread (TransportObserver)."""
        self.refused_messages.labels(reason).inc()

    def child_lost(self, task_id: str, task: str) -> None:
        """Count a task process that died; its `task-rejected` follows."""
        self._lost.add(task_id)
        self.children_lost.labels(task).inc()

    def observe(self, event: str, fields: dict[str, Any]) -> None:
        """Let one Celery task event change the metrics."""
        task_id = fields.get("uuid", "")
        if event == "task-received":
            self._running[task_id] = (fields.get("name", ""), 0.0)
        elif event == "task-started":
            self._start(task_id)
        elif event in _ENDS:
            self._end(event, task_id, fields)
        self.slots_busy.set(sum(1 for _, begun in self._running.values() if begun))

    def _start(self, task_id: str) -> None:
        task = self._running.get(task_id, ("", 0.0))[0]
        self._running[task_id] = (task, time.monotonic())
        self.started.labels(task).inc()

    def _end(self, event: str, task_id: str, fields: dict[str, Any]) -> None:
        task, begun = self._running.pop(task_id, ("", 0.0))
        outcome = "lost" if task_id in self._lost else _ENDS[event]
        self._lost.discard(task_id)
        report = _report(fields.get("result"))
        outcome = str(report.get("outcome", outcome))
        self.ended.labels(task, outcome).inc()
        if begun:
            self.task_seconds.labels(task, outcome).observe(fields.get("runtime") or time.monotonic() - begun)
        if event == "task-failed":
            self.failures.labels(task, _reason(fields.get("exception", ""))).inc()
        self._work(task, report)

    def _work(self, task: str, report: dict[str, Any]) -> None:
        for stage, seconds in report.get("stages", {}).items():
            self.stage_seconds.labels(task, stage).observe(seconds)
        for direction, size_bytes in report.get("bytes", {}).items():
            self.video_bytes.labels(direction).inc(size_bytes)
        for key, histogram in (("speed", self.speed), ("cpu_seconds", self.cpu_seconds), ("cores", self.cores)):
            if key in report:
                histogram.observe(report[key])
        self._delivery(task, report)

    def _delivery(self, task: str, report: dict[str, Any]) -> None:
        if "max_rss_bytes" in report:
            self.max_rss.set(max(report["max_rss_bytes"], self.max_rss._value.get()))
        if "queue_wait" in report:
            self.queue_wait.labels(task).observe(max(0.0, report["queue_wait"]))
        if "idle" in report:
            self.idle.observe(report["idle"])
        if report.get("receive_count", 1) > 1:
            self.redeliveries.labels(task).inc()


_ENDS = {
    "task-succeeded": "succeeded",
    "task-failed": "failed",
    "task-retried": "retried",
    "task-rejected": "rejected",
    "task-revoked": "revoked",
}


def connect(app: Celery, worker_metrics: WorkerMetrics, forwarder: Forwarder | None = None) -> None:
    """Count the tasks of `app` in `worker_metrics` and hand its events to `forwarder`; call before it starts."""

    class CountingDispatcher:
        """Stands in for Celery's dispatcher, which would publish to the task broker: SQS carries no events."""

        app: Any = None
        connection = None
        enabled = True

        def __init__(self, _connection: Any = None, hostname: str = "", groups: Any = None, **_options: Any) -> None:
            self.hostname, self.groups = hostname, groups
            self.on_enabled: set[Any] = set()
            self.on_disabled: set[Any] = set()

        def send(self, event: str, blind: bool = False, **fields: Any) -> None:
            worker_metrics.observe(event, fields)
            if forwarder is not None:
                forwarder.put(event, self.hostname, fields)

        def flush(self, **_options: Any) -> None:
            """Nothing is buffered here."""

        enable = disable = close = flush

        def extend_buffer(self, _other: Any) -> None:
            """Nothing is buffered here."""

    class CountingEvents(Events):
        """`app.events` with our dispatcher."""

        @property
        def Dispatcher(self) -> type[CountingDispatcher]:  # noqa: N802 (Celery's name)
            return CountingDispatcher

    class CountingRequest(Request):
        """Tells a lost child from a task that rejected its message."""

        def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
            error = exc_info.exception
            if isinstance(getattr(error, "exc", error), WorkerLostError):  # billiard wraps it with its traceback
                worker_metrics.child_lost(self.id, self.name)
            return super().on_failure(exc_info, *args, **options)

    app.events_cls = CountingEvents
    app.Task.Request = CountingRequest
    app.conf.worker_send_task_events = True


def _report(result: object) -> dict[str, Any]:
    """Return what our task returned, from the repr Celery's event carries; {} for any other task."""
    try:
        value = ast.literal_eval(result) if isinstance(result, str) else None
    except (ValueError, SyntaxError, MemoryError):
        return {}
    return value.get("aforo", {}) if isinstance(value, dict) else {}


def _reason(exception: str) -> str:
    found = _REASON.search(exception)
    return (found[1] or found[2]) if found else "internal"
