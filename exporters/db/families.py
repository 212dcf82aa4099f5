"""Convert the exporter's counts and sums of runs and videos to Prometheus metric families.

An unknown value is absent, never 0.
"""

from __future__ import annotations

import json
import math
from typing import Any

from prometheus_client.core import Metric

from core import metrics
from core.run import Mode, RunStatus
from core.video import Outcome, Stage, VideoState
from exporters.db.run_aggregates import Run, RunAggregates
from exporters.db.tally import ExecutionTally, Tally
from exporters.exposition import single_sample_family

#: By metric name without `aforo_run_`, then label values after run_id. None is unknown.
Samples = dict[tuple[str, ...], float | None]


def samples_of_run(run: Run, tally: Tally, executions: ExecutionTally, now: float, queue: str) -> Samples:
    """Return the values of the metrics `aforo_run_*` of one run, by metric name and label values.

    `tally` has the sums over the run's videos, and `executions` those over its executions. `now` is the current time in
    epoch seconds. `queue` is the label value of a run whose row has no queue. An unknown value of a metric is None.
    """
    return {
        **_facts(run, queue),
        **_videos(tally),
        **_window(run, tally, now),
        **_executions(executions),
        **_analysis(run),
    }


def families_of_run(run_id: str, samples: Samples) -> list[Metric]:
    """Return the metric families `aforo_run_*` of one run.

    `samples` has the values. The function `samples_of_run` returns them.
    """
    families: dict[str, Any] = {metric.name: metrics.family(metric.name) for metric in metrics.RUN}
    for (name, *labels), value in samples.items():
        if value is not None:
            families[f"aforo_run_{name}"].add_metric([run_id, *labels], value)
    return list(families.values())


def database_families(aggregates: RunAggregates, queue: str) -> list[Metric]:
    """Return the metric families with the totals over all runs and videos.

    The metric `aforo_videos` has the number of videos by queue and state. The videos of a run without a known queue
    count for `queue`.
    """
    videos, runs, total = metrics.family("aforo_videos"), metrics.family("aforo_runs"), aggregates.all_videos
    for name, states in aggregates.states_by_queue(queue).items():
        for state in dict.fromkeys([*VideoState, *states]):
            videos.add_metric([name, state], states[state])
    statuses = aggregates.statuses
    for status in RunStatus:
        runs.add_metric([status], statuses[status])
    return [
        videos,
        runs,
        single_sample_family("aforo_videos_oldest_waiting_timestamp_seconds", aggregates.oldest_waiting),
        single_sample_family("aforo_videos_total_response_seconds", total.response_seconds),
        single_sample_family("aforo_videos_total_queue_wait_seconds", total.queue_wait_seconds),
        single_sample_family("aforo_videos_total_service_seconds", total.service_seconds),
    ]


def window(run: Run, tally: Tally, now: float) -> tuple[float | None, float | None]:
    """Return start and end of a run's test window, in epoch seconds. None means not known yet.

    A burst's window goes from the first upload to the last completion. The end is None until all expected videos are
    final. A sustained run's window goes from the start of the run to a planned time. The end is None until `now` has
    reached the planned time.
    """
    if run.mode == Mode.BURST:
        return tally.first_upload, tally.last_done if tally.final >= run.expected else None
    ended = math.isfinite(run.window_end) and now >= run.window_end
    return run.started_at, run.window_end if ended else None


def _facts(run: Run, queue: str) -> Samples:
    cell = run.size_label, run.concurrency_text, str(run.slots)
    return {
        ("info", *cell, run.mode, run.profile, run.app, run.queue or queue): 1,
        ("status", run.status): 1,
        ("expected_videos",): run.expected,
        ("offered_videos_per_second",): run.rate_per_minute and run.rate_per_minute / 60,
    }


def _videos(tally: Tally) -> Samples:
    return {
        **{("videos", state): tally.states[state] for state in VideoState},
        **{("failed_videos", reason): count for reason, count in sorted(tally.reasons.items())},
        ("videos_in_window",): tally.in_window,
        ("total_response_seconds",): tally.response_seconds,
        ("total_queue_wait_seconds",): tally.queue_wait_seconds,
        ("total_service_seconds",): tally.service_seconds,
        ("max_lateness_seconds",): tally.max_lateness,
    }


def _window(run: Run, tally: Tally, now: float) -> Samples:
    start, end = window(run, tally, now)
    return {("window_start_timestamp_seconds",): start, ("window_end_timestamp_seconds",): end}


def _executions(executions: ExecutionTally) -> Samples:
    *stages, cpu_seconds = executions.sums
    return {
        **{("executions", outcome): executions.outcomes[outcome] + executions.lost[outcome] for outcome in Outcome},
        **{("total_stage_seconds", stage): seconds for stage, seconds in zip(Stage, stages, strict=True)},
        ("total_ffmpeg_cpu_seconds",): cpu_seconds,
    }


def _analysis(run: Run) -> Samples:
    bounds = {"estimate": run.capacity, "lower": run.capacity_low, "upper": run.capacity_high}
    verdicts = {"stability": run.stability, "bottleneck": run.bottleneck}
    return {
        **{("capacity_videos_per_minute", bound): value for bound, value in bounds.items()},
        **{("verdict", kind, verdict.lower()): 1 for kind, verdict in verdicts.items() if verdict},
        **({("validity_info", run.validity, _reasons(run.validity_reasons)): 1} if run.validity else {}),
    }


def _reasons(stored: str | list[str] | None) -> str:
    """Return the reason codes separated by commas. SQLite returns a JSON column as text, PostgreSQL as a list."""
    return ",".join(json.loads(stored) or [] if isinstance(stored, str) else stored or [])
