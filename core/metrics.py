"""The catalogue: every metric we emit, declared once with kind, help, labels, unit and buckets.

Programs make theirs with `create(NAME, registry)`; nothing is registered on import. `docs/metrics.md` is generated from
here and a test compares dashboards, rules and alerts with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


class Kind(StrEnum):
    """Prometheus metric types we use."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """One metric family; `buckets` are upper bounds in the metric's unit."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


#: "Is a task nearer to a second or to half an hour?"
DURATION_BUCKETS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0)
#: "Does a stage of the pipeline cost milliseconds or minutes?"
STAGE_BUCKETS = (0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
#: "How long does a slot stand idle while messages wait?" Stock Celery: 1 s.
IDLE_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
#: "How many seconds of video does ffmpeg make in a second?"
SPEED_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
#: "Does one ffmpeg use one core or all?"
CORES_BUCKETS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 8.0, 16.0, 32.0)

C, G, H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

WORKER = (
    Metric(
        "aforo_worker_info",
        G,
        "Always 1; versions and profile of this worker, once for each queue it reads.",
        ("version", "celery", "ffmpeg", "profile", "queue"),
    ),
    Metric("aforo_worker_started_timestamp_seconds", G, "When this worker's main process started."),
    Metric("aforo_worker_slots", G, "Slots (task processes) this worker really has."),
    Metric("aforo_worker_slots_busy", G, "Slots that run a task now."),
    Metric("aforo_worker_tasks_started_total", C, "Tasks that began to run, redeliveries included.", ("task",)),
    Metric("aforo_worker_tasks_total", C, "Tasks that ended, by how they ended.", ("task", "outcome")),
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
        "Time a message waited in SQS before its task began.",
        ("task",),
        DURATION_BUCKETS,
    ),
    Metric("aforo_worker_stage_seconds", H, "Time of one stage of a task.", ("task", "stage"), STAGE_BUCKETS),
    Metric("aforo_worker_failures_total", C, "Videos that failed, by reason.", ("task", "reason")),
    Metric("aforo_worker_video_bytes_total", C, "Bytes of videos fetched (in) and published (out).", ("direction",)),
    Metric("aforo_worker_ffmpeg_speed_ratio", H, "Seconds of video processed per second of ffmpeg.", (), SPEED_BUCKETS),
    Metric("aforo_worker_ffmpeg_cpu_seconds", H, "CPU seconds one ffmpeg used (user + system).", (), DURATION_BUCKETS),
    Metric("aforo_worker_ffmpeg_cores", H, "Cores one ffmpeg kept busy: CPU seconds per second.", (), CORES_BUCKETS),
    Metric("aforo_worker_ffmpeg_max_rss_bytes", G, "Largest resident set of any ffmpeg of this worker."),
    Metric(
        "aforo_worker_slot_idle_seconds",
        H,
        "Time a slot stood idle although the message it took next was there.",
        (),
        IDLE_BUCKETS,
    ),
    Metric("aforo_worker_redeliveries_total", C, "Deliveries whose receive count was above 1.", ("task",)),
    Metric("aforo_worker_children_lost_total", C, "Task processes that died while running a task.", ("task",)),
    Metric(
        "aforo_worker_visibility_extensions_total",
        C,
        "Tries to keep the message of a running task invisible, and its lease; of a message that is gone, once.",
        ("result",),
    ),
    Metric("aforo_worker_polls_total", C, "Receive calls to SQS, by result.", ("result",)),
    Metric("aforo_worker_last_poll_timestamp_seconds", G, "When SQS last answered a receive call."),
    Metric(
        "aforo_worker_invalid_messages_total",
        C,
        "Messages moved to the dead-letter queue unread, by reason.",
        ("reason",),
    ),
    Metric("aforo_worker_events_forwarded_total", C, "Celery events handed to the events Redis."),
    Metric("aforo_worker_events_dropped_total", C, "Celery events lost because the events Redis was away."),
    Metric("aforo_worker_events_connected", G, "1 while the events Redis accepts events, else 0."),
    Metric(
        "aforo_worker_cpu_seconds_total",
        C,
        "CPU this worker, its slots and what they ran used; ffmpeg's when it ended.",
    ),
    Metric("aforo_worker_telemetry_cpu_seconds_total", C, "CPU this worker spent on sampling and exporting."),
    Metric("aforo_worker_telemetry_events_lost_total", C, "Reports of tasks that did not reach the main process."),
    Metric("aforo_worker_pending_deletes", G, "Finished messages SQS would not delete yet; they are tried again."),
    Metric(
        "aforo_worker_handled_errors_total",
        C,
        "Errors that were logged and lived with, by what was being done.",
        ("action",),
    ),
)

