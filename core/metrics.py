"""Catalogue of every metric of Aforo, with kind, help, labels and buckets. The end of a name is the unit.

The module `aforo.telemetry.catalogue` declares the metrics of a worker and its machine. This module declares all
others, and joins both lists. `docs/metrics.md` is generated from the catalogue.
"""

from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from aforo.telemetry.catalogue import NODE, WORKER, Kind, Metric, empty_family

__all__ = ["CATALOGUE", "COLLECTOR", "DATABASE", "EXPORTER", "NODE", "RUN", "SQS", "WORKER", "Kind", "Metric", "family"]
C, G = Kind.COUNTER, Kind.GAUGE

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
        ("run_id", "size", "concurrency", "slots", "mode", "profile", "app", "queue"),
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
    Metric(
        "aforo_run_window_start_timestamp_seconds",
        G,
        "Start of the test window: first upload of a burst, start of a sustained run.",
        ("run_id",),
    ),
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
    Metric("aforo_run_offered_videos_per_second", G, "Planned rate, by the schedule; absent for a burst.", ("run_id",)),
    Metric("aforo_run_max_lateness_seconds", G, "Largest delay of an upload behind its schedule.", ("run_id",)),
    Metric(  # per minute, as X in the table; all other rates are per second
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
    Metric(
        "aforo_run_validity_info",
        G,
        "Always 1; validity of the run's figures and the codes of the reasons against it, separated by commas, as "
        "`capacity report` stored them. An answer leaves out invalid runs.",
        ("run_id", "validity", "reasons"),
    ),
)

DATABASE = (
    Metric("aforo_videos", G, "Videos of all runs by state.", ("queue", "state")),
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
    Metric("aforo_exporter_cpu_seconds_total", C, "CPU time of this exporter (user + system)."),
    Metric("aforo_exporter_errors_total", C, "Failed collections by reason.", ("collector", "reason")),
    Metric("aforo_exporter_rows_read_total", C, "Changed rows the database exporter read, by table.", ("table",)),
    Metric("aforo_exporter_rebuilds_total", C, "Full counts that the database exporter has finished."),
    Metric("aforo_exporter_corrected_videos_total", C, "Videos whose state a full count corrected."),
)

COLLECTOR = (
    Metric("aforo_collector_workers", G, "Workers whose executions the collector read in its last round."),
    Metric("aforo_collector_executions_total", C, "Executions that the collector stored."),
    Metric(
        "aforo_collector_executions_missed_total",
        C,
        "Executions that left a worker's full spool before the collector had read them.",
    ),
    Metric(
        "aforo_collector_executions_altered_total",
        C,
        "Stored executions with a value that no database can store, which was replaced or cut.",
    ),
    Metric(
        "aforo_collector_errors_total",
        C,
        "Workers, database or other sources not read in a round, by reason.",
        ("reason",),
    ),
    Metric("aforo_collector_last_success_timestamp_seconds", G, "Time of the last round that reached the database."),
)

CATALOGUE: dict[str, Metric] = {m.name: m for m in (*WORKER, *NODE, *SQS, *RUN, *DATABASE, *EXPORTER, *COLLECTOR)}


def family(name: str) -> GaugeMetricFamily | CounterMetricFamily:
    """Return the metric family `name` with help and labels from the catalogue, but without samples.

    The code that answers a scrape of Prometheus adds the samples. Raise KeyError if the catalogue has no such metric.
    """
    return empty_family(CATALOGUE[name])
