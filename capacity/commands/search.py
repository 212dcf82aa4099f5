"""`search`: find the highest rate in videos per minute that the workers can sustain."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from capacity.commands.goals import Goals, goal_options, goals_as_json, require_met
from capacity.commands.options import json_option, lang_option, profile_option, with_examples, yes_option
from capacity.commands.progress import progress_bar
from capacity.commands.rendering import print_json
from capacity.diagnosis.goals import Figure, GoalResult
from capacity.diagnosis.validity import Level
from capacity.estimators.stability import Stability
from capacity.experiments.rate_search import RateSearch, SearchStep, StepResult, advance, next_step
from capacity.experiments.run_launcher import RunLauncher, RunRequest
from capacity.table.number_format import number
from capacity.table.phrases import validity_text
from core.cli import WholeNumber, env_option
from core.errors import RunFailed
from core.language import MODE_NAMES, STABILITY_NAMES, Language, Text
from core.run import Mode
from core.settings import MOST_SLOTS
from core.size import parse_size

RESULT = Text(
    "tasa sostenible más alta comprobada: {rate}/min (X_sat {capacity}/min), en {minutes} min de pruebas",
    "highest rate verified as sustainable: {rate}/min (X_sat {capacity}/min), in {minutes} min of testing",
)


@click.command(epilog=with_examples("search --size 50MB --concurrency 2", "search --size 5MB --concurrency 4 --refine"))
@env_option("--size", "SIZE", "Size of the videos", default="50MB")
@env_option("--concurrency", "CONCURRENCY", "Slots per worker", default=2, type=WholeNumber(1, MOST_SLOTS))
@profile_option
@yes_option
@click.option("--refine", is_flag=True, help="Narrow the answer to 5 % by bisection; takes several times as long.")
@goal_options
@json_option
@lang_option
def search(
    size: str, concurrency: int, profile: str, yes: bool, refine: bool, as_json: bool, lang: Language, **goals: Any
) -> None:
    """Find the highest rate of videos at which the queue stays stable.

    The first run is a burst. It gives X_sat, the throughput with every slot busy. Then sustained runs try 95 % of X_sat
    and lower rates. An invalid run is repeated once. A second invalid run ends the search.

    Exit codes: 0 a rate was verified, 1 none was, 2 wrong input, 4 a goal is missed.
    """
    parse_size(size)
    launcher = RunLauncher.open(lang, assume_yes=yes)
    cell = (size, concurrency, profile)
    try:
        result = _search(RateSearch(refine=refine), lambda step: _run(launcher, step, cell, lang), lang)
    finally:
        launcher.restore()
    judged = _judge(Goals(**goals), result, f"{size} c={concurrency}", lang)
    _fail_without_rate(result, size)
    if as_json:
        found = {"search": result, "cost_seconds": result.cost_seconds, "goals": goals_as_json(judged)}
        validity = {"validity": result.validity.level, "validity_reasons": list(result.validity.reasons)}
        print_json({"size": size, "concurrency": concurrency, **found, **validity}, lang)
    else:
        click.echo(_summary(result, lang))
    require_met(judged)


def _judge(goals: Goals, result: RateSearch, cell: str, lang: Language) -> list[GoalResult]:
    """Judge the goals on the search, and write the files for continuous integration.

    An invalid search has no rate and no X_sat.
    """
    is_answer = not result.failed and not result.validity.is_invalid
    figures = {
        "rate": Figure(result.stable_per_minute if is_answer else None),
        "x_sat": Figure(result.capacity_per_minute if is_answer else None),
        "stable": Figure("yes" if is_answer and result.stable_per_minute is not None else "no"),
        "validity": Figure(result.validity.level.value),
    }
    judged = goals.judge({cell: figures})
    goals.write("search", judged, [_summary(result, lang)], "", lang)
    return judged


def _search(state: RateSearch, run: Callable[[SearchStep], StepResult], lang: Language) -> RateSearch:
    """Carry out the steps of the search one after another. Print one line on standard error per step."""
    while (step := next_step(state)) is not None:
        result = run(step)
        click.echo(_line(result, lang), err=True)
        state = advance(state, result)
    return state


def _fail_without_rate(result: RateSearch, size: str) -> None:
    if result.failed and (last := result.results[-1]).validity.is_invalid:
        why = f"a run was invalid twice ({', '.join(last.validity.reasons)})"
        raise RunFailed("search", why, "look at its report, and search again", value=size)
    if result.failed:
        raise RunFailed("search", "the burst gave no X_sat", "see `make logs`", value=size)
    if result.stable_per_minute is None:
        why = "no rate down to half of the burst's X_sat was stable"
        raise RunFailed("search", why, "look at the runs' reports", value=size)


def _run(launcher: RunLauncher, step: SearchStep, cell: tuple[str, int, str], lang: Language) -> StepResult:
    started = time.monotonic()
    size, concurrency, profile = cell
    request = RunRequest(
        size, concurrency, step.kind, step.videos, step.rate_per_minute, note="search", profile=profile
    )
    with progress_bar(lambda: _label(step, lang)) as progress:
        row = launcher.run(request, progress)
    verdict = Stability(row.stability) if row.stability else None
    capacity = row.x_sat_per_minute if step.kind is Mode.BURST else None
    return StepResult(step, time.monotonic() - started, capacity, row.slots, verdict, row.validity)


def _summary(result: RateSearch, lang: Language) -> str:
    text = RESULT.to(lang).format(
        rate=number(result.stable_per_minute, lang),
        capacity=number(result.capacity_per_minute, lang),
        minutes=number(result.cost_seconds / 60, lang, 1),
    )
    return text if result.validity.level is Level.VALID else f"{text}; {validity_text(result.validity, lang)}"


def _line(result: StepResult, lang: Language) -> str:
    capacity = f"X_sat {number(result.capacity_per_minute, lang)}/min"
    shown = STABILITY_NAMES[result.verdict].to(lang) if result.verdict else capacity
    judged = "" if result.validity.level is Level.VALID else f"; {validity_text(result.validity, lang)}"
    return f"{_label(result.trial, lang)}: {shown} ({result.cost_seconds:.0f} s){judged}"


def _label(step: SearchStep, lang: Language) -> str:
    rate = "" if step.rate_per_minute is None else f" {number(step.rate_per_minute, lang)}/min"
    return f"{MODE_NAMES[step.kind].to(lang)}{rate} × {step.videos}"
