"""`matrix`: every cell by itself, resumable at the cell."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

import click

from capacity.commands.options import json_option, lang_option, with_examples
from capacity.commands.progress import progress_bar
from capacity.commands.rendering import print_json
from capacity.experiments.matrix_plan import Basis, Plan, PlannedTest, Prediction, ordered
from capacity.experiments.matrix_run import Campaign
from capacity.experiments.test_runner import Laboratory
from capacity.runs.result_row import ResultRow
from capacity.table.cells import key_of
from capacity.table.number_format import number
from capacity.table.table_text import capacity_text, csv_row, markdown, sources
from core.errors import AforoError, RunFailed, UsageError
from core.language import Language, Text
from core.rate import parse_rate
from core.run import Mode
from core.settings import MOST_SLOTS
from core.size import parse_size

FOURTH_LEVEL = 8
BASES = {
    Basis.MEASURED: Text("según lo medido aquí", "by what was measured here"),
    Basis.SCALED: Text("estimado a partir de otras celdas", "estimated from other cells"),
    Basis.GUESSED: Text("estimación gruesa: aquí aún no se ha medido nada", "rough guess: nothing measured here yet"),
}


@click.command(
    epilog=with_examples(
        "matrix",
        "matrix --plan-only",
        "matrix --sizes 5MB,10MB --concurrencies 1,2,4 --count 16 --rate auto",
        "matrix --sizes 50MB --modes burst --levels --repeats 3 --count 100 --adaptive",
    )
)
@click.option("--sizes", envvar="SIZES", default="50MB,100MB", show_default=True, help="Sizes [env: SIZES].")
@click.option(
    "--concurrencies", envvar="CONCURRENCY", default="1,2,4", show_default=True, help="Slots [env: CONCURRENCY]."
)
@click.option("--levels", envvar="LEVELS", is_flag=True, help="Add c=8, which the saturation fit needs [env: LEVELS].")
@click.option("--modes", envvar="MODES", default="burst,sustained", show_default=True, help="Modes [env: MODES].")
@click.option(
    "--count", envvar="COUNT", type=click.IntRange(1), default=24, show_default=True, help="Videos a test [env: COUNT]."
)
@click.option(
    "--arrivals",
    envvar="ARRIVALS",
    type=click.IntRange(1),
    help="Videos of a sustained test, if not COUNT [env: ARRIVALS].",
)
@click.option(
    "--repeats",
    envvar="REPEATS",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Runs a cell [env: REPEATS].",
)
@click.option(
    "--rate", envvar="RATE", default="10", show_default=True, help="Videos a minute, or auto: 0.8 X_sat [env: RATE]."
)
@click.option(
    "--adaptive", envvar="ADAPTIVE", is_flag=True, help="Stop a burst at ±5 %, from 12 videos on [env: ADAPTIVE]."
)
@click.option("--plan-only", is_flag=True, help="Print the plan; run nothing and touch no run.")
@json_option
@lang_option
def matrix(*, plan_only: bool, as_json: bool, lang: Language, **asked: Any) -> None:
    """Run every size × concurrency × mode by itself and print the lines of these cells in the table.

    Asked again after any interruption, it goes on at the cell where it stopped; asked for more sizes, slots, modes or
    repeats, it runs only those. A cell that cannot be run is told and left out; asked again, it is tried again.

    Exit codes: 0 every cell is measured, 1 some are not, 2 wrong input.
    """
    plan = _plan(**asked)
    laboratory = Laboratory.open(lang)
    campaign = Campaign(
        laboratory, replace(plan, profile=os.environ.get("PROFILE") or laboratory.settings.worker.profile)
    )
    if plan_only:
        _print_plan(campaign, as_json, lang)
    else:
        _carry_out(campaign, lang)
        _print_results(campaign, as_json, lang)


def _print_plan(campaign: Campaign, as_json: bool, lang: Language) -> None:
    campaign.look()
    click.echo(_outlook(campaign, lang), err=True)
    if as_json:
        print_json({"plan": campaign.plan, "left": campaign.left(), "remaining": campaign.remaining()}, lang)


def _carry_out(campaign: Campaign, lang: Language) -> None:
    campaign.resume()
    click.echo(_outlook(campaign, lang), err=True)
    told = lambda test, result: click.echo(_line(campaign, test, result, lang), err=True)  # noqa: E731
    with progress_bar(lambda: _now(campaign, lang)) as progress:
        campaign.run(progress, told)


def _print_results(campaign: Campaign, as_json: bool, lang: Language) -> None:
    keys = {key_of(row) for row in campaign.rows.values()}
    cells = [cell for cell in campaign.laboratory.judge().cells if cell.key in keys]
    if as_json:
        print_json({"plan": campaign.plan, "rows": [csv_row(cell) for cell in cells]}, lang)
    else:
        click.echo(f"{markdown(cells, lang)}\n{sources(cells, lang)}", nl=False)
    if campaign.faults:
        tests = ", ".join(test.told(campaign.plan).en for test in campaign.faults)
        raise RunFailed("matrix", f"not measured: {tests}", "mend that and run it again", value=campaign.plan.name)


def _outlook(campaign: Campaign, lang: Language) -> str:
    """Return the plan: every test in order, with its run or how long it will take."""
    plan, tests = campaign.plan, ordered(campaign.plan)
    lines = [f"  {test.told(plan).to(lang):<24} {_prospect(campaign, test, lang)}" for test in tests]
    head = Text(
        f"Matriz {plan.name}: {len(tests)} pruebas, {len(campaign.rows)} hechas; {_eta(campaign.remaining(), lang)}",
        f"Matrix {plan.name}: {len(tests)} tests, {len(campaign.rows)} done; {_eta(campaign.remaining(), lang)}",
    )
    return "\n".join([head.to(lang), *lines])


def _prospect(campaign: Campaign, test: PlannedTest, lang: Language) -> str:
    if test in campaign.rows:
        return campaign.rows[test].run_id
    videos = f"N={campaign.plan.videos(test.mode)}"
    rate = campaign.plan.rate_per_minute
    offered = "" if test.mode == Mode.BURST else f" {'0.8·X_sat' if rate is None else f'{rate:g}/min'}"
    return f"~{_span(campaign.predict(test).seconds)}  {videos}{offered}"


def _eta(remaining: Prediction, lang: Language) -> str:
    if not remaining.seconds:
        return Text("no queda ninguna", "none is left").to(lang)
    until = time.strftime("%H:%M", time.localtime(time.time() + remaining.seconds))
    basis, span = BASES[remaining.basis].to(lang), _span(remaining.seconds)
    return Text(f"quedan ~{span}, hasta las {until} ({basis})", f"~{span} left, until {until} ({basis})").to(lang)


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{max(1, minutes)} min"


def _line(campaign: Campaign, test: PlannedTest, result: ResultRow | AforoError, lang: Language) -> str:
    """Return what came of a test, and how much is left."""
    done, tests = len(campaign.rows) + len(campaign.faults), len(ordered(campaign.plan))
    start = f"{done}/{tests} {test.told(campaign.plan).to(lang)}"
    if isinstance(result, AforoError):
        return f"{start}: {Text('SIN MEDIR', 'NOT MEASURED').to(lang)} — {result}"
    figures = f"X {number(result.x, lang)}/min"
    if result.x_sat_per_minute is not None:
        figures += f" · X_sat {capacity_text(result.x_sat_per_minute, result.x_sat_interval, lang)}/min"
    return f"{start}: {figures} · {_eta(campaign.remaining(), lang)}"


def _now(campaign: Campaign, lang: Language) -> str:
    """Return the test that runs and what is left."""
    test = next(iter(campaign.left()), None)
    return f"{test.told(campaign.plan).to(lang) if test else ''} · {_eta(campaign.remaining(), lang)}"


def _plan(
    sizes: str,
    concurrencies: str,
    levels: bool,
    modes: str,
    count: int,
    arrivals: int | None,
    repeats: int,
    rate: str,
    adaptive: bool,
) -> Plan:
    slots = _concurrencies(concurrencies)
    return Plan(
        sizes=_sizes(sizes),
        concurrencies=(*slots, FOURTH_LEVEL) if levels and FOURTH_LEVEL not in slots else slots,
        modes=_modes(modes),
        count=count,
        repeats=repeats,
        rate_per_minute=_rate(rate),
        adaptive=adaptive,
        arrivals=arrivals,
    )


def _sizes(text: str) -> tuple[str, ...]:
    sizes = tuple(part.strip() for part in text.split(","))
    for size in sizes:
        parse_size(size)
    return tuple(dict.fromkeys(sizes))


def _concurrencies(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(p.isascii() and p.isdigit() and 1 <= int(p[:9]) <= MOST_SLOTS for p in parts):
        raise UsageError("CONCURRENCY", "it must be whole numbers of slots", "give 1,2,4", value=text)
    return tuple(dict.fromkeys(int(p) for p in parts))


def _modes(text: str) -> tuple[str, ...]:
    modes = tuple(part.strip() for part in text.split(","))
    if not set(modes) <= {m.value for m in Mode}:
        raise UsageError("MODES", "there are burst and sustained", "give burst,sustained", value=text)
    return tuple(dict.fromkeys(modes))


def _rate(text: str) -> float | None:
    return None if text == "auto" else parse_rate(text, or_word="auto")
