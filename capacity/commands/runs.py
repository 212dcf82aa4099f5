"""`wait`, `report`, `table` and `document`: from recorded runs to what people read."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import click

from capacity.analysis import result_rows
from capacity.analysis.analysed_runs import analyse_archive, load_and_analyse
from capacity.analysis.run_analysis import RunAnalysis
from capacity.commands.options import json_option, lang_option, with_examples
from capacity.commands.rendering import print_json
from capacity.experiments.test_runner import Laboratory, silent
from capacity.report.document import render_document
from capacity.report.terminal import render_terminal
from capacity.report.written_files import publish
from capacity.runs.recorded_run import find_run
from capacity.table.cells import TableCell
from capacity.table.table_text import csv_row, csv_text, markdown, sources
from core.errors import RunFailed, UsageError
from core.language import Language, Text
from core.models import RunRow
from core.settings import Settings
from core.size import parse_size, size_label

PORTS = {"http": 80, "https": 443}
#: what a dashboard shows before and after a run: rates begin and end there
MARGIN_SECONDS = 30.0
DOCUMENT = Path("capacity-planning/escenario_2_worker_throughput.md")


@click.command(epilog=with_examples("wait", "wait 20261124-051233-burst-50mb-c2"))
@click.argument("run_id", required=False)
@click.option(
    "--stuck-minutes", default=30.0, show_default=True, help="Give up after so long without any video ending."
)
def wait(run_id: str | None, stuck_minutes: float) -> None:
    """Wait until every video of the run (default: the newest) has ended, and close the run."""
    laboratory = Laboratory.open()
    with result_rows.reading(laboratory.sessions) as session:
        wanted = find_run(session, run_id).id
    laboratory.wait(wanted, silent, stuck_minutes * 60)


@click.command(
    epilog=with_examples(
        "report",
        "report 20261124-051233-burst-50mb-c2 --lang en",
        "report --tasks-log results/worker_tasks_20261124_051233.log --json",
        "report results/runs/20261124-051233-burst-50mb-c2",
    )
)
@click.argument("run", required=False, metavar="[RUN_ID|FOLDER]")
@click.option("--tasks-log", help="A log of task ids, one a line, instead of a run's id.")
@json_option
@lang_option
def report(run: str | None, tasks_log: str | None, as_json: bool, lang: Language) -> None:
    """Say what a run showed (default: the newest), and write the run's files, the table and report.html.

    Of a FOLDER under results/runs/ it says the same again without database or Prometheus, and writes nothing.

    Exit codes: 0 every video is done, 1 some are not, 2 no such run.
    """
    if run and Path(run).is_dir():
        found = analyse_archive(Path(run))
        _show(found, as_json, lang)
        return _fail_unless_done(found)
    settings = Settings.from_process()
    sessions = result_rows.open_store(settings)
    with result_rows.reading(sessions) as session:
        wanted = find_run(session, run, tasks_log)
        result_rows.wait_settled(session, wanted, settings.prometheus.url)
    with result_rows.reading(sessions) as session:
        findings = load_and_analyse(session, settings, wanted.id)
    publish(sessions, settings, findings, lang)
    _show(findings.of(wanted.id), as_json, lang)
    click.echo(_where(settings, findings.of(wanted.id), lang), err=True)
    _fail_unless_done(findings.of(wanted.id))


@click.command(epilog=with_examples("table", "table --csv", "table --json --lang en"))
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead, with every figure and the run ids.")
@json_option
@lang_option
def table(as_csv: bool, as_json: bool, lang: Language) -> None:
    """Print the scenario's table from all runs, the best evidence for each cell, and write results/table.md and .csv.

    A cell's figures are the means of its finished, complete and trusted runs: X and S of those of most videos, X_sat of
    all. Weaker runs fill a cell only while it has no better ones, and the notes say so.
    """
    settings = Settings.from_process()
    sessions = result_rows.open_store(settings)
    with result_rows.reading(sessions) as session:
        findings = load_and_analyse(session, settings)
    publish(sessions, settings, findings, lang)
    cells = findings.cells
    if as_json:
        print_json({"rows": [_row_as_json(cell) for cell in cells]}, lang)
    elif as_csv:
        click.echo(csv_text(cells), nl=False)
    else:
        click.echo(f"{markdown(cells, lang)}\n{sources(cells, lang)}", nl=False)


def _row_as_json(cell: TableCell) -> dict[str, object]:
    """Return the CSV's row with the run ids as lists."""
    runs = {"runs": cell.runs, "x_sat_runs": cell.x_sat_runs}
    return csv_row(cell) | {name: [run.run_id for run in found] for name, found in runs.items()}


