"""`matrix`: measure all combinations of size, slots and mode.

After an interruption, the same command measures the missing combinations.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from capacity.commands.goals import Goals, goal_options, goals_as_json, require_met
from capacity.commands.load_options import workers_option
from capacity.commands.matrix_options import DEFAULT_RATE, matrix_plan
from capacity.commands.options import json_option, lang_option, profile_option, with_examples, yes_option
from capacity.commands.progress import progress_bar
from capacity.commands.rendering import print_json
from capacity.diagnosis.goals import Goal
from capacity.diagnosis.validity import Level
from capacity.experiments.matrix_plan import Basis, PlannedRun, Prediction, ordered_runs
from capacity.experiments.matrix_run import MatrixRun
from capacity.experiments.run_launcher import RunLauncher
from capacity.experiments.worker_levels import require_settable
from capacity.report.answer import answer
from capacity.report.goal_files import goal_table
from capacity.runs.result_row import ResultRow
from capacity.table.cell_figures import cell_figures
from capacity.table.cells import key_of
from capacity.table.number_format import number
from capacity.table.phrases import cell_name, plural, validity_text
from capacity.table.table_text import capacity_text, json_row, markdown, sources
from core.app_file import AppFile
from core.cli import WholeNumber, env_option
from core.errors import AforoError, RunFailed, UsageError
from core.language import Language, Text
from core.load_shape import FORMS
from core.run import MOST_VIDEOS, Mode
from core.seed_option import seed_option

#: so that the columns of a plan with short names stay where they are
LABEL_WIDTH = 24
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
        "matrix --sizes 50MB --concurrencies 2 --workers 1,2,3",
        "matrix --sizes 50MB,50MB:3+100MB:1 --concurrencies 2 --shape poisson",
    )
)
@env_option("--sizes", "SIZES", "Sizes of the videos; 50MB:3+100MB:1 is a mix by weight", default="50MB,100MB")
@env_option("--concurrencies", "CONCURRENCY", "Slots per worker", default="1,2,4")
@workers_option
@env_option("--levels", "LEVELS", "Add concurrency 8, which the saturation fit needs", is_flag=True, metavar=None)
@env_option("--modes", "MODES", "Modes of the runs", default="burst,sustained")
@env_option("--count", "COUNT", "Videos per run", default=24, type=WholeNumber(1, MOST_VIDEOS))
@env_option(
    "--arrivals", "ARRIVALS", "Videos per sustained run", unset="default COUNT", type=WholeNumber(1, MOST_VIDEOS)
)
@env_option("--repeats", "REPEATS", "Runs per cell", default=1, type=WholeNumber(1, 1000))
@env_option(
    "--rate", "RATE", "Videos per minute of a sustained run, or auto for 0.8 X_sat", unset=f"default {DEFAULT_RATE}"
)
@env_option("--shape", "SHAPE", f"Load shape of the sustained runs: {FORMS}", unset="default equal intervals")
@seed_option
@env_option("--adaptive", "ADAPTIVE", "Stop a burst early, at ±5 % from 12 videos on", is_flag=True, metavar=None)
@env_option("--warmup", "WARMUP", "Before each run, two unmeasured videos per slot", is_flag=True, metavar=None)
@profile_option
@yes_option
@goal_options
@click.option("--plan-only", is_flag=True, help="Print the plan; start no run and change none.")
@json_option
@lang_option
def matrix(
    *,
    plan_only: bool,
    yes: bool,
    fail_if: tuple[Goal, ...],
    junit: Path | None,
    summary: Path | None,
    as_json: bool,
    lang: Language,
    **options: Any,
) -> None:
    """Measure every combination of size, concurrency, number of workers and mode, and print a table.

    Finished runs are not repeated. The same command continues after an interruption, and tries failed runs again. A
    failed run is reported, and the next run starts.

    Exit codes: 0 every cell is measured, 1 some are not, 2 wrong input, 3 a program is not available, 4 a --fail-if
    goal is missed.
    """
    launcher = RunLauncher.open(lang, assume_yes=yes)
    matrix_run = MatrixRun(launcher, matrix_plan(**_of_app(launcher.settings.app, options)))
    require_settable(launcher.settings, matrix_run.plan.workers)
    if plan_only:
        _print_plan(matrix_run, as_json, lang)
    else:
        _carry_out(matrix_run, lang)
        _print_results(matrix_run, Goals(fail_if, junit, summary), as_json, lang)


def _of_app(app: AppFile | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options for an app that is not ours.

    Raise UsageError for an option that would change the app's queue.
    """
    if app is None:
        return options
    if options["adaptive"]:
        why = "it deletes queued messages, which are the app's own"
        raise UsageError("ADAPTIVE", why, "leave it out with APP", value=app.name)
    return options | {"profile": app.name}


def _print_plan(matrix_run: MatrixRun, as_json: bool, lang: Language) -> None:
    matrix_run.load_finished()
    click.echo(_outlook(matrix_run, lang), err=True)
    if as_json:
        remaining = {"left": matrix_run.remaining(), "remaining": matrix_run.remaining_time()}
        print_json({"plan": matrix_run.plan, **remaining}, lang)


