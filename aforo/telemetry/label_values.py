"""Allowed values of each label of the metrics that the library exports.

VALUES maps a label to the list of its values. If the values cannot be listed, VALUES has a text that describes them,
such as `the version of Celery`.
"""

from __future__ import annotations

from collections.abc import Mapping

from aforo.sqs import observer
from aforo.sqs.observer import ExtensionResult, InvalidReason, Label, PollResult

Values = tuple[str, ...] | str


class Operation(Label):
    """Operations of a task or worker whose errors are logged and ignored, as metric label values.

    The metric is aforo_worker_handled_errors_total. The class `aforo.sqs.observer.Operation` has the operations of the
    SQS transport.
    """

    WATCH_DEAD_LETTERS = "watch_dead_letters"  # reading the dead-letter queue failed: the next check retries
    DELETE_OUTPUTS = "delete_outputs"  # deleting an outdated output failed: the output stays
    CLEAN_UP = "clean_up"  # deleting work files or unfinished uploads failed: the next start retries
    MEASURE_LIMITS = "measure_limits"  # measuring or storing a bandwidth limit failed: the limit stays unknown
    WRITE_HEARTBEAT = "write_heartbeat"  # writing a worker heartbeat failed: the next one retries
    WRITE_EXECUTION = "write_execution"  # writing execution records to disk failed: they stay in memory
    TELEMETRY_EVENT = "telemetry_event"  # reading an event of a task failed: the event is lost


#: Reasons of a failed task. An exception names one by its attribute `reason`; every other one counts as `internal`.
FAILURE_REASONS = (
    *("not_media", "empty", "truncated", "corrupt", "too_large", "unsupported", "timeout", "stalled", "oom"),
    *("disk_full", "storage_missing", "storage_denied", "storage_unavailable", "encoder_sessions", "ffmpeg_signal"),
    *("ffmpeg_error", "worker_lost", "dead_lettered", "internal"),
)
#: Outcomes that a task may declare for itself: by `record_result`, or by the attribute `outcome` of a Reject.
DECLARED_OUTCOMES = ("retried", "duplicate", "superseded")
TASK_OUTCOMES = ("succeeded", "failed", "retried", "rejected", "ignored", "revoked", "duplicate", "superseded", "lost")


def _of(*labels: Label) -> tuple[str, ...]:
    return tuple(label.value for label in labels)


#: Values by label.
VALUES: Mapping[str, Values] = {
    "celery": "the version of Celery",
    "cores": "logical cores of the machine",
    "autoscale": "the value of Celery's option `--autoscale`, such as `8,2`, or empty without it",
    "cpu_model": "the model of /proc/cpuinfo, or implementer and part on arm64",
    "cpu_quota_cores": "the CPU quota of the container in cores, or `none`",
    "ffmpeg": "the version of ffmpeg",
    "host": "the kernel's boot id, the same in all containers of a machine",
    "image": "the value of AFORO_IMAGE",
    "instance_type": "the EC2 instance type, where the firmware names it",
    "kind": ("total", "available"),
    "kombu": "the version of kombu",
    "memory_bytes": "memory of the machine",
    "memory_limit_bytes": "the memory limit of the container, or `none`",
    "place": ("work", "storage"),
    "pool": ("prefork", "threads", "solo", "unknown"),
    "profile": "profiles of `core/ffmpeg/profiles.py`",
    "python": "the version of Python",
    "resource": ("cpu", "io", "memory"),
    "share": ("some", "full"),
    "smt": ("on", "off", "unknown"),
    "stage": "the first words that the task passes to `stage`, and `other`",
    "task": "names of the tasks the worker knows",
    "threads": "ffmpeg's threads in one slot",
    "threads_setting": "`auto` or the value of AFORO_WORKER_THREADS",
    "transport": "the scheme of the broker URL: `sqs` is that of kombu, `aforo-sqs` the hardened one",
    "version": "a version of Aforo",
    "worker": "node, pid and start time of the worker's main process; the column `executions.worker`",
}
#: Values by family and label, where a family's label has a meaning of its own.
OF_FAMILY: Mapping[tuple[str, str], Values] = {
    ("aforo_node_bandwidth_limit_bytes_per_second", "resource"): (
        *("disk_read", "disk_write", "network_in", "network_out"),
    ),
    ("aforo_node_cpu_seconds_total", "mode"): "modes of /proc/stat: user, system, idle, iowait, steal, …",
    ("aforo_node_disk_bytes_total", "direction"): ("read", "written"),
    ("aforo_node_network_bytes_total", "direction"): ("in", "out"),
    ("aforo_worker_failures_total", "reason"): FAILURE_REASONS,
    ("aforo_worker_handled_errors_total", "operation"): _of(*observer.Operation, *Operation),
    ("aforo_worker_invalid_messages_total", "reason"): _of(*InvalidReason),
    ("aforo_worker_polls_total", "result"): _of(*PollResult),
    ("aforo_worker_queue_info", "queue"): "the queues this worker reads",
    ("aforo_worker_task_seconds", "outcome"): TASK_OUTCOMES,
    ("aforo_worker_tasks_total", "outcome"): TASK_OUTCOMES,
    ("aforo_worker_video_bytes_total", "direction"): ("in", "out"),
    ("aforo_worker_visibility_extensions_total", "result"): _of(*ExtensionResult),
}
