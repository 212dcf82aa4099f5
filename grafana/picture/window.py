"""Time window of a picture: one run with a margin before it, or all runs."""

from __future__ import annotations

from core import promql
from core.errors import UsageError
from core.language import Language
from grafana.boards.choices import QUEUES
from grafana.picture.answers import Look

BEFORE_SECONDS, AFTER_SECONDS = 20.0, 5.0
STARTS = "max by (run_id) (aforo_run_window_start_timestamp_seconds)"
LENGTHS = "run_id:aforo_run_window_seconds:elapsed"
#: Variables whose default is their first value, and the series of their values.
FIRST_OF = {"queue": QUEUES, "job": "prometheus_tsdb_head_series"}


def looks_at(url: str, run_id: str | None, share: float, lang: Language, now: float) -> tuple[Look, Look]:
    """Return two views: one of the run, up to `share` of its duration, and one of all runs until `now`."""
    starts = {sample.labels["run_id"]: sample.value for sample in promql.query(url, STARTS)}
    lengths = {sample.labels["run_id"]: sample.value for sample in promql.query(url, LENGTHS)}
    chosen = run_id or max(starts, key=lambda run: starts[run], default="")
    if chosen not in starts or chosen not in lengths:
        raise UsageError("run", "Prometheus has no such run with a window", "see `make table`", value=chosen)
    start, length = starts[chosen], lengths[chosen]
    end = start + share * length + (AFTER_SECONDS if share >= 1 else 0)
    first = {name: _first(url, series, name) for name, series in FIRST_OF.items()}
    variables = first | {"run_id": chosen, "stage": "transcode"}
    return (
        Look(url, start - BEFORE_SECONDS, end, lang, variables),
        Look(url, min(starts.values()) - BEFORE_SECONDS, now, lang, first),
    )


def _first(url: str, series: str, label: str) -> str:
    """Return the value that Grafana selects first for a variable. Return '' if there is none."""
    return next((sample.labels[label] for sample in promql.query(url, series)), "")