NODE = (
    Metric("aforo_node_info", G, "Always 1; which machine this is: workers on one tell its CPU alike.", ("host",)),
    Metric("aforo_node_cpu_seconds_total", C, "CPU time of the machine, summed over cores.", ("mode",)),
    Metric("aforo_node_cores", G, "Logical cores of the machine."),
    Metric("aforo_node_memory_bytes", G, "Memory of the machine.", ("kind",)),
    Metric("aforo_node_swap_in_bytes_total", C, "Bytes read back from swap."),
    Metric("aforo_node_oom_kills_total", C, "Processes the kernel killed for want of memory."),
    Metric(
        "aforo_node_pressure_seconds_total",
        C,
        "Time tasks of this cgroup, or machine, stalled (PSI).",
        ("resource", "share"),
    ),
    Metric("aforo_node_cgroup_cpu_limit_cores", G, "CPU quota of this container in cores; absent without one."),
    Metric("aforo_node_cgroup_periods_total", C, "CPU quota periods of this container."),
    Metric("aforo_node_cgroup_throttled_periods_total", C, "Quota periods in which this container was throttled."),
    Metric("aforo_node_cgroup_throttled_seconds_total", C, "Time this container was throttled."),
    Metric(
        "aforo_node_disk_bytes_total",
        C,
        "Bytes of the device that holds temporary files, or of all where that cannot be told.",
        ("direction",),
    ),
    Metric("aforo_node_network_bytes_total", C, "Bytes of all network interfaces.", ("direction",)),
    Metric("aforo_node_clock_timestamp_seconds", G, "What the machine's clock shows when it is scraped."),
    Metric("aforo_node_filesystem_free_bytes", G, "Free space where temporary files live.", ("place",)),
    Metric(
        "aforo_node_bandwidth_limit_bytes_per_second",
        G,
        "Most that was seen before any work: disk_read, disk_write, network_in, network_out; absent until measured.",
        ("resource",),
    ),
)

SQS = (
    Metric(
        "aforo_sqs_messages_visible", G, "Messages waiting to be received (approximate, as SQS counts).", ("queue",)
    ),
    Metric(
        "aforo_sqs_messages_in_flight",
        G,
        "Messages received but neither deleted nor visible again (approximate, as SQS counts).",
        ("queue",),
    ),
    Metric("aforo_sqs_messages_delayed", G, "Messages not visible yet because of their delay.", ("queue",)),
    Metric("aforo_sqs_dead_letter_messages", G, "Messages in the dead-letter queue of this queue.", ("queue",)),
    Metric(
        "aforo_sqs_oldest_message_timestamp_seconds",
        G,
        "Send time of the oldest waiting message, from the database.",
        ("queue",),
    ),
    Metric("aforo_sqs_visibility_timeout_seconds", G, "Visibility timeout of the queue.", ("queue",)),
    Metric(
        "aforo_sqs_receive_limit",
        G,
        "Receives after which a message is dead-lettered; absent without a redrive policy.",
        ("queue",),
    ),
    Metric(
        "aforo_sqs_last_success_timestamp_seconds",
        G,
        "Time of the last successful read of this queue's attributes.",
        ("queue",),
    ),
    Metric("aforo_sqs_poll_errors_total", C, "Failed reads of queue attributes, by reason.", ("queue", "reason")),
    Metric("aforo_sqs_api_calls_total", C, "SQS API calls this exporter made.", ("operation",)),
    Metric("aforo_sqs_api_cost_usd_per_month", G, "Cost of this exporter's calls per month at their current rate."),
)

