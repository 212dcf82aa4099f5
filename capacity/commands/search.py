"""`search`: find the highest rate in videos per minute that the workers can sustain."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import click

from capacity.commands.goals import Goals, goal_options, goals_as_json, require_met
from capacity.commands.load_options import worker_levels, workers_option
from capacity.commands.options import json_option, lang_option, profile_option, with_examples, yes_option
from capacity.commands.progress import progress_bar
from capacity.commands.rendering import print_json
from capacity.diagnosis.goals import Figure, GoalResult
from capacity.diagnosis.validity import Level
from capacity.estimators.stability import Stability
from capacity.experiments.rate_search import RateSearch, SearchStep, StepResult, advance, next_step
from capacity.experiments.run_launcher import RunLauncher, RunRequest
from capacity.experiments.worker_levels import require_settable
from capacity.table.number_format import number, significant
from capacity.table.phrases import validity_text
from core.cli import WholeNumber, env_option
from core.errors import RunFailed, UsageError
from core.language import MODE_NAMES, STABILITY_NAMES, Language, Text
from core.run import Mode
from core.seed_option import seed_option
from core.settings import MOST_SLOTS
from core.size_mix import DEFAULT_SEED, is_mix, one_spelling, parse_sizes

RESULT = Text(
    "tasa sostenible más alta comprobada: {rate}/min (X_sat {capacity}/min), en {minutes} min de pruebas",
    "highest rate verified as sustainable: {rate}/min (X_sat {capacity}/min), in {minutes} min of testing",
)


@click.command(
    epilog=with_examples(
        "search --size 50MB --concurrency 2",
        "search --size 5MB --concurrency 4 --refine",
        "search --size 50MB:3+100MB:1 --workers 1,2,3",
    )
)
@env_option("--size", "SIZE", "Size of the videos, or a mix by weight such as 50MB:3+100MB:1", default="50MB")
@seed_option
@env_option("--concurrency", "CONCURRENCY", "Slots per worker", default=2, type=WholeNumber(1, MOST_SLOTS))
@workers_option
@profile_option
@yes_option
@click.option("--refine", is_flag=True, help="Narrow the answer to 5 % by bisection; takes several times as long.")
@goal_options
@json_option
@lang_option
def search(
    *,
    size: str,
    seed: int | None,
    concurrency: int,
    workers: str | None,
    profile: str,
    yes: bool,
    refine: bool,
    as_json: bool,
    lang: Language,
    **goals: Any,
) -> None:
    """Find the highest rate of videos at which the queue stays stable.

    A burst first measures X_sat, the throughput with every slot busy. Sustained runs then try 95 % of X_sat and lower
    rates. An invalid run is repeated once. Each number of workers has its own search.

    Exit codes: 0 a rate was verified, 1 none was, 2 wrong input, 3 a program is not available, 4 a goal is missed.
    """
    size = one_spelling(size)
    _require_random(size, seed)
    levels = worker_levels(workers)
    launcher = RunLauncher.open(lang, assume_yes=yes)
    require_settable(launcher.settings, levels)
    first = SearchedCell(
        size,
        concurrency,
        None,
        profile if launcher.settings.app is None else None,
        DEFAULT_SEED if seed is None else seed,
    )
    cells = [replace(first, workers=number) for number in levels]
    try:
        results = {cell: _search(launcher, cell, refine, lang) for cell in cells}
    finally:
        launcher.restore()
    judged = _judge(Goals(**goals), results, lang)
    failures = [failure for cell, result in results.items() if (failure := _failure(result, cell.name))]
    if len(failures) < len(results):
        _print(results, judged, as_json, lang)
    if failures:
        raise failures[0]
    require_met(judged)


def _print(results: Mapping[SearchedCell, RateSearch], judged: list[GoalResult], as_json: bool, lang: Language) -> None:
    if as_json:
        print_json(_as_json(results, judged), lang)
    else:
        click.echo("\n".join(_summaries(results, lang)))


@dataclass(frozen=True)
class SearchedCell:
    """Size, slots and workers for which the highest stable rate is searched.

    `concurrency` is the number of slots of one worker. If `workers` is None, the workers that are running already are
    used. `profile` is None for an app.
    """

    size: str
    concurrency: int
    workers: int | None
    profile: str | None
    #: of the order of a mix
    seed: int

    @property
    def name(self) -> str:
        """Return the cell's name in error messages and goals, such as `50MB c=2 workers=3`."""
        workers = "" if self.workers is None else f" workers={self.workers}"
        return f"{self.size} c={self.concurrency}{workers}"


def _require_random(size: str, seed: int | None) -> None:
    if seed is not None and not is_mix(size):
        raise UsageError("SEED", "only a mix of sizes is random", "leave it out", value=seed)