@click.command(epilog=with_examples("document", "document --sizes 50MB,100MB"))
@click.option("--sizes", help="Only these sizes.  [default: all that were measured]")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default=DOCUMENT, show_default=True)
def document(sizes: str | None, output: Path) -> None:
    """Write the document of scenario 2, in Spanish, from what was measured; the same data give the same text."""
    settings = Settings.from_process()
    with result_rows.reading(result_rows.open_store(settings)) as session:
        findings = load_and_analyse(session, settings)
    chosen = findings if sizes is None else findings.only(_labels(sizes))
    if not chosen.rows:
        raise UsageError("document", "nothing of that size is measured", "see `make table`", value=sizes or "")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(render_document(chosen), "utf-8")
    click.echo(str(output))


def _labels(sizes: str) -> set[str]:
    return {size_label(parse_size(part)) for part in sizes.split(",")}


def evidence_as_json(run: RunAnalysis) -> dict[str, object]:
    """Return the row of a run and everything derived from it."""
    row = {name: getattr(run.row, name) for name in run.row.__dataclass_fields__}
    return row | {
        "service": run.service,
        "parts": run.parts,
        "conservation": run.recorded.video_counts,
        "littles_law": run.little,
        "stability_evidence": run.stability,
        "offered": run.offered,
        "bottleneck": run.bottleneck,
        "flags": run.flags,
        "agrees": run.row.agrees,
    }


def _show(run: RunAnalysis, as_json: bool, lang: Language) -> None:
    if as_json:
        print_json(evidence_as_json(run), lang)
    else:
        click.echo(render_terminal(run, lang))


def _where(settings: Settings, run: RunAnalysis, lang: Language) -> str:
    """Return where to look further at this run; Grafana only when it runs."""
    folder, prometheus, run_id = settings.results.path, settings.prometheus, run.row.run_id
    page = _live_page(prometheus.page or prometheus.url, run_id)
    shown = (
        _dashboard(prometheus.grafana_page or prometheus.grafana_url, run.recorded.run)
        if _answers(prometheus.grafana_url)
        else Text("Grafana no está en marcha", "Grafana is not running").to(lang)
    )
    return Text(
        f"\ninforme: {folder}/report.html · datos: {folder}/runs/{run_id}/ · tabla: {folder}/table.md\n"
        f"tableros: {shown} · Prometheus: {page}",
        f"\nreport: {folder}/report.html · data: {folder}/runs/{run_id}/ · table: {folder}/table.md\n"
        f"dashboards: {shown} · Prometheus: {page}",
    ).to(lang)


def _live_page(prometheus: str, run_id: str) -> str:
    """Return the address of the run's row on Prometheus's live page."""
    return f"{prometheus.rstrip('/')}/consoles/index.html#{quote(run_id)}"


def _dashboard(grafana: str, run: RunRow) -> str:
    """Return the address of the dashboard that shows this run, over its whole time."""
    began, ended = run.started_at or run.created_at, run.finished_at or time.time()
    moments = {"from": began - MARGIN_SECONDS, "to": ended + MARGIN_SECONDS}
    asked = {"var-run_id": run.id} | {name: f"{1000 * moment:.0f}" for name, moment in moments.items()}
    return f"{grafana.rstrip('/')}/d/aforo-run?{urlencode(asked)}"


def _answers(url: str) -> bool:
    address = urlsplit(url)
    try:
        port = address.port or PORTS.get(address.scheme, 80)
        with socket.create_connection((address.hostname or "", port), timeout=0.5):
            return True
    except OSError:
        return False


def _fail_unless_done(run: RunAnalysis) -> None:
    row = run.row
    if row.done < row.count:
        why = f"{row.count - row.done} of {row.count} videos are not done"
        raise RunFailed("run", why, "see `make logs`", value=row.run_id)