def _carry_out(matrix_run: MatrixRun, lang: Language) -> None:
    matrix_run.resume()
    click.echo(_outlook(matrix_run, lang), err=True)
    on_result = lambda planned, result: click.echo(_line(matrix_run, planned, result, lang), err=True)  # noqa: E731
    try:
        with progress_bar(lambda: _now(matrix_run, lang)) as progress:
            matrix_run.run(progress, on_result)
    finally:
        matrix_run.launcher.restore()


def _print_results(matrix_run: MatrixRun, goals: Goals, as_json: bool, lang: Language) -> None:
    keys = {key_of(row) for row in matrix_run.rows.values()}
    analysed = matrix_run.launcher.analyse()
    cells = [cell for cell in analysed.cells if cell.key in keys]
    judged = goals.judge({cell_name(cell.runs[-1], lang): cell_figures(cell) for cell in cells})
    goals.write("matrix", judged, answer(analysed.of_cells(keys), lang), markdown(cells, lang), lang)
    if as_json:
        rows = [json_row(cell) for cell in cells]
        print_json({"plan": matrix_run.plan, "rows": rows, "goals": goals_as_json(judged)}, lang)
    else:
        goal_text = f"\n{goal_table(judged, lang)}" if judged else ""
        click.echo(f"{markdown(cells, lang)}\n{sources(cells, lang)}{goal_text}", nl=False)
    _fail_unless_measured(matrix_run)
    require_met(judged)


def _fail_unless_measured(matrix_run: MatrixRun) -> None:
    if matrix_run.errors:
        runs = ", ".join(planned.label(matrix_run.plan).en for planned in matrix_run.errors)
        raise RunFailed("matrix", f"not measured: {runs}", "fix that and run it again", value=matrix_run.plan.name)


def _outlook(matrix_run: MatrixRun, lang: Language) -> str:
    """Return the plan as text: every run in order, with its id or its predicted duration."""
    plan, runs, eta = matrix_run.plan, ordered_runs(matrix_run.plan), _eta(matrix_run.remaining_time(), lang)
    width = max(LABEL_WIDTH, *(len(planned.label(plan).to(lang)) for planned in runs))
    lines = [f"  {planned.label(plan).to(lang):<{width}} {_prospect(matrix_run, planned, lang)}" for planned in runs]
    done = len(matrix_run.rows)
    es = f"{plural(len(runs), 'prueba', 'pruebas')}, {plural(done, 'hecha', 'hechas')}"
    head = Text(
        f"Matriz {plan.name}: {es}; {eta}",
        f"Matrix {plan.name}: {plural(len(runs), 'run', 'runs')}, {done} done; {eta}",
    )
    return "\n".join([head.to(lang), *lines])


def _prospect(matrix_run: MatrixRun, planned: PlannedRun, lang: Language) -> str:
    if planned in matrix_run.rows:
        return matrix_run.rows[planned].run_id
    videos = f"N={matrix_run.plan.videos(planned.mode)}"
    rate = matrix_run.plan.rate_per_minute
    offered = "" if planned.mode == Mode.BURST else f" {'0.8·X_sat' if rate is None else f'{rate:g}/min'}"
    return f"~{_span(matrix_run.predict(planned).seconds)}  {videos}{offered}"


def _eta(remaining: Prediction, lang: Language) -> str:
    if not remaining.seconds:
        return Text("no queda ninguna", "none is left").to(lang)
    until = time.strftime("%H:%M", time.localtime(time.time() + remaining.seconds))
    basis, span = BASES[remaining.basis].to(lang), _span(remaining.seconds)
    return Text(f"quedan ~{span}, hasta las {until} ({basis})", f"~{span} left, until {until} ({basis})").to(lang)


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{max(1, minutes)} min"


def _line(matrix_run: MatrixRun, planned: PlannedRun, result: ResultRow | AforoError, lang: Language) -> str:
    """Return the result of a run and the remaining time."""
    done, runs = len(matrix_run.rows) + len(matrix_run.errors), len(ordered_runs(matrix_run.plan))
    start = f"{done}/{runs} {planned.label(matrix_run.plan).to(lang)}"
    if isinstance(result, AforoError):
        return f"{start}: {Text('SIN MEDIR', 'NOT MEASURED').to(lang)} — {result}"
    figures = f"X {number(result.x, lang)}/min"
    if result.x_sat_per_minute is not None:
        figures += f" · X_sat {capacity_text(result.x_sat_per_minute, result.x_sat_interval, lang)}/min"
    if result.validity.level is not Level.VALID:
        figures += f" · {validity_text(result.validity, lang)}"
    return f"{start}: {figures} · {_eta(matrix_run.remaining_time(), lang)}"


def _now(matrix_run: MatrixRun, lang: Language) -> str:
    """Return the current run and the remaining time."""
    planned = next(iter(matrix_run.remaining()), None)
    label = planned.label(matrix_run.plan).to(lang) if planned else ""
    return f"{label} · {_eta(matrix_run.remaining_time(), lang)}"