def _as_json(results: Mapping[SearchedCell, RateSearch], judged: list[GoalResult]) -> dict[str, Any]:
    """Return the one search, or the searches of several numbers of workers in a list."""
    searches = [
        {
            "size": cell.size,
            "concurrency": cell.concurrency,
            "workers": cell.workers,
            "search": result,
            "cost_seconds": result.cost_seconds,
            "validity": result.validity.level,
            "validity_reasons": list(result.validity.reasons),
        }
        for cell, result in results.items()
    ]
    return (searches[0] if len(searches) == 1 else {"searches": searches}) | {"goals": goals_as_json(judged)}


def _judge(goals: Goals, results: Mapping[SearchedCell, RateSearch], lang: Language) -> list[GoalResult]:
    """Judge the goals on every search, and write the files for continuous integration."""
    judged = goals.judge({cell.name: _figures(result) for cell, result in results.items()})
    goals.write("search", judged, _summaries(results, lang), "", lang)
    return judged


def _figures(result: RateSearch) -> dict[str, Figure]:
    """Return the figures that a goal can name. An invalid search has no rate and no X_sat."""
    is_answer = not result.failed and not result.validity.is_invalid
    return {
        "rate": Figure(result.stable_per_minute if is_answer else None),
        "x_sat": Figure(result.capacity_per_minute if is_answer else None),
        "stable": Figure("yes" if is_answer and result.stable_per_minute is not None else "no"),
        "validity": Figure(result.validity.level.value),
    }


def _search(launcher: RunLauncher, cell: SearchedCell, refine: bool, lang: Language) -> RateSearch:
    """Carry out the steps of a search one after another. Print one line on standard error per step."""
    state = RateSearch(refine=refine, period=parse_sizes(cell.size).period)
    while (step := next_step(state)) is not None:
        result = _run(launcher, step, replace(cell, seed=cell.seed + len(state.results)), lang)
        click.echo(_line(result, lang), err=True)
        state = advance(state, result)
    return state


def _failure(result: RateSearch, cell: str) -> RunFailed | None:
    """Return why a search has no rate, or None if it has one."""
    if result.failed and (last := result.results[-1]).validity.is_invalid:
        why = f"a run was invalid twice ({', '.join(last.validity.reasons)})"
        return RunFailed("search", why, "look at its report, and search again", value=cell)
    if result.failed:
        return RunFailed("search", "the burst gave no X_sat", "see `make logs`", value=cell)
    if result.stable_per_minute is None:
        why = "no rate down to half of the burst's X_sat was stable"
        return RunFailed("search", why, "look at the runs' reports", value=cell)
    return None


def _run(launcher: RunLauncher, step: SearchStep, cell: SearchedCell, lang: Language) -> StepResult:
    started = time.monotonic()
    request = RunRequest(
        size=cell.size,
        concurrency=cell.concurrency,
        mode=step.kind,
        count=step.videos,
        rate_per_minute=step.rate_per_minute,
        note="search",
        profile=cell.profile,
        workers=cell.workers,
        seed=cell.seed if is_mix(cell.size) else None,
    )
    with progress_bar(lambda: _label(step, lang)) as progress:
        row = launcher.run(request, progress)
    verdict = Stability(row.stability) if row.stability else None
    capacity = row.x_sat_per_minute if step.kind is Mode.BURST else None
    return StepResult(step, time.monotonic() - started, capacity, row.slots, verdict, row.validity)


def _summaries(results: Mapping[SearchedCell, RateSearch], lang: Language) -> list[str]:
    """Return one line per search, which begins with its number of workers if there are several."""
    if len(results) == 1:
        return [_summary(result, lang) for result in results.values()]
    return [f"workers={cell.workers}: {_summary(result, lang)}" for cell, result in results.items()]


def _summary(result: RateSearch, lang: Language) -> str:
    text = RESULT.to(lang).format(
        rate=significant(result.stable_per_minute, lang),
        capacity=number(result.capacity_per_minute, lang),
        minutes=number(result.cost_seconds / 60, lang, 1),
    )
    return text if result.validity.level is Level.VALID else f"{text}; {validity_text(result.validity, lang)}"


def _line(result: StepResult, lang: Language) -> str:
    capacity = f"X_sat {number(result.capacity_per_minute, lang)}/min"
    shown = STABILITY_NAMES[result.verdict].to(lang) if result.verdict else capacity
    judged = "" if result.validity.level is Level.VALID else f"; {validity_text(result.validity, lang)}"
    return f"{_label(result.step, lang)}: {shown} ({result.cost_seconds:.0f} s){judged}"


def _label(step: SearchStep, lang: Language) -> str:
    rate = "" if step.rate_per_minute is None else f" {significant(step.rate_per_minute, lang)}/min"
    return f"{MODE_NAMES[step.kind].to(lang)}{rate} × {step.videos}"