#: Only the newest runs (AFORO_EXPORTER_RUNS). The values are exact: they come from rows, not from samples.
RUN = (
    Metric(
        "aforo_run_info",
        G,
        "Always 1; the parameters of the run.",
        ("run_id", "size", "concurrency", "slots", "mode", "profile"),
    ),
    Metric("aforo_run_status", G, "1 for the run's current status.", ("run_id", "status")),
    Metric("aforo_run_expected_videos", G, "Videos that the run injects in total.", ("run_id",)),
    Metric("aforo_run_videos", G, "Videos of the run by state.", ("run_id", "state")),
    Metric("aforo_run_failed_videos", G, "Failed videos of the run by reason.", ("run_id", "reason")),
    Metric(
        "aforo_run_executions",
        G,
        "Executions of the run by outcome; one execution is one delivery that ran.",
        ("run_id", "outcome"),
    ),
    Metric("aforo_run_window_start_timestamp_seconds", G, "Start of the test window: the first upload.", ("run_id",)),
    Metric(
        "aforo_run_window_end_timestamp_seconds",
        G,
        "End of the test window: last completion of a burst, end of a sustained schedule. Absent while it is open.",
        ("run_id",),
    ),
    Metric("aforo_run_videos_in_window", G, "Videos that became done within the test window.", ("run_id",)),
    Metric(
        "aforo_run_total_response_seconds",
        G,
        "Response time (updated_at − uploaded_at), summed over the done videos of the run.",
        ("run_id",),
    ),
    Metric(
        "aforo_run_total_queue_wait_seconds",
        G,
        "Queue wait (started_at − uploaded_at), summed over the done videos of the run.",
        ("run_id",),
    ),
    Metric(
        "aforo_run_total_service_seconds",
        G,
        "Service time (updated_at − started_at), summed over the done videos of the run.",
        ("run_id",),
    ),
    Metric("aforo_run_total_stage_seconds", G, "Time of one stage, summed over done executions.", ("run_id", "stage")),
    Metric("aforo_run_total_ffmpeg_cpu_seconds", G, "CPU time of ffmpeg, summed over done executions.", ("run_id",)),
    Metric("aforo_run_offered_videos_per_second", G, "Rate of the schedule; absent for a burst.", ("run_id",)),
    Metric("aforo_run_max_lateness_seconds", G, "Largest delay of an upload behind its schedule.", ("run_id",)),
    Metric(
        "aforo_run_capacity_videos_per_minute",
        G,
        "Saturation throughput X_sat with its 95 % interval, as `capacity report` stored it; absent before.",
        ("run_id", "bound"),
    ),
    Metric(
        "aforo_run_verdict",
        G,
        "1 for the current verdict of each kind, as `capacity report` stored it.",
        ("run_id", "kind", "verdict"),
    ),
)

DATABASE = (
    Metric("aforo_videos", G, "Videos of all runs by state.", ("state",)),
    Metric("aforo_runs", G, "Runs by status.", ("status",)),
    Metric(
        "aforo_videos_oldest_waiting_timestamp_seconds",
        G,
        "Upload time of the oldest waiting video; absent if none waits.",
    ),
    Metric(
        "aforo_videos_total_response_seconds",
        G,
        "Response time (updated_at − uploaded_at), summed over all done videos.",
    ),
    Metric(
        "aforo_videos_total_queue_wait_seconds",
        G,
        "Queue wait (started_at − uploaded_at), summed over all done videos.",
    ),
    Metric(
        "aforo_videos_total_service_seconds", G, "Service time (updated_at − started_at), summed over all done videos."
    ),
)

EXPORTER = (
    Metric("aforo_exporter_info", G, "Always 1; version of this exporter.", ("version", "exporter")),
    Metric("aforo_exporter_collector_success", G, "1 if the last collection succeeded, else 0.", ("collector",)),
    Metric("aforo_exporter_collector_duration_seconds", G, "Duration of the last collection.", ("collector",)),
    Metric(
        "aforo_exporter_last_success_timestamp_seconds", G, "Time of the last successful collection.", ("collector",)
    ),
    Metric("aforo_exporter_errors_total", C, "Failed collections by reason.", ("collector", "reason")),
    Metric("aforo_exporter_rows_read_total", C, "Changed rows the database exporter read, by table.", ("table",)),
    Metric("aforo_exporter_rebuilds_total", C, "Full counts that the database exporter has finished."),
    Metric("aforo_exporter_corrected_videos_total", C, "Videos whose state a full count corrected."),
)

CATALOGUE: dict[str, Metric] = {m.name: m for m in (*WORKER, *NODE, *SQS, *RUN, *DATABASE, *EXPORTER)}


def counter(name: str, registry: CollectorRegistry) -> Counter:
    """Register the catalogue's counter `name`."""
    metric = _of_kind(name, C)
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def gauge(name: str, registry: CollectorRegistry) -> Gauge:
    """Register the catalogue's gauge `name`."""
    metric = _of_kind(name, G)
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)


def histogram(name: str, registry: CollectorRegistry) -> Histogram:
    """Register the catalogue's histogram `name` with its buckets."""
    metric = _of_kind(name, H)
    return Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry)


def family(name: str) -> GaugeMetricFamily | CounterMetricFamily:
    """Return an empty family of the catalogue for a collector that computes its samples at scrape time."""
    metric = CATALOGUE[name]
    kind: Any = CounterMetricFamily if metric.kind is C else GaugeMetricFamily
    made: GaugeMetricFamily | CounterMetricFamily = kind(metric.name, metric.help, labels=metric.labels)
    return made


def _of_kind(name: str, kind: Kind) -> Metric:
    metric = CATALOGUE[name]
    if metric.kind is not kind:
        raise TypeError(f"{name} is a {metric.kind}, not a {kind}")
    return metric
