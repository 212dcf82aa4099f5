"""`search`: the highest rate the workers can sustain, found with little testing."""

from __future__ import annotations

import time

import click

from capacity.commands.options import json_option, lang_option, with_examples
from capacity.commands.progress import progress_bar
from capacity.commands.rendering import print_json
from capacity.estimators.stability import Stability
from capacity.experiments.rate_search import Search, Trial, TrialKind, TrialResult, advance, next_trial
from capacity.experiments.test_runner import Laboratory, Test
from capacity.table.number_format import number
from capacity.table.table_text import STABILITIES
from core.errors import RunFailed
from core.language import MODE_NAMES, Language, Text
from core.run import Mode
from core.settings import MOST_SLOTS
from core.size import parse_size

FOUND = Text(
    "tasa sostenible más alta comprobada: {rate}/min (X_sat {capacity}/min), en {minutes} min de pruebas",
    "highest rate verified as sustainable: {rate}/min (X_sat {capacity}/min), in {minutes} min of testing",
)


@click.command(epilog=with_examples("search --size 50MB --concurrency 2", "search --size 5MB --concurrency 4 --refine"))
@click.option("--size", envvar="SIZE", default="50MB", show_default=True, help="Size of a video [env: SIZE].")
@click.option(
    "--concurrency",
    envvar="CONCURRENCY",
    type=click.IntRange(1, MOST_SLOTS),
    default=2,
    show_default=True,
    help="Slots of a worker [env: CONCURRENCY].",
)
@click.option("--refine", is_flag=True, help="Narrow the answer to 5 % by bisection; takes several times as long.")
@json_option
@lang_option
def search(size: str, concurrency: int, refine: bool, as_json: bool, lang: Language) -> None:
    """Find the highest rate that a sustained run shows to be stable: a burst, then a check at 95 % of its X_sat.

    Exit codes: 0 a rate was verified, 1 none was, 2 wrong input.
    """
    parse_size(size)
    laboratory, found = Laboratory.open(lang), Search(refine=refine)
    while (trial := next_trial(found)) is not None:
        result = _try(laboratory, trial, size, concurrency, lang)
        click.echo(_line(result, lang), err=True)
        found = advance(found, result)
    if found.failed:
        raise RunFailed("search", "the burst gave no X_sat", "see `make logs`", value=size)
    if found.stable_per_minute is None:
        why = "no rate down to half of the burst's X_sat was stable"
        raise RunFailed("search", why, "look at the runs' reports", value=size)
    if as_json:
        print_json(
            {"size": size, "concurrency": concurrency, "search": found, "cost_seconds": found.cost_seconds}, lang
        )
        return
    click.echo(
        FOUND.to(lang).format(
            rate=number(found.stable_per_minute, lang),
            capacity=number(found.capacity_per_minute, lang),
            minutes=number(found.cost_seconds / 60, lang, 1),
        )
    )


def _try(laboratory: Laboratory, trial: Trial, size: str, concurrency: int, lang: Language) -> TrialResult:
    begun = time.monotonic()
    mode = Mode.BURST if trial.kind is TrialKind.BURST else Mode.SUSTAINED
    test = Test(size, concurrency, mode, trial.videos, trial.rate_per_minute, note="search")
    with progress_bar(lambda: _offer(trial, lang)) as progress:
        row = laboratory.run(test, progress)
    verdict = Stability(row.stability) if row.stability else None
    return TrialResult(trial, time.monotonic() - begun, row.x_sat_per_minute if mode is Mode.BURST else None, verdict)


def _line(result: TrialResult, lang: Language) -> str:
    capacity = f"X_sat {number(result.capacity_per_minute, lang)}/min"
    shown = STABILITIES[result.verdict].to(lang) if result.verdict else capacity
    return f"{_offer(result.trial, lang)}: {shown} ({result.cost_seconds:.0f} s)"


def _offer(trial: Trial, lang: Language) -> str:
    rate = "" if trial.rate_per_minute is None else f" {number(trial.rate_per_minute, lang)}/min"
    return f"{MODE_NAMES[trial.kind.value].to(lang)}{rate} × {trial.videos}"
