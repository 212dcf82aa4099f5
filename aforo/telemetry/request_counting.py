"""Subclass of Celery's `Request` that counts the start and the end of each delivered task once.

A `Request` is one delivery of a task to this worker. The counting runs in the worker's main process, without Celery's
events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import Terminated
from celery.exceptions import Ignore, Reject, Retry, TimeLimitExceeded, WorkerLostError
from celery.utils.serialization import get_pickled_exception
from celery.worker.request import Request

from aforo.executions.record import Identity
from aforo.telemetry.cpu_time import cpu_counted
from aforo.telemetry.label_values import DECLARED_OUTCOMES, FAILURE_REASONS
from aforo.telemetry.task_result import delivery_key
from aforo.telemetry.task_start import RUN_ID
from aforo.telemetry.worker_metrics import WorkerMetrics

OUTCOMES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((Retry,), "retried"),
    ((Reject,), "rejected"),
    ((Ignore,), "ignored"),
    ((Terminated,), "revoked"),
    ((WorkerLostError, SystemExit, KeyboardInterrupt), "lost"),  # billiard reports a dead child by any of these
)


class CountedRequest(Request):
    """Received task (Celery's `Request`) that counts its start and its end in `metrics`.

    The metrics are labelled with the name under which the task is registered.
    """

    metrics: ClassVar[WorkerMetrics]
    _pid = 0
    _accepted_at = 0.0  # in epoch seconds
    _started_at: float | None = None  # of this delivery: another delivery of the task may run at the same time
    _seconds: float | None = None
    _is_over = False

    def __init_subclass__(cls, **options: Any) -> None:
        """Count successes in the subclass that Celery creates for each task.

        The `on_success` of that subclass does not call super.
        """
        super().__init_subclass__(**options)
        if "on_success" in cls.__dict__:
            cls.on_success = _counting_success(cls.on_success)

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Count the start of the task. Celery calls this when a slot starts the task."""
        self._pid, self._started_at, self._accepted_at = pid, time.monotonic(), time.time()
        with cpu_counted(self.metrics.telemetry_cpu):
            self.metrics.started(self.task.name)  # a message can change `self.name` by its header `shadow`
        super().on_accepted(pid, time_accepted)  # it may revoke the task immediately

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        """Count the end of the task. Celery calls this when the task raised an exception.

        Return what Celery's own `on_failure` returns.
        """
        try:
            return super().on_failure(exc_info, *args, **options)
        finally:
            error = exc_info.exception
            self.count_failure(error.exc if isinstance(error, ExceptionWithTraceback) else error)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Count the end of the task if it reached its hard time limit. At the soft limit, count nothing.

        Celery calls this at both limits, with `soft` True at the soft limit.
        """
        super().on_timeout(soft, timeout)
        if not soft:
            self.count_failure(TimeLimitExceeded(timeout))

    def _announce_revoked(self, *args: Any) -> None:
        super()._announce_revoked(*args)
        self.count_end("revoked")

    def count_failure(self, error: BaseException) -> None:
        """Count the end of a task that raised `error`. If the outcome is `failed`, count the reason too.

        The outcome is `lost` if the hard time limit killed the task and the message is delivered again. Otherwise, the
        function `outcome_of` returns the outcome.
        """
        outcome = "lost" if self._returns_to_queue(error) else outcome_of(error)
        reason = reason_of(error) if outcome == "failed" else None
        if reason and not self._is_over:
            self.metrics.failed(self.task.name, reason)
        self.count_end(outcome, reason)

    def count_end(self, outcome: str, reason: str | None = None) -> None:
        """Count the end of the task by its `outcome`, unless its end has already been counted.

        Also finish the execution record of a task that had started. `reason` is the failure reason in that record.
        """
        if self._is_over:
            return
        self._is_over = True
        seconds = None if self._started_at is None else self._seconds or time.monotonic() - self._started_at
        with cpu_counted(self.metrics.telemetry_cpu):
            facts = getattr(self, "_request_dict", None) or {}
            delivery = delivery_key(self._pid, self.id, facts.get("properties"))
            counted_outcome = self.metrics.ended(self.task.name, outcome, seconds, delivery)
            if self.metrics.recorder is not None and seconds is not None:
                self.metrics.recorder.ended(delivery, self._identity(facts), counted_outcome, reason, self._accepted_at)

    def _identity(self, facts: Mapping[str, Any]) -> Identity:
        return Identity(
            task=self.task.name,  # a message can change `self.name` by its header `shadow`
            task_id=self.id,
            root_id=_short(facts.get("root_id")),
            run=_short(facts.get(RUN_ID)),
            retries=facts.get("retries") or 0,
        )

    def _returns_to_queue(self, error: BaseException) -> bool:
        """Return True if the hard time limit killed the child and the message is delivered again."""
        return isinstance(error, TimeLimitExceeded) and self.task.acks_late and not _is_acked_on_timeout(self.task)


def _short(header: object) -> str | None:
    """Return the text of a header for a record, cut to 255 characters, or None for anything else.

    kombu can decode a header to any type. The thread that writes records would end at a value that JSON does not know,
    and a reader would refuse a page with a text of 1 MiB.
    """
    return header[:255] if isinstance(header, str) else None


def counted(base: type[Any], worker_metrics: WorkerMetrics) -> type[Any]:
    """Return a subclass of `base` that counts the starts and ends of tasks in `worker_metrics`.

    `base` is the request class of a Celery task.
    """
    return type("CountedRequest", (CountedRequest, base), {"metrics": worker_metrics})


def outcome_of(error: BaseException) -> str:
    """Return the outcome label of a task that raised this exception, such as `failed` or `retried`.

    A task can choose another outcome: it raises Celery's `Reject` with an attribute `outcome`.
    """
    declared = str(getattr(error, "outcome", ""))
    if isinstance(error, Reject) and declared in DECLARED_OUTCOMES:
        return declared
    return next((outcome for kinds, outcome in OUTCOMES if isinstance(error, kinds)), "failed")


def reason_of(error: BaseException) -> str:
    """Return the failure reason of a task that raised `error`, as a metric label value.

    The hard time limit gives `timeout`. Any other error gives its attribute `reason` if FAILURE_REASONS lists that
    value, and `internal` if not.
    """
    if isinstance(error, TimeLimitExceeded):
        return "timeout"
    reason = str(getattr(get_pickled_exception(error), "reason", ""))
    return reason if reason in FAILURE_REASONS else "internal"


def _counting_success(on_success: Callable[..., Any]) -> Callable[..., Any]:
    def counting(self: CountedRequest, failed__retval__runtime: tuple[bool, Any, float], **options: Any) -> Any:
        failed, _, self._seconds = failed__retval__runtime
        try:
            return on_success(self, failed__retval__runtime, **options)
        finally:
            if not failed:
                self.count_end("succeeded")

    return counting


def _is_acked_on_timeout(task: Any) -> bool:
    """Return True if a task that exceeded its hard time limit is acknowledged.

    Since Celery 5.7, `acks_on_timeout` is a separate setting. Before, one setting covers failures and timeouts.
    """
    return bool(getattr(task, "acks_on_timeout", getattr(task, "acks_on_failure_or_timeout", True)))
