"""Names of all time series that dashboards, rules and alerts are allowed to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from core.metrics import CATALOGUE, Kind, Metric

PROMETHEUS = Path(__file__).parents[1] / "prometheus"
#: From Prometheus: of every target and alert, and of its own /metrics.
OF_PROMETHEUS = frozenset(
    {
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "ALERTS",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "prometheus_tsdb_head_series",
        "prometheus_rule_group_interval_seconds",
        "prometheus_rule_group_iterations_missed_total",
        "prometheus_rule_group_last_duration_seconds",
    }
)
OF_CELERY_EXPORTER = frozenset({"celery_task_started_total", "celery_task_succeeded_total"})


def series_names() -> set[str]:
    """Return the names of all time series that dashboards, rules and alerts are allowed to read.

    They are Aforo's metrics, the results of its recording rules, and a few series of Prometheus and of the Celery
    exporter.
    """
    ours = {name for metric in CATALOGUE.values() for name in series_of(metric)}
    return ours | {rule["record"] for rule in rules("rules")} | OF_PROMETHEUS | OF_CELERY_EXPORTER


def series_of(metric: Metric) -> tuple[str, ...]:
    """Return the names of the time series of one metric.

    A histogram has three: `_bucket`, `_sum` and `_count` follow the name of the metric. Any other metric has one.
    """
    if metric.kind is Kind.HISTOGRAM:
        return tuple(f"{metric.name}_{part}" for part in ("bucket", "sum", "count"))
    return (metric.name,)


def rules(folder: str) -> list[dict[str, Any]]:
    """Return all Prometheus rules in the YAML files of one folder below `prometheus/`.

    `folder` is `rules` (recording rules) or `alerts` (alerting rules). Each rule is a dict with the keys of the YAML
    file, such as `expr`.
    """
    files = sorted((PROMETHEUS / folder).glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"]]
