"""`report`: the figures, checks and bottleneck of one run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from capacity.analysis import recording_rules
from capacity.analysis.load_and_analyse import analyse_archive
from capacity.analysis.run_analysis import RunAnalysis
from capacity.commands.links import links
from capacity.commands.options import json_option, lang_option, with_examples
from capacity.commands.rendering import print_json
from capacity.diagnosis.next_steps import advice
from capacity.experiments.run_launcher import RunLauncher
from capacity.report.statements import kept_up, missing_capacity
from capacity.report.terminal import render_terminal
from capacity.report.to_json import row_to_json
from capacity.runs.recorded_run import find_run
from capacity.runs.sessions import reading
from core.errors import RunFailed
from core.language import Language
from core.user_files import is_folder


@click.command(
    epilog=with_examples(
        "report",
        "report 20261124-051233-burst-50mb-c2 --lang en",
        "report --tasks-log results/worker_tasks_20261124_051233.log --json",
        "report results/runs/20261124-051233-burst-50mb-c2",
    )
)
@click.argument("run", required=False, metavar="[RUN_ID|FOLDER]")
@click.option("--tasks-log", help="Tasks log of the run, one task id per line, instead of RUN_ID.")
@json_option
@lang_option
def report(run: str | None, tasks_log: str | None, as_json: bool, lang: Language) -> None:
    """Report on a run (default: the newest), and write its files, the table and report.html.

    A FOLDER under results/runs/ is analysed without database or Prometheus, and nothing is written.

    Exit codes: 0 every video is done, 1 some are not, 2 no such run.
    """
    if run and is_folder(run):
        analysis, where = analyse_archive(Path(run)), None
    else:
        launcher = RunLauncher.open(lang)
        analysis = _analyse_recorded(launcher, run, tasks_log)
        where = links(launcher.settings, analysis.recorded.run, lang)
    _print(analysis, as_json, lang)
    if where is not None:
        click.echo(where, err=True)
    _fail_unless_done(analysis)


def _analyse_recorded(launcher: RunLauncher, run_id: str | None, tasks_log: str | None) -> RunAnalysis:
    """Analyse the run with this id or with this tasks log, else the newest run.

    Wait first until the figures of the run are final.
    """
    with reading(launcher.sessions) as session:
        recorded = find_run(session, run_id, tasks_log)
        recording_rules.wait_settled(session, recorded, launcher.settings.prometheus.url)
    launcher.count_messages(recorded.id)
    return launcher.analyse(recorded.id).run(recorded.id)


def analysis_as_json(analysis: RunAnalysis, lang: Language) -> dict[str, object]:
    """Return the result row and the derived figures of a run as JSON values."""
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
        "flags": analysis.warnings,
        "agrees": analysis.row.agrees,
    }


def _print(analysis: RunAnalysis, as_json: bool, lang: Language) -> None:
    if as_json:
        print_json(analysis_as_json(analysis, lang), lang)
    else:
        click.echo(render_terminal(analysis, lang))


def _fail_unless_done(analysis: RunAnalysis) -> None:
    row = analysis.row
    if row.done < row.count:
        why = f"{row.count - row.done} of {row.count} videos are not done"
        raise RunFailed("run", why, "see `make logs`", value=row.run_id)
