"""The worker's metrics, and Celery's received task made to count its one start and its one end.

All of it lives in the main process, so nothing is lost when a child dies and nothing grows. Celery's event dispatcher
is left alone: the counts hold with events off.
"""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterable
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import Terminated
from celery.exceptions import Ignore, Reject, Retry, TimeLimitExceeded, WorkerLostError
from celery.utils.serialization import get_pickled_exception
from prometheus_client import CollectorRegistry, Counter

from aforo.telemetry import event_channel
from aforo.telemetry.event_channel import Report
from aforo.telemetry.server import spending
from core import metrics
from core.label_values import values_of
from core.video import TASK_NAME, Outcome, Reason

MOST_STAGES = 32
#: of an app with more tasks, the counters of each begin when it is first seen: /metrics stays small
MOST_EXPECTED_TASKS = 20
OTHER = "other"
_STAGE_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class WorkerMetrics:
    """The worker's metrics and what changes them; any thread may call."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.info = metrics.gauge("aforo_worker_info", registry)
        self.tasks_started = metrics.counter("aforo_worker_tasks_started_total", registry)
        self.tasks_ended = metrics.counter("aforo_worker_tasks_total", registry)
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
        self.extensions = metrics.counter("aforo_worker_visibility_extensions_total", registry)
        self.polls = metrics.counter("aforo_worker_polls_total", registry)
        self.last_poll = metrics.gauge("aforo_worker_last_poll_timestamp_seconds", registry)
        self.refused_messages = metrics.counter("aforo_worker_invalid_messages_total", registry)
        self.slots = metrics.gauge("aforo_worker_slots", registry)
        self.slots_busy = metrics.gauge("aforo_worker_slots_busy", registry)
        self.started_at = metrics.gauge("aforo_worker_started_timestamp_seconds", registry)
        self.measuring = metrics.counter("aforo_worker_telemetry_cpu_seconds_total", registry)
        self.reports_lost = metrics.counter("aforo_worker_telemetry_events_lost_total", registry)
        self.deletes_owed = metrics.gauge("aforo_worker_pending_deletes", registry)
        self.survived_errors = metrics.counter("aforo_worker_handled_errors_total", registry)
        self._stages: set[str] = set()
        self._expected: set[str] = set()
        self._max_rss_bytes = 0

    def expect(self, tasks: Iterable[str]) -> None:
        """Let the counters of an app's own tasks exist, at 0: `increase` does not see one that is born at 1."""
        own = sorted(task for task in tasks if not task.startswith("celery."))
        if len(own) <= MOST_EXPECTED_TASKS:
            for task in own:
                self._expect(task)

    def expect_polls(self) -> None:
        """Let the counters of our SQS transport, and of what it lives with, exist at 0."""
        _begin(self.survived_errors, "aforo_worker_handled_errors_total", "action")
        _begin(self.polls, "aforo_worker_polls_total", "result")
        _begin(self.refused_messages, "aforo_worker_invalid_messages_total", "reason")
        _begin(self.extensions, "aforo_worker_visibility_extensions_total", "result")

    def polled(self, result: str) -> None:
        """Count one receive call (Observer)."""
        self.polls.labels(result).inc()
        if result in {"messages", "empty"}:
            self.last_poll.set(time.time())

    def invalid_message(self, reason: str) -> None:
        """Count one invalid message (Observer)."""
        self.refused_messages.labels(reason).inc()

    def pending_deletes(self, count: int) -> None:
        """Show how many deletes are being retried (Observer)."""
        self.deletes_owed.set(count)

    def handled_error(self, operation: str) -> None:
        """Count an error that was logged and ignored, in a forked child too (Observer)."""
        event_channel.report("survived", action=operation)

    def visibility_extended(self, result: str) -> None:
        """Count a heartbeat tick, in a forked child too (Observer)."""
        event_channel.report("extension", result=result)

    def started(self, task: str) -> None:
        """Count the start of a task."""
        self._expect(task)
        self.tasks_started.labels(task).inc()
        self.slots_busy.inc()

    def ended(self, task: str, outcome: str, seconds: float | None, result: object = None) -> None:
        """Count the end of a task, `seconds` after its start; None if it never began. `result` is its result's repr."""
        if seconds is not None:
            self.slots_busy.dec()
        report = _report(result)
        outcome = str(report.get("outcome", outcome))
        self.tasks_ended.labels(task, outcome).inc()
        if seconds is not None:
            self.task_seconds.labels(task, outcome).observe(seconds)
        if outcome == "lost":
            self.children_lost.labels(task).inc()
        self._work(report)

    def failed(self, task: str, reason: str) -> None:
        """Count why a task failed."""
        self.failures.labels(task, reason).inc()

    def take(self, report: Report) -> None:
        """Count what was reported from where a task runs (aforo.telemetry.event_channel)."""
        with spending(self.measuring):
            self.reports_lost.inc(report.get("lost", 0))
            if report["kind"] == "stage":
                self.stage_seconds.labels(report["task"], self._stage(report["stage"])).observe(report["seconds"])
            elif report["kind"] == "extension":
                self.extensions.labels(report["result"]).inc()
            elif report["kind"] == "survived":
                self.survived_errors.labels(report["action"]).inc()
            elif report["kind"] == "delivery":
                self._delivery(report["task"], report)

    def _expect(self, task: str) -> None:
        if task in self._expected:
            return
        self._expected.add(task)
        for counter in (self.tasks_started, self.redeliveries, self.children_lost):
            counter.labels(task)
        _begin(self.tasks_ended, "aforo_worker_tasks_total", "outcome", task=task)
        _begin(self.failures, "aforo_worker_failures_total", "reason", task=task)
        if task == TASK_NAME:
            _begin(self.video_bytes, "aforo_worker_video_bytes_total", "direction")

    def _stage(self, name: str) -> str:
        """Return `name` if it may be a label: a plain word, one of the first so many; else `other`."""
        if name not in self._stages:
            if len(self._stages) >= MOST_STAGES or not _STAGE_NAME.fullmatch(name):
                return OTHER
            self._stages.add(name)
        return name

    def _delivery(self, task: str, report: Report) -> None:
        self._expect(task)
        if "queue_wait" in report:
            self.queue_wait.labels(task).observe(report["queue_wait"])
        if "idle" in report:
            self.idle.observe(report["idle"])
        if report["receive_count"] > 1:
            self.redeliveries.labels(task).inc()

    def _work(self, report: dict[str, Any]) -> None:
        for direction, size_bytes in report.get("bytes", {}).items():
            self.video_bytes.labels(direction).inc(size_bytes)
        for key, histogram in (("speed", self.speed), ("cpu_seconds", self.cpu_seconds), ("cores", self.cores)):
            if key in report:
                histogram.observe(report[key])
        if report.get("max_rss_bytes", 0) > self._max_rss_bytes:
            self._max_rss_bytes = report["max_rss_bytes"]
            self.max_rss.set(self._max_rss_bytes)


