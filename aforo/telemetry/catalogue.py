"""Declarations of the metrics that a worker exports about itself and its machine.

`counter`, `gauge` and `histogram` register a metric by its name. `family` returns a metric without values, for code
that computes the values at each scrape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


class Kind(str, Enum):
    """Types of Prometheus metrics that Aforo uses."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"

    __str__ = str.__str__


@dataclass(frozen=True)
class Metric:
    """Declaration of one metric. `buckets` are the upper bounds of a histogram, in the metric's unit."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


#: Where the values lie, each bound is at most 1.5 times the one before: a quantile is interpolated in its bucket, and
#: with wider ones p95 was up to 2.3 times too high above 2 s, and five times below.
_HUNDREDTHS = (0.02, 0.03, 0.04, 0.05, 0.07)
_TENTHS = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4)
_SECONDS_TO_MINUTES = (2.0, 3.0, 4.5, 6.5, 9.5, 14.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0)
#: "Does a task take a second or half an hour?" Narrow from 0.5 s on: it has a series per outcome and bucket.
DURATION_BUCKETS = (0.1, 0.5, 0.7, 1.0, 1.4, *_SECONDS_TO_MINUTES, 180.0, 300.0, 600.0, 1200.0, 1800.0)
#: "Does a message wait for the poll or behind others?"
WAIT_BUCKETS = (*_TENTHS, *_SECONDS_TO_MINUTES, 180.0, 300.0, 600.0, 1200.0, 1800.0)
#: "Does a stage of a task take milliseconds or minutes?"
STAGE_BUCKETS = (0.005, 0.01, *_HUNDREDTHS, *_TENTHS, *_SECONDS_TO_MINUTES, 180.0, 300.0, 600.0, 1800.0)
#: "How long is a slot idle while messages wait?" Stock Celery: 1 s.
IDLE_BUCKETS = (0.01, *_HUNDREDTHS, *_TENTHS, 2.0, 3.0, 5.0, 15.0, 60.0)
#: "How many seconds of video does ffmpeg process per second?"
SPEED_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
#: "Does one ffmpeg use one core or all?"
CORES_BUCKETS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 8.0, 16.0, 32.0)

C, G, H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

WORKER = (
    Metric(
        "aforo_worker_info",
        G,
        "Always 1; the conditions of this worker: its programs, settings, machine and limits.",
        (
            *("worker", "version", "python", "celery", "kombu", "transport", "pool", "profile", "threads_setting"),
            *("threads", "ffmpeg", "image", "cpu_model", "instance_type", "cores", "smt", "memory_bytes"),
            *("cpu_quota_cores", "memory_limit_bytes", "autoscale"),
        ),
    ),
    Metric("aforo_worker_queue_info", G, "Always 1; a queue that this worker reads.", ("queue",)),
    Metric("aforo_worker_started_timestamp_seconds", G, "Start time of this worker's main process."),
    Metric("aforo_worker_slots", G, "Slots (processes or threads for tasks) of this worker."),
    Metric("aforo_worker_slots_busy", G, "Slots that are running a task."),
    Metric("aforo_worker_tasks_started_total", C, "Tasks that started, redeliveries included.", ("task",)),
    Metric("aforo_worker_tasks_total", C, "Tasks that ended, by outcome.", ("task", "outcome")),
    Metric(
        "aforo_worker_task_seconds",
        H,
        "Time from the start of a task to its end.",
        ("task", "outcome"),
        DURATION_BUCKETS,
    ),
    Metric(
        "aforo_worker_queue_wait_seconds",
        H,
        "Time from the send of a message to the start of its task.",
        ("task",),
        WAIT_BUCKETS,
    ),
    Metric("aforo_worker_stage_seconds", H, "Duration of one stage of a task.", ("task", "stage"), STAGE_BUCKETS),
    Metric("aforo_worker_failures_total", C, "Tasks that failed, by reason.", ("task", "reason")),
    Metric(
        "aforo_worker_video_bytes_total",
        C,
        "Bytes of videos downloaded (in) and uploaded (out) by executions that succeeded.",
        ("direction",),
    ),
    Metric(
        "aforo_worker_ffmpeg_speed_ratio",
        H,
        "Seconds of video processed per second of ffmpeg, in executions that succeeded.",
        (),
        SPEED_BUCKETS,
    ),
    Metric(
        "aforo_worker_ffmpeg_cpu_seconds",
        H,
        "CPU seconds of one ffmpeg (user + system), in executions that succeeded.",
        (),
        DURATION_BUCKETS,
    ),
    Metric(
        "aforo_worker_ffmpeg_cores",
        H,
        "Cores used by one ffmpeg, in executions that succeeded: its CPU seconds per second.",
        (),
        CORES_BUCKETS,
    ),
    Metric("aforo_worker_ffmpeg_max_rss_bytes", G, "Largest resident set of any ffmpeg of this worker."),
    Metric(
        "aforo_worker_slot_idle_seconds",
        H,
        "Time a slot was idle although the message it took next was waiting.",
        (),
        IDLE_BUCKETS,
    ),
    Metric("aforo_worker_redeliveries_total", C, "Deliveries with a receive count above 1.", ("task",)),
    Metric("aforo_worker_children_lost_total", C, "Task processes that died while they ran a task.", ("task",)),
    Metric(
        "aforo_worker_visibility_extensions_total",
        C,
        "Visibility heartbeats of running tasks, by result: they extend the visibility timeout and renew the claim.",
        ("result",),
    ),
    Metric("aforo_worker_polls_total", C, "Receive calls to SQS, by result.", ("result",)),
    Metric("aforo_worker_last_poll_timestamp_seconds", G, "Time of the last receive call that SQS answered."),
    Metric(
        "aforo_worker_invalid_messages_total",
        C,
        "Invalid messages, moved to the dead-letter queue before Celery reads them, by reason.",
        ("reason",),
    ),
    Metric("aforo_worker_events_forwarded_total", C, "Celery events sent to the events Redis."),
    Metric("aforo_worker_events_dropped_total", C, "Celery events lost because the events Redis did not take them."),
    Metric("aforo_worker_events_connected", G, "1 while the events Redis accepts events, else 0."),
    Metric(
        "aforo_worker_cpu_seconds_total",
        C,
        "CPU time of this worker, its slots and their child programs, which are added when they end.",
    ),
    Metric("aforo_worker_telemetry_cpu_seconds_total", C, "CPU time this worker spent on its own telemetry."),
    Metric(
        "aforo_worker_telemetry_events_lost_total",
        C,
        "Telemetry events that could not be sent to the main process or could not be read there.",
    ),
    Metric(
        "aforo_worker_executions_lost_total",
        C,
        "Execution records that left the full spool unread, or that the executions file did not take.",
    ),
    Metric(
        "aforo_worker_slots_stopped",
        G,
        "Slots whose process was stopped by a signal (SIGSTOP) and runs nothing. After 30 s it is replaced.",
    ),
    Metric("aforo_worker_slots_replaced_total", C, "Slot processes that were killed because they stayed stopped."),
    Metric(
        "aforo_worker_stall_restarts_total",
        C,
        "Restarts of the worker by itself, because no receive call had returned or failed for a minute.",
    ),
    Metric("aforo_worker_pending_deletes", G, "Finished messages whose delete is being retried."),
    Metric(
        "aforo_worker_handled_errors_total",
        C,
        "Errors that were logged and ignored, by operation.",
        ("operation",),
    ),
)

NODE = (
    Metric(
        "aforo_node_info",
        G,
        "Always 1; identifies the machine: workers of one machine report the same CPU time.",
        ("host",),
    ),
    Metric("aforo_node_cpu_seconds_total", C, "CPU time of the machine, summed over cores.", ("mode",)),
    Metric("aforo_node_cores", G, "Logical cores of the machine."),
    Metric("aforo_node_memory_bytes", G, "Memory of the machine.", ("kind",)),
    Metric("aforo_node_swap_in_bytes_total", C, "Bytes read back from swap."),
    Metric("aforo_node_oom_kills_total", C, "Processes killed by the kernel because memory ran out."),
    Metric(
        "aforo_node_pressure_seconds_total",
        C,
        "Time that tasks of this cgroup, or of the machine, were stalled (PSI).",
        ("resource", "share"),
    ),
    Metric("aforo_node_cgroup_cpu_limit_cores", G, "CPU quota of this container in cores; absent without a quota."),
    Metric("aforo_node_cgroup_periods_total", C, "CPU quota periods of this container."),
    Metric("aforo_node_cgroup_throttled_periods_total", C, "Quota periods in which this container was throttled."),
    Metric("aforo_node_cgroup_throttled_seconds_total", C, "Time this container was throttled."),
    Metric(
        "aforo_node_disk_bytes_total",
        C,
        "Bytes read and written by the device of the temporary files, or by all devices if that one is unknown.",
        ("direction",),
    ),
    Metric("aforo_node_network_bytes_total", C, "Bytes of all network interfaces.", ("direction",)),
    Metric("aforo_node_clock_timestamp_seconds", G, "Clock of the machine at the scrape."),
    Metric(
        "aforo_node_filesystem_free_bytes", G, "Free space of the filesystem that holds the folder `place`.", ("place",)
    ),
    Metric(
        "aforo_node_bandwidth_limit_bytes_per_second",
        G,
        "Bandwidth limit measured before any work; absent until it is measured.",
        ("resource",),
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in (*WORKER, *NODE)}


def counter(name: str, registry: CollectorRegistry, metrics: Mapping[str, Metric] = METRICS) -> Counter:
    """Create the declared counter `name`, register it in `registry` and return it.

    `metrics` has the declarations by name. Raise KeyError if `name` is not declared, TypeError if it is not a counter.
    """
    metric = _of_kind(name, C, metrics)
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def gauge(name: str, registry: CollectorRegistry, metrics: Mapping[str, Metric] = METRICS) -> Gauge:
    """Create the declared gauge `name`, register it in `registry` and return it.

    `metrics` has the declarations by name. Raise KeyError if `name` is not declared, TypeError if it is not a gauge.
    """
    metric = _of_kind(name, G, metrics)
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)


def histogram(name: str, registry: CollectorRegistry) -> Histogram:
    """Create the declared histogram `name` with its buckets, register it in `registry` and return it.

    Raise KeyError if `name` is not declared, TypeError if it is not a histogram.
    """
    metric = _of_kind(name, H, METRICS)
    return Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry)


def family(name: str) -> GaugeMetricFamily | CounterMetricFamily:
    """Return the declared counter or gauge `name` as a Prometheus family without samples.

    The caller adds the samples at each scrape. Raise KeyError if `name` is not declared.
    """
    return empty_family(METRICS[name])


def empty_family(metric: Metric) -> GaugeMetricFamily | CounterMetricFamily:
    """Return the Prometheus family of a declared counter or gauge, without samples."""
    if metric.kind is C:
        return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)


def _of_kind(name: str, kind: Kind, metrics: Mapping[str, Metric]) -> Metric:
    metric = metrics[name]
    if metric.kind is not kind:
        raise TypeError(f"{name} is a {metric.kind}, not a {kind}")
    return metric
