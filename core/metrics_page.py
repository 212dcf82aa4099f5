"""`python -m core.metrics_page`: print docs/metrics.md.

The page lists all metrics with type, unit, labels and the program that emits them.
"""

from __future__ import annotations

from collections.abc import Iterator

from aforo.telemetry.label_values import Values
from core import metrics
from core.label_values import values_of
from core.metrics import Kind, Metric

HEAD = """# Metrics

Every metric Aforo emits. `make docs` generates this page from `core/metrics.py`, and from
`aforo/telemetry/catalogue.py` for workers. `core/label_values.py` closes the labels.
Recording rules (`prometheus/rules/`) build on these, named `level:metric:operation`. An unknown value is absent,
never 0. Metrics of celery-exporter and Prometheus that our dashboards read are in `grafana/series_names.py`.
"""
SECTIONS = (
    (
        "Worker",
        "each worker: ours (`python -m worker`, port AFORO_WORKER_METRICS_PORT), and an instrumented one of an app "
        "(AFORO_METRICS_PORT). Our Prometheus configuration adds the label `app`, the name in aforo.toml, to the "
        "`_info` metrics of workers and machines",
        metrics.WORKER,
    ),
    ("Machine of a worker", "each worker, read at each scrape", metrics.NODE),
    ("Queues", "the SQS exporter (`python -m exporters sqs`, port AFORO_EXPORTER_SQS_PORT)", metrics.SQS),
    (
        "Runs",
        "the database exporter (`python -m exporters db`, port AFORO_EXPORTER_DB_PORT): exact facts, from which the "
        "result table is computed",
        metrics.RUN,
    ),
    ("Database", "the database exporter", metrics.DATABASE),
    ("Exporters themselves", "both exporters; rows, rebuilds and corrections the database exporter", metrics.EXPORTER),
    ("Collector", "the collector (`python -m collector serve`, port AFORO_COLLECTOR_PORT)", metrics.COLLECTOR),
)
#: Unit by the suffix of the name, longer suffixes first.
UNITS = (
    ("_timestamp_seconds", "seconds since 1970, UTC"),
    ("_bytes_per_second", "bytes per second"),
    ("_videos_per_second", "videos per second"),
    ("_videos_per_minute", "videos per minute"),
    ("_usd_per_month", "US dollars per month"),
    ("_seconds", "seconds"),
    ("_bytes", "bytes"),
    ("_ratio", "ratio"),
    ("_cores", "cores"),
    ("_info", "always 1"),
)


def render() -> str:
    """Return the text of docs/metrics.md, the page that lists all metrics."""
    return "\n".join([HEAD, *(line for section in SECTIONS for line in _section(*section))])


def unit_of(metric: Metric) -> str:
    """Return the unit of a metric, such as `seconds`, from the suffix of its name.

    If the name has no known suffix, return `number`.
    """
    name = metric.name.removesuffix("_total")
    return next((unit for end, unit in UNITS if name.endswith(end)), "number")


def _section(title: str, emitter: str, families: tuple[Metric, ...]) -> Iterator[str]:
    yield f"## {title}\nEmitted by {emitter}.\n\n| Metric | Type | Unit | Labels | Meaning |\n|---|---|---|---|---|"
    for metric in families:
        labels = "<br>".join(_label(metric.name, label) for label in metric.labels)
        yield f"| `{metric.name}` | {metric.kind} | {unit_of(metric)} | {labels} | {metric.help}{_buckets(metric)} |"
    yield ""


def _label(family: str, label: str) -> str:
    return f"`{label}`: {_listed(values_of(family, label))}"


def _listed(values: Values) -> str:
    return values if isinstance(values, str) else ", ".join(f"`{value}`" for value in values)


def _buckets(metric: Metric) -> str:
    if metric.kind is not Kind.HISTOGRAM:
        return ""
    return " Buckets: " + ", ".join(f"{bound:g}" for bound in metric.buckets) + "."


if __name__ == "__main__":
    print(render(), end="")
