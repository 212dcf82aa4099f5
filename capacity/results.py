"""The result row of a run: the scenario's figures, then what makes them trustworthy."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from capacity import stability, throughput
from capacity.estimate import Interval
from capacity.language import Language, Text, number
from capacity.recorded import RecordedRun, load_run
from pipeline import promql
from pipeline.database import Sessions, open_engine, open_sessions, upgrade_schema
from pipeline.models import RunRow
from pipeline.run import RunStatus
from pipeline.settings import Settings

#: Prometheus and database must agree to this; more is told, not averaged away
AGREEMENT_RATIO = 0.001
#: scrape plus evaluation plus a second, several times over: how long the recording rules may take to settle
SETTLE_SECONDS = 12.0
HEADER = "| Tamaño | Concurrencia | Modo | X (videos/min) | S promedio (s) | Notas |"
RULE = "|---|---|---|---|---|---|"
RULES = {"x": "run_id:aforo_run_videos_per_minute:ratio", "s": "run_id:aforo_run_cycle_seconds:mean"}


@dataclass(frozen=True)
class ResultRow:
    """One run's figures; None is unknown. X and S are from the recording rules, `*_database` are recomputed."""

    run_id: str
    status: str
    mode: str
    size_label: str
    concurrency: int
    slots: int
    count: int
    rate_per_minute: float | None
    done: int
    failed: int
    duplicates: int
    x_per_minute: float | None
    s_seconds: float | None
    x_database: float | None
    s_database: float | None
    x_sat_per_minute: float | None
    x_sat_interval: Interval | None
    service_mean_seconds: float | None
    service_cv: float | None
    stability: str | None
    cpu_count: int | None

    @property
    def agrees(self) -> bool | None:
        """Say whether Prometheus and database agree to 0.1 %; None when one of them is unknown."""
        pairs = ((self.x_per_minute, self.x_database), (self.s_seconds, self.s_database))
        if any(a is None or b is None for a, b in pairs):
            return None
        return all(_near(a, b) for a, b in pairs if a is not None and b is not None)


def open_store(settings: Settings) -> Sessions:
    """Return sessions on the settings' database, its schema up to date."""
    engine = open_engine(settings.database.url)
    upgrade_schema(engine)
    return open_sessions(engine)


def load_rows(run_ids: Sequence[str] | None = None) -> list[ResultRow]:
    """Return the rows of these runs, or of all, oldest first."""
    settings = Settings.from_process()
    with open_store(settings)() as session:
        wanted = select(RunRow).order_by(RunRow.created_at)
        runs = session.scalars(wanted if run_ids is None else wanted.where(RunRow.id.in_(run_ids))).all()
        return [measure(session, run, lambda rule: promql.single(settings.prometheus.url, rule)) for run in runs]


def measure(session: Session, run: RunRow, ask: Callable[[str], float | None]) -> ResultRow:
    """Compute a run's row; `ask` returns the value of a PromQL expression."""
    return measure_recorded(load_run(session, run), ask)


def measure_recorded(recorded: RecordedRun, ask: Callable[[str], float | None]) -> ResultRow:
    """Compute the row of a run that has been read; `ask` returns the value of a PromQL expression."""
    run, scenario = recorded.run, _scenario(recorded)
    saturated = throughput.saturated_throughput(recorded.attempts, run.slots) if recorded.is_burst else None
    service = throughput.service_statistics(recorded.attempts.started_at, recorded.attempts.ended_at)
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
        x_per_minute=ask(f'{RULES["x"]}{{run_id="{run.id}"}}'),
        s_seconds=ask(f'{RULES["s"]}{{run_id="{run.id}"}}'),
        x_database=_known(scenario.throughput_per_minute),
        s_database=_known(scenario.cycle_mean_seconds),
        x_sat_per_minute=saturated.per_minute if saturated else None,
        x_sat_interval=saturated.interval if saturated else None,
        service_mean_seconds=_known(service.mean_seconds),
        service_cv=_known(service.cv),
        stability=None if recorded.is_burst else _stability(recorded),
        cpu_count=run.environment.get("host", {}).get("cpu_count"),
    )


def measure_settled(session: Session, run: RunRow, prometheus_url: str) -> ResultRow:
    """Compute a finished run's row, waiting a few seconds for the recording rules to have its last video."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        row = measure(session, run, lambda rule: promql.single(prometheus_url, rule))
        if row.agrees or time.monotonic() > deadline:
            return row
        time.sleep(1)


def slots_per_node(prometheus_url: str) -> int | None:
    """Return the slots every worker node has; None when they differ or there is none."""
    slots = {int(sample.value) for sample in promql.query(prometheus_url, "aforo_worker_slots > 0")}
    return slots.pop() if len(slots) == 1 else None


def table_line(row: ResultRow, lang: Language) -> str:
    """Return the scenario's table line of a row."""
    cells = (
        row.size_label.replace("MB", " MB"),
        str(row.concurrency),
        row.mode.capitalize(),
        number(row.x_per_minute, lang),
        number(row.s_seconds, lang, 1),
        notes(row, lang),
    )
    return "| " + " | ".join(cells) + " |"


def notes(row: ResultRow, lang: Language) -> str:
    """Return what a reader must know beside the figures."""
    found = [Text(f"N={row.count}", f"N={row.count}")]
    if row.rate_per_minute is not None:
        found.append(Text(f"tasa={row.rate_per_minute:g}/min", f"rate={row.rate_per_minute:g}/min"))
    if row.stability is not None:
        found.append(Text(f"cola: {row.stability}", f"queue: {row.stability}"))
    if row.x_sat_per_minute is not None:
        capacity = f"X_sat={number(row.x_sat_per_minute, lang)}" + _bounds(row.x_sat_interval, lang)
        found.append(Text(capacity, capacity))
    found += _warnings(row)
    return "; ".join(text.to(lang) for text in found)


def _warnings(row: ResultRow) -> list[Text]:
    found = []
    if row.status != RunStatus.FINISHED:
        found.append(Text(f"ejecución {row.status}", f"run {row.status}"))
    if row.failed:
        found.append(Text(f"{row.failed} fallidos", f"{row.failed} failed"))
    if row.duplicates:
        found.append(Text(f"{row.duplicates} duplicados", f"{row.duplicates} duplicates"))
    if row.agrees is None:
        found.append(Text("sin contraste Prometheus-base de datos", "Prometheus and database not compared"))
    elif not row.agrees:
        found.append(
            Text(
                f"la base de datos da X={row.x_database}, S={row.s_database}",
                f"the database says X={row.x_database}, S={row.s_database}",
            )
        )
    return found


def _bounds(interval: Interval | None, lang: Language) -> str:
    return "" if interval is None else f" [{number(interval.low, lang)}–{number(interval.high, lang)}]"


def _scenario(recorded: RecordedRun) -> throughput.Scenario:
    run = recorded.run
    if recorded.is_burst or run.started_at is None or run.window_seconds is None:
        return throughput.scenario_burst(recorded.uploaded_at, recorded.updated_at, recorded.done)
    end = run.started_at + run.window_seconds
    return throughput.scenario_sustained(recorded.uploaded_at, recorded.updated_at, run.started_at, end, recorded.done)


def _stability(recorded: RecordedRun) -> str:
    service = recorded.attempts.ended_at - recorded.attempts.started_at
    return str(
        stability.judge_stability(recorded.uploaded_at, recorded.started_at, service, recorded.run.slots).verdict.value
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _near(a: Any, b: Any) -> bool:
    return bool(abs(a - b) <= AGREEMENT_RATIO * abs(b))
