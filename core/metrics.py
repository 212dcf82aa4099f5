"""The metric catalogue: every metric we emit, declared once with kind, help, labels, unit and buckets.

The metrics of a worker and its machine are declared by the library (aforo.telemetry.catalogue), the others here.
`docs/metrics.md` is generated from the catalogue, and a test compares dashboards, rules and alerts with it.
"""

from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from aforo.telemetry.catalogue import NODE, WORKER, Kind, Metric, empty_family

__all__ = ["CATALOGUE", "DATABASE", "EXPORTER", "NODE", "RUN", "SQS", "WORKER", "Kind", "Metric", "family"]
C, G = Kind.COUNTER, Kind.GAUGE

SQS = (
    Metric("aforo_sqs_messages_visible", G, "Messages that wait (approximate, as reported by SQS).", ("queue",)),
    Metric("aforo_sqs_messages_in_flight", G, "Messages received by workers and not yet deleted.", ("queue",)),
    Metric("aforo_sqs_messages_delayed", G, "Messages not yet visible because of a delay.", ("queue",)),
    Metric("aforo_sqs_dead_letter_messages", G, "Messages in the dead-letter queue of this queue.", ("queue",)),
    Metric("aforo_sqs_oldest_message_timestamp_seconds", G, "Send time of the oldest waiting message.", ("queue",)),
    Metric("aforo_sqs_visibility_timeout_seconds", G, "Visibility timeout of the queue.", ("queue",)),
    Metric(
        "aforo_sqs_receive_limit",
        G,
        "Receives before a message is dead-lettered. Absent without a redrive policy.",
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
    Metric("aforo_sqs_api_cost_usd_per_month", G, "Cost per month of this exporter's calls at the present rate."),
)

#: One series per run, for the newest AFORO_EXPORTER_RUNS runs: exact values from the database.
RUN = (
    Metric(
        "aforo_run_info",
        G,
        "Always 1. What the run tests.",
        ("run_id", "size", "concurrency", "slots", "mode", "profile"),
    ),
    Metric("aforo_run_status", G, "1 for the status of the run, else 0.", ("run_id", "status")),
    Metric("aforo_run_expected_videos", G, "Videos the run injects when it is complete.", ("run_id",)),
    Metric("aforo_run_videos", G, "Videos of the run by state.", ("run_id", "state")),
    Metric("aforo_run_failed_videos", G, "Failed videos of the run by reason.", ("run_id", "reason")),
    Metric("aforo_run_executions", G, "Deliveries of the run's tasks by outcome.", ("run_id", "outcome")),
    Metric("aforo_run_window_start_timestamp_seconds", G, "Start of the test window: the first upload.", ("run_id",)),
    Metric(
        "aforo_run_window_end_timestamp_seconds",
        G,
        "End of the test window. Burst: last completion. Sustained: end of the schedule. Absent before that time.",
        ("run_id",),
    ),
    Metric("aforo_run_videos_in_window", G, "Videos that became done inside the test window.", ("run_id",)),
    Metric("aforo_run_total_response_seconds", G, "Sum over done videos of updated_at − uploaded_at.", ("run_id",)),
    Metric("aforo_run_total_queue_wait_seconds", G, "Sum over done videos of started_at − uploaded_at.", ("run_id",)),
    Metric("aforo_run_total_service_seconds", G, "Sum over done videos of updated_at − started_at.", ("run_id",)),
    Metric(
        "aforo_run_total_stage_seconds",
        G,
        "Sum over done executions of the duration of one stage.",
        ("run_id", "stage"),
    ),
    Metric("aforo_run_total_ffmpeg_cpu_seconds", G, "Sum over done executions of ffmpeg's CPU seconds.", ("run_id",)),
    Metric("aforo_run_offered_videos_per_second", G, "Arrival rate of the schedule. Absent for a burst.", ("run_id",)),
    Metric("aforo_run_max_lateness_seconds", G, "Largest delay of a send behind its schedule.", ("run_id",)),
    Metric(
        "aforo_run_capacity_videos_per_minute",
        G,
        "Nominal capacity X_sat of the stored row and its 95 % interval. Absent until the run is reported.",
        ("run_id", "bound"),
    ),
    Metric("aforo_run_verdict", G, "1 for each verdict of the stored row.", ("run_id", "kind", "verdict")),
)

DATABASE = (
    Metric("aforo_videos", G, "Videos of all runs by state.", ("state",)),
    Metric("aforo_runs", G, "Runs by status.", ("status",)),
    Metric(
        "aforo_videos_oldest_waiting_timestamp_seconds",
        G,
        "Upload time of the oldest waiting video. Absent if none waits.",
    ),
    Metric("aforo_videos_total_response_seconds", G, "Sum over all done videos of updated_at − uploaded_at."),
    Metric("aforo_videos_total_queue_wait_seconds", G, "Sum over all done videos of started_at − uploaded_at."),
    Metric("aforo_videos_total_service_seconds", G, "Sum over all done videos of updated_at − started_at."),
)

EXPORTER = (
    Metric("aforo_exporter_info", G, "Always 1. Version of this exporter.", ("version", "exporter")),
    Metric("aforo_exporter_collector_success", G, "1 if the last collection succeeded, else 0.", ("collector",)),
    Metric("aforo_exporter_collector_duration_seconds", G, "Duration of the last collection.", ("collector",)),
    Metric(
        "aforo_exporter_last_success_timestamp_seconds", G, "Time of the last successful collection.", ("collector",)
    ),
    Metric("aforo_exporter_errors_total", C, "Failed collections by reason.", ("collector", "reason")),
    Metric("aforo_exporter_rows_read_total", C, "Changed rows the database exporter read, by table.", ("table",)),
    Metric("aforo_exporter_rebuilds_total", C, "Full recounts by the database exporter."),
    Metric("aforo_exporter_corrected_videos_total", C, "Videos whose state was corrected by a full recount."),
)

CATALOGUE: dict[str, Metric] = {m.name: m for m in (*WORKER, *NODE, *SQS, *RUN, *DATABASE, *EXPORTER)}


def family(name: str) -> GaugeMetricFamily | CounterMetricFamily:
    """Return a family of the catalogue without samples, for a collector that computes them during the scrape."""
    return empty_family(CATALOGUE[name])