def _begin(counter: Counter, family: str, label: str, **fixed: str) -> None:
    """Make a child of `counter` for every value of a closed label."""
    for value in values_of(family, label):
        counter.labels(**fixed, **{label: value})


def counted(base: type[Any], worker_metrics: WorkerMetrics) -> type[Any]:
    """Return `base`, the class of a task's received messages, counting each start and each end once."""

    class CountedRequest(base):
        _begun: float | None = None  # of this delivery: another one of the same task may run beside it
        _seconds: float | None = None
        _is_over = False

        def __init_subclass__(cls, **options: Any) -> None:
            """Count successes in the subclass Celery makes for each task: its `on_success` calls no other."""
            super().__init_subclass__(**options)
            cls.on_success = _counting_success(cls.on_success)

        def on_accepted(self, pid: int, time_accepted: float) -> None:
            self._begun = time.monotonic()
            with spending(worker_metrics.measuring):
                worker_metrics.started(self.name)
            super().on_accepted(pid, time_accepted)  # which may revoke it at once

        def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
            try:
                return super().on_failure(exc_info, *args, **options)
            finally:
                error = exc_info.exception
                self.count_failure(error.exc if isinstance(error, ExceptionWithTraceback) else error)

        def on_timeout(self, soft: bool, timeout: float) -> None:
            super().on_timeout(soft, timeout)
            if not soft:
                self.count_failure(TimeLimitExceeded(timeout))

        def _announce_revoked(self, *args: Any) -> None:
            super()._announce_revoked(*args)
            self.count_end("revoked")

        def count_failure(self, error: BaseException) -> None:
            outcome = "lost" if self._was_killed(error) else _outcome_of(error)
            if outcome == "failed" and not self._is_over:
                worker_metrics.failed(self.name, _reason_of(error))
            self.count_end(outcome)

        def count_end(self, outcome: str, result: object = None) -> None:
            if self._is_over:
                return
            self._is_over = True
            seconds = None if self._begun is None else self._seconds or time.monotonic() - self._begun
            with spending(worker_metrics.measuring):
                worker_metrics.ended(self.name, outcome, seconds, result)

        def _was_killed(self, error: BaseException) -> bool:
            """Say whether the hard time limit ended a child, and not its task, whose message comes again."""
            return isinstance(error, TimeLimitExceeded) and self.task.acks_late and not self.task.acks_on_timeout

    return CountedRequest


def _counting_success(stock: Any) -> Any:
    def on_success(self: Any, failed__retval__runtime: tuple[bool, Any, float], **options: Any) -> Any:
        failed, result, self._seconds = failed__retval__runtime
        try:
            return stock(self, failed__retval__runtime, **options)
        finally:
            if not failed:
                self.count_end("succeeded", result)

    return on_success


_OUTCOMES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((Retry,), "retried"),
    ((Reject,), "rejected"),
    ((Ignore,), "ignored"),
    ((Terminated,), "revoked"),
    ((WorkerLostError, SystemExit, KeyboardInterrupt), "lost"),  # billiard tells a dead child in each of these ways
)


#: what a Reject may say of itself (worker.task.ReturnedToQueue)
_GIVEN_BACK = frozenset({Outcome.DUPLICATE, Outcome.RETRIED, Outcome.SUPERSEDED})


def _outcome_of(error: BaseException) -> str:
    told = str(getattr(error, "outcome", ""))
    if isinstance(error, Reject) and told in _GIVEN_BACK:
        return told
    return next((outcome for kinds, outcome in _OUTCOMES if isinstance(error, kinds)), "failed")


def _reason_of(error: BaseException) -> str:
    """Return the exception's own `reason` if it is one of ours; a task of any app may give its exceptions one."""
    if isinstance(error, TimeLimitExceeded):
        return Reason.TIMEOUT.value
    reason = str(getattr(get_pickled_exception(error), "reason", ""))
    return reason if reason in set(Reason) else Reason.INTERNAL.value


def _report(result: object) -> dict[str, Any]:
    """Return what our task returned, from the repr that reaches the main process; {} for any other task."""
    if not isinstance(result, str) or not result.startswith("{'aforo': "):
        return {}
    try:
        return dict(ast.literal_eval(result)["aforo"])
    except (ValueError, SyntaxError, TypeError, MemoryError):
        return {}
