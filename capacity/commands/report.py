"""`report`: print the figures, checks and bottleneck of one run, and write its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from capacity.analysis import recording_rules
from capacity.analysis.load_and_analyse import analyse_archive
from capacity.analysis.run_analysis import RunAnalysis
from capacity.commands.goals import Goals, goal_options, goals_as_json, require_met
from capacity.commands.links import links
from capacity.commands.options import Quantity, json_option, lang_option, with_examples
from capacity.commands.rendering import print_json
from capacity.diagnosis.goals import Figure, GoalResult
from capacity.diagnosis.next_steps import advice
from capacity.estimators.tails import Goodput, goodput
from capacity.experiments.run_launcher import RunLauncher
from capacity.report.answer import next_step, run_answer
from capacity.report.goal_files import goal_table
from capacity.report.statements import goodput_text, kept_up, missing_capacity
from capacity.report.terminal import output_width, render_terminal
from capacity.report.to_json import row_to_json, to_json
from capacity.runs.recorded_run import find_run, newest_run_id
from capacity.runs.sessions import reading
from capacity.table.cell_figures import cell_figures
from capacity.table.cells import fill
from capacity.table.table_text import markdown
from core.errors import RunFailed
from core.language import Language
from core.user_files import is_folder


@click.command(
    epilog=with_examples(
        "report",
        "report 20261124-051233-burst-50mb-c2 --lang en",
        "report --tasks-log results/worker_tasks_20261124_051233.log --json",
        "report results/runs/20261124-051233-burst-50mb-c2",
        "report --fail-if 'x_sat<20' --fail-if 'response_p95>120s' --junit report.xml",
        "report --goal 60s --fail-if 'goodput<95%'",
    )
)
@click.argument("run", required=False, metavar="[RUN_ID|FOLDER]")
@click.option("--tasks-log", help="Tasks log of the run, one task id per line, instead of RUN_ID.")
@click.option(
    "--goal",
    type=Quantity("duration", rate=False),
    help="Response time that a video should not exceed: prints goodput.",
)
@goal_options
@json_option
@lang_option
def report(
    run: str | None, tasks_log: str | None, goal: float | None, as_json: bool, lang: Language, **goals: Any
) -> None:
    """Report on one run, and write its archive, the result table and report.html.

    Without RUN_ID, the report is on the newest run of the configured queue. FOLDER is the archive of a run under
    results/runs/. With FOLDER, only that archive is read, and none of these files is written.

    Exit codes: 0 every video is done, 1 some are not, 2 no such run, 3 no database, 4 a goal is missed.
    """
    # a run may have the name of any folder of this place, such as `capacity`
    if run and is_folder(run) and ("/" in run or (Path(run) / "run.json").exists()):
        analysis, where = analyse_archive(Path(run)), None
    else:
        launcher = RunLauncher.open(lang)
        analysis = _analyse_recorded(launcher, run, tasks_log)
        where = links(launcher.settings, analysis.recorded.run, lang)
    reached = None if goal is None else _goodput(analysis, goal)
    judged = _judge(Goals(**goals), analysis, reached, lang)
    _print(analysis, reached, judged, as_json, lang)
    if where is not None:
        click.echo(where, err=True)
    _fail_unless_done(analysis)
    require_met(judged)


def _goodput(analysis: RunAnalysis, goal_seconds: float) -> Goodput:
    recorded = analysis.recorded
    seconds = (recorded.updated_at - recorded.uploaded_at)[recorded.done]
    return goodput(seconds, recorded.run.count, goal_seconds)


def _judge(goals: Goals, analysis: RunAnalysis, reached: Goodput | None, lang: Language) -> list[GoalResult]:
    """Judge the goals on the run, and write the files for continuous integration."""
    (cell,) = cells = fill([analysis.row])
    figures = cell_figures(cell)
    if reached is not None:
        figures["goodput"] = Figure(None if analysis.row.validity.is_invalid else reached.ratio)
    judged = goals.judge({analysis.row.run_id: figures})
    goals.write("report", judged, run_answer(analysis, lang), markdown(cells, lang), lang)
    return judged


def _analyse_recorded(launcher: RunLauncher, run_id: str | None, tasks_log: str | None) -> RunAnalysis:
    """Analyse the run with this id or with this tasks log, else the newest run of this queue.

    Wait first until the figures of the run are final.
    """
    with reading(launcher.sessions) as session:
        newest = None if tasks_log else newest_run_id(session, launcher.settings.queue.name)
        recorded = find_run(session, run_id or newest, tasks_log)
        recording_rules.wait_settled(session, recorded, launcher.settings.prometheus.url)
    launcher.count_messages(recorded.id)
    return launcher.analyse(recorded.id).run(recorded.id)


def analysis_as_json(analysis: RunAnalysis, lang: Language) -> dict[str, object]:
    """Return the content of a run's JSON report: its result row, figures, checks and advice.

    Some values are objects of this package. The function `print_json` converts them to JSON.
    """
    return row_to_json(analysis.row, lang) | {
        "x_sat_missing": missing_capacity(analysis),
        "service": analysis.service,
        "parts": analysis.parts,
        "conservation": analysis.recorded.video_counts,
        "conservation_check": {"holds": analysis.conservation.holds} | asdict(analysis.conservation),
        "littles_law": analysis.little,
        "stability_evidence": analysis.stability,
        "offered": analysis.offered,
        "bottleneck": analysis.bottleneck,
        "advice": None if kept_up(analysis) else advice(analysis.bottleneck.cause),
        "next_step": next_step(analysis),
        "flags": analysis.warnings,
        "agrees": analysis.row.agrees,
    }


def _print(
    analysis: RunAnalysis, reached: Goodput | None, judged: Sequence[GoalResult], as_json: bool, lang: Language
) -> None:
    if as_json:
        extra = {
            "goodput": reached and to_json(reached, lang) | {"ratio": reached.ratio},
            "goals": goals_as_json(judged),
        }
        print_json(analysis_as_json(analysis, lang) | extra, lang)
        return
    click.echo(render_terminal(analysis, lang, output_width()))
    if reached is not None:
        click.echo(f"  {goodput_text(reached, lang)}")
    if judged:
        click.echo(f"\n{goal_table(judged, lang)}", nl=False)


def _fail_unless_done(analysis: RunAnalysis) -> None:
    row = analysis.row
    if row.done < row.count:
        why = f"{row.count - row.done} of {row.count} videos are not done"
        raise RunFailed("run", why, "see `make logs`", value=row.run_id)
