"""Allowed label values of every metric of Aforo, as `docs/metrics.md` shows them.

Each label has a tuple of its values, or a text that describes them. The values for a worker's own metrics come from
`aforo.telemetry.label_values`.
"""

from __future__ import annotations

from collections.abc import Iterable

from aforo.telemetry import label_values as library
from aforo.telemetry.label_values import Values
from core.run import Mode, RunStatus
from core.video import Outcome, Reason, Stage, VideoState

_FAULTS = ("starting", "timeout", "unreachable", "denied", "throttled", "not_found", "refused", "internal")
_COLLECTOR_FAULTS = ("unreachable", "invalid", "balanced", "database", "prometheus", "app_table")


def _of(kinds: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(kind) for kind in kinds)


#: Values by label.
VALUES: dict[str, Values] = {
    **library.VALUES,
    "app": "the app whose worker processed the run: that of its aforo.toml, or `aforo` for the reference worker",
    "bound": ("estimate", "lower", "upper"),
    "collector": ("db", "sqs", "waiting"),
    "concurrency": "slots of one node, as requested; `2×3` are three nodes with at most two slots each",
    "exporter": ("db", "sqs"),
    "mode": _of(Mode),
    "operation": "SQS API operations this exporter uses",
    "outcome": _of(Outcome),
    "queue": "the queues AFORO_EXPORTER_QUEUES names, less their dead-letter queues",
    "reason": _of(Reason),
    "run_id": "the newest AFORO_EXPORTER_RUNS runs",
    "size": "the sizes that were tested, such as `50MB`",
    "slots": "slots over all nodes, as the workers report them",
    "state": _of(VideoState),
    "status": _of(RunStatus),
    "table": ("videos", "executions"),
}
#: Values by family and label, where a family's label has a meaning of its own.
OF_FAMILY: dict[tuple[str, str], Values] = {
    **library.OF_FAMILY,
    ("aforo_collector_errors_total", "reason"): _COLLECTOR_FAULTS,
    ("aforo_exporter_errors_total", "reason"): _FAULTS,
    ("aforo_sqs_poll_errors_total", "reason"): _FAULTS,
    ("aforo_run_verdict", "kind"): ("stability", "bottleneck"),
    ("aforo_run_verdict", "verdict"): (
        *("stable", "unstable", "inconclusive"),
        *("slots", "cpu", "cpu_quota", "memory_bandwidth", "single_thread", "disk", "network", "memory"),
        *("database", "queue_polling", "serialisation", "unclear"),
    ),
    ("aforo_run_validity_info", "validity"): ("valid", "indicative", "invalid"),
    (
        "aforo_run_validity_info",
        "reasons",
    ): "codes of flags (docs/json.md), joined by commas; empty for a valid run",
    ("aforo_run_total_stage_seconds", "stage"): _of(Stage),
    ("aforo_run_info", "queue"): "the queue of the run, or SQS_QUEUE_NAME for a run that did not record its queue",
    ("aforo_videos", "queue"): "the queue of the videos' run, or SQS_QUEUE_NAME where it was not recorded",
    ("aforo_videos", "state"): (*_of(VideoState), "other"),
}


def values_of(family: str, label: str) -> Values:
    """Return the allowed values of the label `label` of the metric `family`.

    The result is a tuple of all values, or a text that describes them. Raise KeyError if the label has no declared
    values.
    """
    declared = OF_FAMILY.get((family, label))
    return VALUES[label] if declared is None else declared
