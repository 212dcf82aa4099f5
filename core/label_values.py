"""Every value a label may have: closed lists, and in words what bounds the others. docs/metrics.md shows them."""

from __future__ import annotations

from collections.abc import Iterable

from core.run import Mode, RunStatus
from core.video import Outcome, Reason, Stage, VideoState

Values = tuple[str, ...] | str
_FAULTS = ("starting", "timeout", "unreachable", "denied", "throttled", "not_found", "refused", "internal")
_DEFECTS = (
    *("too_large", "bad_json", "bad_envelope", "bad_headers", "bad_properties", "bad_content_type", "bad_arguments"),
    *("compressed", "unknown_task", "unknown_version", "undeliverable"),
)


def _of(kinds: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(kind) for kind in kinds)


#: by label; a closed list, or what bounds it
VALUES: dict[str, Values] = {
    "action": (
        *("delete", "dead_letter", "reject", "give_back", "watch_dead_letters", "discard", "sweep", "keep", "report"),
    ),
    "bound": ("estimate", "lower", "upper"),
    "celery": "the version of Celery",
    "collector": ("db", "sqs", "waiting"),
    "concurrency": "slots of one node, as asked for",
    "exporter": ("db", "sqs"),
    "ffmpeg": "the version of ffmpeg",
    "host": "the kernel's boot id, the same in all containers of a machine",
    "kind": ("total", "available"),
    "mode": _of(Mode),
    "operation": "SQS API operations this exporter uses",
    "outcome": _of(Outcome),
    "place": ("work", "storage"),
    "profile": "profiles of `worker/media/profiles.py`",
    "queue": "the queues AFORO_EXPORTER_QUEUES names, less their dead-letter queues",
    "reason": _of(Reason),
    "resource": ("cpu", "io", "memory"),
    "run_id": "the newest AFORO_EXPORTER_RUNS runs",
    "share": ("some", "full"),
    "size": "the sizes that were tested, such as `50MB`",
    "slots": "slots over all nodes, as the workers report them",
    "stage": _of(Stage),
    "state": _of(VideoState),
    "status": _of(RunStatus),
    "table": ("videos", "executions"),
    "task": "names of the tasks the worker knows",
    "version": "a version of Aforo",
}
#: where a family's label means something of its own
OF_FAMILY: dict[tuple[str, str], Values] = {
    ("aforo_exporter_errors_total", "reason"): _FAULTS,
    ("aforo_sqs_poll_errors_total", "reason"): _FAULTS,
    ("aforo_node_bandwidth_limit_bytes_per_second", "resource"): (
        "disk_read",
        "disk_write",
        "network_in",
        "network_out",
    ),
    ("aforo_node_cpu_seconds_total", "mode"): "modes of /proc/stat: user, system, idle, iowait, steal, …",
    ("aforo_node_disk_bytes_total", "direction"): ("read", "written"),
    ("aforo_node_network_bytes_total", "direction"): ("in", "out"),
    ("aforo_worker_video_bytes_total", "direction"): ("in", "out"),
    ("aforo_run_verdict", "kind"): ("stability", "bottleneck"),
    ("aforo_run_verdict", "verdict"): (
        *("stable", "unstable", "inconclusive"),
        *("slots", "cpu", "cpu_quota", "memory_bandwidth", "single_thread", "disk", "network", "memory"),
        *("serialisation", "unclear"),
    ),
    ("aforo_videos", "state"): (*_of(VideoState), "other"),
    ("aforo_worker_info", "queue"): "the queues this worker reads",
    ("aforo_worker_invalid_messages_total", "reason"): _DEFECTS,
    ("aforo_worker_polls_total", "result"): ("messages", "empty", "error", "timeout", "throttled", "denied"),
    ("aforo_worker_visibility_extensions_total", "result"): ("ok", "failed", "gone"),
    **{
        (f"aforo_worker_{family}", "outcome"): (
            *("succeeded", "failed", "retried", "rejected", "ignored", "revoked"),
            *("duplicate", "superseded", "lost"),
        )
        for family in ("tasks_total", "task_seconds")
    },
}


def values_of(family: str, label: str) -> Values:
    """Return the values `label` may have in `family`; KeyError where nobody has said."""
    found = OF_FAMILY.get((family, label))
    return VALUES[label] if found is None else found
