"""Makes the result row of a run from what was recorded of it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

from sqlalchemy import select
from sqlalchemy.orm import Session

from capacity.estimators import stability, throughput
from capacity.runs.conditions import Conditions
from capacity.runs.recorded_run import RecordedRun, find_run, load_run
from capacity.runs.result_row import ResultRow
from core import promql
from core.database import Sessions, open_engine, open_sessions, upgrade_schema
from core.errors import EnvironmentFault
from core.models import RunRow
from core.settings import Settings

#: how long the recording rules may take to settle: an exporter that cannot read repeats what it knew for 15 s
SETTLE_SECONDS = 30.0
#: a run that ended longer ago is settled, or never will be
LATEST_SETTLING_SECONDS = 60.0
#: X and S of runs by id, as the recording rules say; None is unknown
Published = Mapping[str, tuple[float | None, float | None]]
RULES = {"x": "run_id:aforo_run_videos_per_minute:ratio", "s": "run_id:aforo_run_response_seconds:mean"}


def open_store(settings: Settings) -> Sessions:
    """Return sessions on the settings' database, its schema up to date."""
    engine = open_engine(settings.database.url)
    upgrade_schema(engine)
    return open_sessions(engine)


@contextmanager
def reading(sessions: Sessions) -> Iterator[Session]:
    """Open a session that takes no write lock: analysing for seconds must not hold up the workers' writes."""
    with sessions() as session:
        session.connection(execution_options={"read_only": True})
        yield session


def load_rows(run_ids: Sequence[str] | None = None) -> list[ResultRow]:
    """Return the rows of these runs in the order asked, or of all, oldest first; raise UsageError for an unknown id."""
    settings = Settings.from_process()
    published = read_published(settings.prometheus.url)
    with reading(open_store(settings)) as session:
        if run_ids is None:
            runs = list(session.scalars(select(RunRow).order_by(RunRow.created_at)))
        else:
            runs = [find_run(session, run_id.strip()) for run_id in run_ids]
        return [measure(session, run, published) for run in runs]


def read_published(prometheus_url: str) -> dict[str, tuple[float | None, float | None]]:
    """Return X and S of every run the recording rules know; nothing when Prometheus does not answer."""
    return _ask_published(prometheus_url) or {}


def _ask_published(prometheus_url: str) -> dict[str, tuple[float | None, float | None]] | None:
    try:
        found = {name: promql.query(prometheus_url, rule) for name, rule in RULES.items()}
    except EnvironmentFault:
        return None
    x, s = ({sample.labels["run_id"]: sample.value for sample in found[name]} for name in ("x", "s"))
    return {run_id: (x.get(run_id), s.get(run_id)) for run_id in x.keys() | s.keys()}


def measure(session: Session, run: RunRow, published: Published) -> ResultRow:
    """Compute a run's row; `published` holds what the recording rules say."""
    return measure_recorded(load_run(session, run), published)


def measure_recorded(recorded: RecordedRun, published: Published = MappingProxyType({})) -> ResultRow:
    """Compute the row of a run that has been read; `published` holds what the recording rules say."""
    run, scenario = recorded.run, _scenario(recorded)
    x, s = published.get(run.id, (None, None))
    saturated = throughput.saturated_throughput(recorded.executions, run.slots) if recorded.is_burst else None
    service = throughput.service_statistics(recorded.executions.started_at, recorded.executions.ended_at)
    return ResultRow(
        run_id=run.id,
        status=run.status,
        mode=run.mode,
        size_label=run.size_label,
        concurrency=run.concurrency,
        slots=run.slots,
        count=run.count,
        rate_per_minute=run.rate_per_minute,
        done=int(recorded.done.sum()),
        failed=recorded.failed,
        duplicates=recorded.duplicates,
        x_per_minute=x,
        s_seconds=s,
        x_database=_known(scenario.throughput_per_minute),
        s_database=_known(scenario.cycle_mean_seconds),
        x_sat_per_minute=saturated.per_minute if saturated else None,
        x_sat_interval=saturated.interval if saturated else None,
        service_mean_seconds=_known(service.mean_seconds),
        service_cv=_known(service.cv),
        stability=None if recorded.is_burst else _stability(recorded),
        conditions=Conditions.of(run.profile, run.source_sha256, run.environment),
        nodes=run.nodes,
        created_at=run.created_at,
        asked=run.environment.get("asked_count"),
    )


def wait_settled(session: Session, run: RunRow, prometheus_url: str) -> None:
    """Wait a few seconds for the recording rules to have the last video of a run that has just finished."""
    ago = time.time() - (run.finished_at or 0.0)
    if ago > LATEST_SETTLING_SECONDS or _ask_published(prometheus_url) is None:
        return
    recorded, deadline = load_run(session, run), time.monotonic() + SETTLE_SECONDS
    while not measure_recorded(recorded, read_published(prometheus_url)).agrees and time.monotonic() < deadline:
        time.sleep(1)


def slots_per_node(prometheus_url: str) -> int | None:
    """Return the slots every worker node has; None when they differ or there is none."""
    slots = {int(sample.value) for sample in promql.query(prometheus_url, "aforo_worker_slots > 0")}
    return slots.pop() if len(slots) == 1 else None


def _scenario(recorded: RecordedRun) -> throughput.Scenario:
    run = recorded.run
    if recorded.is_burst or run.started_at is None or run.window_seconds is None:
        return throughput.scenario_burst(recorded.uploaded_at, recorded.updated_at, recorded.done)
    end = run.started_at + run.window_seconds
    return throughput.scenario_sustained(recorded.uploaded_at, recorded.updated_at, run.started_at, end, recorded.done)


def _stability(recorded: RecordedRun) -> str:
    service = recorded.executions.ended_at - recorded.executions.started_at
    return str(
        stability.judge_stability(recorded.uploaded_at, recorded.started_at, service, recorded.run.slots).verdict.value
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
