"""`plan`: compute how many workers a demand needs, what they cost, and which limit is reached first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from capacity.analysis.load_and_analyse import load_rows
from capacity.commands.options import (
    Command,
    Finite,
    Quantity,
    json_option,
    lang_option,
    run_ids,
    setting_option,
    with_examples,
)
from capacity.commands.rendering import LabelledValue, print_facts, print_json
from capacity.diagnosis.validity import combined
from capacity.estimators.reason import Reason
from capacity.report.messages import SHARED_PARTS
from capacity.runs.result_row import ResultRow
from capacity.sizing.scale_limits import (
    Limit,
    ScaleAssumptions,
    idle_requests_per_minute,
    requests_per_video,
    scale_limits,
)
from capacity.sizing.workers import Demand, WorkerPlan, cost_per_thousand, drain_minutes, make_plan, worker_capacity
from capacity.table.number_format import number, percent
from core.cli import WholeNumber
from core.errors import UsageError
from core.language import Language, Text
from core.settings import Settings

#: without recorded runs
DEFAULT_CV, DEFAULT_SLOTS = 0.3, 4
MOST_LOAD = 1_000_000
MOST_BATCH = 10_000
MINUTES_PER_MONTH = 60 * 24 * 30
S3_REQUESTS_PER_VIDEO = 2  # one GET and one PUT at least


PLAN_OPTIONS = (
    setting_option("--wait-p95", "AFORO_PLAN_WAIT_P95", lambda s: s.plan.wait_p95_seconds,
                   "Queue wait that 95 % of the videos stay below", type=Quantity("duration", rate=False)),
    setting_option("--arrival-cv", "AFORO_PLAN_ARRIVAL_CV", lambda s: s.plan.arrival_cv,
                   "Coefficient of variation of the arrival intervals; 1 for independent users (Poisson), 0 for paced",
                   type=Finite(0, 5)),
    setting_option("--max-utilisation", "AFORO_PLAN_MAX_UTILISATION", lambda s: s.plan.max_utilisation,
                   "Highest share of busy slots", type=Finite(0.05, 0.99)),
    setting_option("--spare-workers", "AFORO_PLAN_SPARE_WORKERS", lambda s: s.plan.spare_workers,
                   "Extra workers, so that one may fail", type=WholeNumber(0)),
    setting_option("--price-per-hour", "AFORO_PLAN_PRICE_PER_HOUR", lambda s: s.plan.price_per_hour,
                   "Price of one worker, for the cost per 1,000 videos", type=Finite(0)),
    setting_option("--backlog", "AFORO_PLAN_BACKLOG", lambda s: s.plan.backlog,
                   "Videos already in the queue, for the time to drain them", type=WholeNumber(0)),
)  # fmt: skip


def plan_options(command: Command) -> Command:
    """Decorate the verb `plan`: add the options whose default values come from the settings."""
    for option in reversed(PLAN_OPTIONS):
        command = option(command)
    return command


@click.command(
    epilog=with_examples(
        "plan --demand 30/min --wait-p95 60s --service 30s",
        "plan --demand 30/min --wait-p95 5min --runs burst-50mb-c4 --price-per-hour 0.17 --backlog 5000",
        "plan --demand 30/min --batch 10 --service 30s",
        "plan --demand 30000/min --wait-p95 5min --service 30s --json",
    )
)
@click.option("--demand", type=Quantity("rate", rate=True), required=True, help="Videos that arrive, such as 30/min.")
@click.option("--service", type=Quantity("duration", rate=False), help="Service time at this concurrency.")
@click.option("--cv", type=Finite(0, 5), help=f"Coefficient of variation of the service time.  [default: {DEFAULT_CV}]")
@click.option("--runs", metavar="RUN,RUN…", help="Take service time, CV and concurrency from recorded runs.")
@click.option("--concurrency", type=WholeNumber(1), help=f"Slots per worker.  [default: {DEFAULT_SLOTS}]")
@click.option(
    "--batch", type=WholeNumber(1, MOST_BATCH), default=1, show_default=True, help="Videos that arrive at once."
)
@plan_options
@json_option
@lang_option
def plan(*, price_per_hour: float | None, backlog: int, as_json: bool, lang: Language, **options: Any) -> None:
    """Compute how many workers a demand needs, and show which limit is reached first.

    Give the service time by --service, or take it from recorded runs by --runs. The number of slots comes from a
    simulation of the queue. For a system too large to simulate, a formula is used (Erlang C with the Allen-Cunneen
    correction).

    Exit codes: 0 planned, 2 wrong input, 3 the database is not available (with --runs).
    """
    planned = make_plan(_demand(**options))
    queue = Settings.from_process().queue
    assumptions = ScaleAssumptions(
        visibility_timeout_seconds=queue.visibility_timeout_seconds, long_poll_seconds=queue.long_poll_seconds
    )
    limits = scale_limits(planned.demand.per_minute, planned.slots, planned.demand.slots_per_worker, assumptions)
    economy = _economy(planned, price_per_hour, backlog, assumptions)
    if as_json:
        print_json({**_as_json(planned), **economy, "limits": [_limit_as_json(limit) for limit in limits]}, lang)
    else:
        _print_plan(planned, economy, limits, lang)


def _demand(
    *,
    demand: float,
    wait_p95: float,
    service: float | None,
    cv: float | None,
    runs: str | None,
    concurrency: int | None,
    **rest: Any,
) -> Demand:
    measured = _measured(runs) if runs else None
    service_seconds = service or (measured.service_mean_seconds if measured else None)
    if service_seconds is None:
        raise UsageError("plan", "the service time is unknown", "give --service 30s or --runs of finished bursts")
    service_cv = cv if cv is not None else (measured.service_cv if measured else None)
    sized = Demand(
        per_minute=demand,
        wait_p95_seconds=wait_p95,
        service_seconds=service_seconds,
        service_cv=DEFAULT_CV if service_cv is None else service_cv,
        slots_per_worker=concurrency or (measured.concurrency if measured else DEFAULT_SLOTS),
        **rest,
    )
    if sized.load > MOST_LOAD:
        raise UsageError("plan", f"it needs over {MOST_LOAD:,} slots", "give a smaller --demand", value=demand)
    return sized


def _measured(runs: str) -> ResultRow:
    """Return, of the given runs, the run with the highest X_sat, of the valid runs if there are any.

    Raise UsageError if all are invalid or have no service time.
    """
    rows = [row for row in load_rows(Settings.from_process(), run_ids(runs)) if row.service_mean_seconds is not None]
    if not rows:
        raise UsageError("plan --runs", "none of the runs has a service time", "give runs that finished videos")
    usable = [row for row in rows if not row.validity.is_invalid]
    if not usable:
        why = f"no run is valid ({', '.join(combined(row.validity for row in rows).reasons)})"
        raise UsageError("plan --runs", why, "see `make report` for the reasons, and measure again", value=runs)
    return max(usable, key=lambda row: (-row.validity.level.rank, row.x_sat_per_minute or 0.0))


def _economy(planned: WorkerPlan, price: float | None, backlog: int, assumptions: ScaleAssumptions) -> dict[str, Any]:
    demand, per_worker = planned.demand, worker_capacity(planned.demand)
    used = demand.per_minute / planned.capacity_per_minute
    requests = requests_per_video(demand.service_seconds, assumptions)
    of_videos = requests * demand.per_minute * MINUTES_PER_MONTH
    idle = planned.workers * idle_requests_per_minute(assumptions) * MINUTES_PER_MONTH
    return {
        "cost_per_thousand": None if price is None else cost_per_thousand(price, per_worker, used),
        "cost_per_thousand_fully_used": None if price is None else cost_per_thousand(price, per_worker),
        "cost_includes": ["workers", "spare_workers"],
        "cost_excludes": ["sqs_requests", "s3_requests", "storage", "traffic", "database", "monitoring"],
        "sqs_requests_per_video": requests,
        "sqs_requests_per_month": of_videos + idle,
        "sqs_requests_per_month_of_videos": of_videos,
        "sqs_requests_per_month_idle": idle,
        "s3_requests_per_month": S3_REQUESTS_PER_VIDEO * demand.per_minute * MINUTES_PER_MONTH,
        "backlog": backlog,
        "drain_minutes": drain_minutes(backlog, planned.capacity_per_minute, demand.per_minute),
    }


def _as_json(planned: WorkerPlan) -> dict[str, Any]:
    return {
        "demand": planned.demand,
        "load_erlangs": planned.demand.load,
        "slots": planned.slots,
        "workers": planned.workers,
        "capacity_per_minute": planned.capacity_per_minute,
        "formula": planned.forecast,
        "simulation": planned.simulated,
        "keda_queue_length": planned.keda_queue_length,
        "keda_queue_length_visible_only": planned.keda_queue_length_visible_only,
    }


def _limit_as_json(limit: Limit) -> dict[str, Any]:
    return {
        "name": Reason(limit.part),
        "load": limit.load,
        # the key `bears` (the limit) is kept for readers of old output
        "bears": limit.limit,
        "share": limit.share,
        "breaks_at_per_minute": limit.breaks_at_per_minute,
        "assumed": limit.assumed,
    }


def _print_plan(planned: WorkerPlan, economy: dict[str, Any], limits: tuple[Limit, ...], lang: Language) -> None:
    demand = number(planned.demand.per_minute, lang, 0)
    title = Text(f"Plan para {demand} videos/min", f"Plan for {demand} videos/min")
    print_facts(title, [*_sizing(planned, lang), *_money(economy, lang)], lang)
    heading = Text("Qué se rompe primero", "What breaks first")
    print_facts(heading, [_limit_fact(limit, lang) for limit in limits], lang, _limit_notes(limits))


def _sizing(planned: WorkerPlan, lang: Language) -> Iterator[LabelledValue]:
    spare = planned.demand.spare_workers
    workers = Text(
        f"{planned.workers} (concurrencia {planned.demand.slots_per_worker}, {spare} de reserva)",
        f"{planned.workers} (concurrency {planned.demand.slots_per_worker}, {spare} spare)",
    )
    yield Text("workers", "workers"), workers.to(lang)
    yield Text("slots necesarios", "slots needed"), str(planned.slots)
    yield Text("utilización", "utilisation"), percent(planned.forecast.utilisation, lang)
    yield Text("capacidad", "capacity"), f"{number(planned.capacity_per_minute, lang, 1)} videos/min"
    yield Text("llegadas", "arrivals"), _arrivals(planned.demand, lang)
    yield Text("espera p95, simulada", "wait p95, simulated"), _simulated(planned, lang)
    if planned.demand.batch == 1 or planned.simulated is None:  # the formula does not know the wait within a batch
        formula = f"{number(planned.forecast.wait_p95_seconds, lang, 1)} s"
        yield Text("comprobación, fórmula", "check, by formula"), formula
    yield Text("KEDA queueLength", "KEDA queueLength"), str(planned.keda_queue_length)


def _arrivals(demand: Demand, lang: Language) -> str:
    shapes = {0.0: Text("a intervalos iguales", "paced"), 1.0: Text("al azar (Poisson)", "random (Poisson)")}
    other = Text(f"con CV {demand.arrival_cv:g}", f"with CV {demand.arrival_cv:g}")
    shape = shapes.get(demand.arrival_cv, other)
    if demand.batch == 1:
        return shape.to(lang)
    return Text(f"de {demand.batch} en {demand.batch}, {shape.es}", f"in batches of {demand.batch}, {shape.en}").to(
        lang
    )


def _simulated(planned: WorkerPlan, lang: Language) -> str:
    if planned.simulated is None:
        text = Text("demasiado grande para simular: vale la fórmula", "too large to simulate: the formula holds")
        return text.to(lang)
    return f"{number(planned.simulated.wait_p95_seconds, lang, 1)} s"


def _money(economy: dict[str, Any], lang: Language) -> Iterator[LabelledValue]:
    cost = economy["cost_per_thousand"]
    included = Text(
        " (workers, también los de reserva; sin SQS, S3, almacenamiento, tráfico, base de datos ni monitorización)",
        " (workers, spare ones too; without SQS, S3, storage, traffic, database and monitoring)",
    )
    yield Text("coste por 1000 videos", "cost per 1,000 videos"), f"{number(cost, lang, 3)}{included.to(lang)}"
    videos, idle = economy["sqs_requests_per_month_of_videos"], economy["sqs_requests_per_month_idle"]
    of_videos, most_idle = number(videos, lang, 0), number(idle, lang, 0)
    parts = Text(
        f"{number(videos + idle, lang, 0)}: {of_videos} de los videos, hasta {most_idle} de workers ociosos",
        f"{number(videos + idle, lang, 0)}: {of_videos} for videos, up to {most_idle} of idle workers",
    )
    yield Text("peticiones SQS por mes", "SQS requests per month"), parts.to(lang)
    s3 = number(economy["s3_requests_per_month"], lang, 0)
    at_least = Text(f"desde {s3} (más si el archivo va en partes)", f"from {s3} (more if a file is sent in parts)")
    yield Text("peticiones S3 por mes", "S3 requests per month"), at_least.to(lang)
    if economy["backlog"]:
        minutes = f"{number(economy['drain_minutes'], lang, 1)} min"
        yield Text(f"vaciar {economy['backlog']} videos", f"drain {economy['backlog']} videos"), minutes


def _limit_fact(limit: Limit, lang: Language) -> LabelledValue:
    at = number(limit.breaks_at_per_minute, lang, 0)
    load = number(limit.load, lang, 0 if limit.load >= 10 else 1)
    loads = f"{load} / {number(limit.limit, lang, 0)}{' *' if limit.assumed else ''}"
    until = Text(f"hasta {at} videos/min", f"up to {at} videos/min").to(lang)
    broken = Text(" — SE ROMPE", " — BREAKS").to(lang) if limit.share > 1 else ""
    return SHARED_PARTS[limit.part], f"{loads} ({percent(limit.share, lang)}), {until}{broken}"


def _limit_notes(limits: tuple[Limit, ...]) -> Iterator[Text]:
    if any(limit.assumed for limit in limits):
        yield Text(
            "* supuesto, no medido: depende de su instalación",
            "* assumed, not measured: it depends on your installation",
        )
