"""Metrics of a worker, and how telemetry events change them.

All metrics are kept in the worker's main process. The child processes send events to the main process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from aforo.executions.record import MAX_STAGES, OTHER, STAGE_NAME, Recorder
from aforo.sqs import stall
from aforo.telemetry import catalogue
from aforo.telemetry.cpu_time import cpu_counted
from aforo.telemetry.event_channel import Event, EventChannel
from aforo.telemetry.label_values import OF_FAMILY

#: An app with more tasks has the counters of each task initialised when it first runs: /metrics stays small.
MAX_INITIAL_TASKS = 20
#: Outcomes that wait for the end of their task; the oldest of more than these belong to killed children.
MAX_PENDING_OUTCOMES = 1000


class WorkerMetrics:
    """All metrics of one worker about its tasks, slots and SQS transport.

    Pass the object to the function `aforo.harden` as `observer` to count the events of the SQS transport. Any thread or
    child process may call the methods of the observer. Call the other methods in the worker's main process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.info = catalogue.gauge("aforo_worker_info", registry)
        self.queues = catalogue.gauge("aforo_worker_queue_info", registry)
        self.tasks_started = catalogue.counter("aforo_worker_tasks_started_total", registry)
        self.tasks_ended = catalogue.counter("aforo_worker_tasks_total", registry)
        self.task_seconds = catalogue.histogram("aforo_worker_task_seconds", registry)
        self.queue_wait = catalogue.histogram("aforo_worker_queue_wait_seconds", registry)
        self.stage_seconds = catalogue.histogram("aforo_worker_stage_seconds", registry)
        self.failures = catalogue.counter("aforo_worker_failures_total", registry)
        self.video_bytes = catalogue.counter("aforo_worker_video_bytes_total", registry)
        self.speed = catalogue.histogram("aforo_worker_ffmpeg_speed_ratio", registry)
        self.cpu_seconds = catalogue.histogram("aforo_worker_ffmpeg_cpu_seconds", registry)
        self.cores = catalogue.histogram("aforo_worker_ffmpeg_cores", registry)
        self.max_rss = catalogue.gauge("aforo_worker_ffmpeg_max_rss_bytes", registry)
        self.idle = catalogue.histogram("aforo_worker_slot_idle_seconds", registry)
        self.redeliveries = catalogue.counter("aforo_worker_redeliveries_total", registry)
        self.children_lost = catalogue.counter("aforo_worker_children_lost_total", registry)
        self.extensions = catalogue.counter("aforo_worker_visibility_extensions_total", registry)
        self.polls = catalogue.counter("aforo_worker_polls_total", registry)
        self.last_poll = catalogue.gauge("aforo_worker_last_poll_timestamp_seconds", registry)
        self.invalid_messages = catalogue.counter("aforo_worker_invalid_messages_total", registry)
        self.slots = catalogue.gauge("aforo_worker_slots", registry)
        self.slots_busy = catalogue.gauge("aforo_worker_slots_busy", registry)
        self.slots_stopped = catalogue.gauge("aforo_worker_slots_stopped", registry)
        self.slots_replaced = catalogue.counter("aforo_worker_slots_replaced_total", registry)
        self.stall_restarts = catalogue.counter("aforo_worker_stall_restarts_total", registry)
        self.stall_restarts.inc(stall.restarts())  # of the processes that this one has replaced
        self.started_at = catalogue.gauge("aforo_worker_started_timestamp_seconds", registry)
        self.telemetry_cpu = catalogue.counter("aforo_worker_telemetry_cpu_seconds_total", registry)
        self.events_lost = catalogue.counter("aforo_worker_telemetry_events_lost_total", registry)
        self.deletes_pending = catalogue.gauge("aforo_worker_pending_deletes", registry)
        self.handled_errors = catalogue.counter("aforo_worker_handled_errors_total", registry)
        self.executions_lost = catalogue.counter("aforo_worker_executions_lost_total", registry)
        self.channel: EventChannel | None = None
        #: Receives every event too, if the executions of this worker are recorded.
        self.recorder: Recorder | None = None
        self._stages: set[str] = set()
        self._initialised: set[str] = set()
        self._outcomes: dict[str, str] = {}
        self._free_since: dict[int, float] = {}
        self._max_rss_bytes = 0
        self._handlers: dict[str, Callable[[Event], None]] = {
            "stage": self._count_stage,
            "delivery": self._count_delivery,
            "message_sent": lambda _event: None,  # only the recorder uses it
            "slot_free": lambda event: self._free_since.update({event["slot"]: event["at"]}),
            "result": self._count_result,
            "polled": self._count_poll,
            "invalid_message": lambda event: self.invalid_messages.labels(event["reason"]).inc(),
            "pending_deletes": lambda event: self.deletes_pending.set(event["count"]),
            "stopped_slots": self._count_stopped_slots,
            "handled_error": lambda event: self.handled_errors.labels(event["operation"]).inc(),
            "visibility_extended": lambda event: self.extensions.labels(event["result"]).inc(),
        }

    def open_channel(self) -> EventChannel:
        """Open the channel on which child processes send telemetry events. Call this before the pool forks."""
        self.channel = EventChannel(self.handle)
        return self.channel

    def initialise_tasks(self, tasks: Iterable[str]) -> None:
        """Create the counters of these tasks with 0, so that Prometheus sees their first count.

        Celery's own tasks (`celery.…`) are left out. If more than MAX_INITIAL_TASKS tasks remain, no counter is
        created.
        """
        own = sorted(task for task in tasks if not task.startswith("celery."))
        if len(own) <= MAX_INITIAL_TASKS:
            for task in own:
                self._initialise_task(task)

    def initialise_transport(self) -> None:
        """Create the counters of the SQS transport with 0, so that Prometheus sees their first count."""
        _initialise(self.handled_errors, "aforo_worker_handled_errors_total", "operation")
        _initialise(self.polls, "aforo_worker_polls_total", "result")
        _initialise(self.invalid_messages, "aforo_worker_invalid_messages_total", "reason")
        _initialise(self.extensions, "aforo_worker_visibility_extensions_total", "result")

    def initialise_videos(self) -> None:
        """Create the counters of read and written video bytes with the value 0.

        Call this for an app whose tasks record these bytes.
        """
        _initialise(self.video_bytes, "aforo_worker_video_bytes_total", "direction")

    def started(self, task: str) -> None:
        """Count the start of an execution of the task named `task`."""
        self._initialise_task(task)
        self.tasks_started.labels(task).inc()
        self.slots_busy.inc()

    def ended(self, task: str, outcome: str, seconds: float | None, delivery: str = "") -> str:
        """Count the end of an execution of the task named `task`, and return the counted outcome.

        First handle the telemetry events that have arrived. An outcome that the task reported with the function
        `record_result` replaces the outcome `succeeded`. `seconds` is the duration, or None if the execution never
        started. `delivery` is the delivery key.
        """
        if self.channel is not None:
            self.channel.drain()
        recorded = self._outcomes.pop(delivery, "")
        if outcome == "succeeded":
            outcome = recorded or outcome
        self.tasks_ended.labels(task, outcome).inc()
        if seconds is not None:
            self.slots_busy.dec()
            self.task_seconds.labels(task, outcome).observe(seconds)
        if outcome == "lost":
            self.children_lost.labels(task).inc()
        return outcome

    def failed(self, task: str, reason: str) -> None:
        """Count one failed execution of the task named `task`. `reason` becomes a label of the counter.

        `reason` is one of FAILURE_REASONS (see aforo.telemetry.label_values), such as `timeout`.
        """
        self.failures.labels(task, reason).inc()

    def polled(self, result: str) -> None:
        """Count one receive call to SQS by its result, such as `messages`, `empty` or `timeout`.

        The SQS transport (aforo.sqs) calls this.
        """
        self._send("polled", result=result)

    def invalid_message(self, reason: str) -> None:
        """Count one invalid message by its reason.

        The SQS transport (aforo.sqs) calls this.
        """
        self._send("invalid_message", reason=reason)

    def pending_deletes(self, count: int) -> None:
        """Set the number of finished messages whose delete is being retried.

        The SQS transport (aforo.sqs) calls this.
        """
        self._send("pending_deletes", count=count)

    def stopped_slots(self, count: int, replaced: int) -> None:
        """Record how many slot processes are stopped (SIGSTOP), and how many have just been replaced.

        `count` becomes the value of a gauge. `replaced` is added to a counter. The SQS transport (aforo.sqs) calls
        this.
        """
        self._send("stopped_slots", count=count, replaced=replaced)

    def handled_error(self, operation: str) -> None:
        """Count one error that was logged and ignored, by the operation that failed.

        The SQS transport (aforo.sqs) calls this.
        """
        self._send("handled_error", operation=str(operation))

    def visibility_extended(self, result: str) -> None:
        """Count one tick of the visibility heartbeat of a running task, by its result.

        - `ok`: the visibility of the message and the lease of its video were extended.
        - `gone`: another worker has the message or the lease.
        - `failed`: the call to SQS that extends the visibility failed, or the renewal of the lease failed.

        The SQS transport (aforo.sqs) calls this.
        """
        self._send("visibility_extended", result=result)

    def handle(self, event: Event) -> None:
        """Update the metrics for one telemetry event (see aforo.telemetry.event_channel)."""
        with cpu_counted(self.telemetry_cpu):
            self.events_lost.inc(event.get("lost", 0))
            self._handlers[event["kind"]](event)
            if self.recorder is not None:
                self.recorder.observe(event)

    def _send(self, kind: str, **facts: Any) -> None:
        (self.channel.send if self.channel else self.handle)({"kind": kind, **facts})

    def _initialise_task(self, task: str) -> None:
        if task in self._initialised:
            return
        self._initialised.add(task)
        for counter in (self.tasks_started, self.redeliveries, self.children_lost):
            counter.labels(task)
        _initialise(self.tasks_ended, "aforo_worker_tasks_total", "outcome", task=task)
        _initialise(self.failures, "aforo_worker_failures_total", "reason", task=task)

    def _count_stage(self, event: Event) -> None:
        self.stage_seconds.labels(event["task"], self._stage_label(event["stage"])).observe(event["seconds"])

    def _stage_label(self, name: str) -> str:
        """Return `name` if it is a plain word and among the first MAX_STAGES names, else `other`."""
        if name not in self._stages:
            if len(self._stages) >= MAX_STAGES or not STAGE_NAME.fullmatch(name):
                return OTHER
            self._stages.add(name)
        return name

    def _count_delivery(self, event: Event) -> None:
        """Count the start of a task, with the idle time of its slot while the message waited.

        The idle time is unknown for the slot's first task, and for a task after a killed one. A slot without work is
        not idle, so the idle time starts no earlier than the time at which the message was ready.
        """
        self._initialise_task(event["task"])
        free_since = self._free_since.pop(event["slot"], None)
        if "ready_at" in event:
            started_at, ready_at = event["started_at"], event["ready_at"]
            self.queue_wait.labels(event["task"]).observe(max(0.0, started_at - ready_at))
            if free_since is not None:
                self.idle.observe(max(0.0, started_at - max(free_since, ready_at)))
        if event["receive_count"] > 1:
            self.redeliveries.labels(event["task"]).inc()

    def _count_result(self, event: Event) -> None:
        if event.get("outcome"):
            self._outcomes[event["delivery"]] = event["outcome"]
            if len(self._outcomes) > MAX_PENDING_OUTCOMES:
                self._outcomes.pop(next(iter(self._outcomes)))
        for direction, size_bytes in event.get("bytes", {}).items():
            self.video_bytes.labels(direction).inc(size_bytes)
        for key, histogram in (("speed", self.speed), ("cpu_seconds", self.cpu_seconds), ("cores", self.cores)):
            if key in event:
                histogram.observe(event[key])
        if event.get("max_rss_bytes", 0) > self._max_rss_bytes:
            self._max_rss_bytes = event["max_rss_bytes"]
            self.max_rss.set(self._max_rss_bytes)

    def _count_stopped_slots(self, event: Event) -> None:
        self.slots_stopped.set(event["count"])
        self.slots_replaced.inc(event["replaced"])

    def _count_poll(self, event: Event) -> None:
        self.polls.labels(event["result"]).inc()
        if event["result"] in {"messages", "empty"}:
            self.last_poll.set(time.time())


def _initialise(counter: Counter, family: str, label: str, **fixed: str) -> None:
    """Create the series of `counter` for every value of a closed label."""
    for value in OF_FAMILY[family, label]:
        counter.labels(**fixed, **{label: value})
