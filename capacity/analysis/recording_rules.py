"""Read X and S of each run, which recording rules of Prometheus compute, and wait for final values."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from sqlalchemy.orm import Session

from capacity.analysis.measured_run import UNKNOWN_FIGURES, ScenarioFigures, measure
from capacity.runs.recorded_run import load_own_records
from core import promql
from core.errors import EnvironmentFault
from core.models import RunRow

#: longest wait for the rules after a run; an exporter that cannot read repeats its last values for 15 s
SETTLE_SECONDS = 30.0
#: a run that ended longer ago has its final values, or will never have them
LATEST_SETTLING_SECONDS = 60.0
RULES = MappingProxyType(
    {"x": "run_id:aforo_run_videos_per_minute:ratio", "s": "run_id:aforo_run_response_seconds:mean"}
)

FiguresByRun = Mapping[str, ScenarioFigures]


def read_figures(prometheus_url: str) -> dict[str, ScenarioFigures]:
    """Query Prometheus for X (videos per minute) and S (mean response seconds) of every run.

    The result maps the id of each run to its X and S. It is empty if Prometheus does not answer.
    """
    return _query_figures(prometheus_url) or {}


def wait_settled(session: Session, run: RunRow, prometheus_url: str) -> None:
    """Wait until Prometheus' X and S of a finished run agree with those from the database.

    Return after 30 s at the latest. Return immediately if the run ended more than a minute ago, or if Prometheus does
    not answer.
    """
    age_seconds = time.time() - (run.finished_at or 0.0)
    if age_seconds > LATEST_SETTLING_SECONDS or _query_figures(prometheus_url) is None:
        return
    row, deadline = measure(load_own_records(session, run)).unjudged_row, time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        figures = read_figures(prometheus_url).get(run.id, UNKNOWN_FIGURES)
        if replace(row, x_per_minute=figures.x_per_minute, s_seconds=figures.s_seconds).agrees:
            return
        time.sleep(1)


def _query_figures(prometheus_url: str) -> dict[str, ScenarioFigures] | None:
    try:
        answers = {name: promql.query(prometheus_url, rule) for name, rule in RULES.items()}
    except EnvironmentFault:
        return None
    x, s = ({sample.labels["run_id"]: sample.value for sample in answers[name]} for name in ("x", "s"))
    return {run_id: ScenarioFigures(x.get(run_id), s.get(run_id)) for run_id in x.keys() | s.keys()}
