"""`document`: write the Markdown document with tables and conclusions that the scenario asks for."""

from __future__ import annotations

from pathlib import Path

import click

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.load_and_analyse import analyse_archives, load_and_analyse
from capacity.commands.options import with_examples
from capacity.report.document import render_document
from capacity.runs.sessions import open_store, reading
from core.errors import UsageError
from core.settings import Settings
from core.size_mix import parse_sizes
from core.user_files import require_writable, written

DOCUMENT = Path("capacity-planning/escenario_2_worker_throughput.md")
REMEDY = "give another --output"


@click.command(
    epilog=with_examples("document", "document --sizes 50MB,100MB", "document --runs capacity-planning/runs")
)
@click.option("--sizes", help="Only these sizes.  [default: all measured sizes]")
@click.option(
    "--runs",
    "archives",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of archived runs. Only these are read, and no database.  [default: the recorded runs]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help=f"The file.  [default: {DOCUMENT}; with an app, {DOCUMENT.name} beside its aforo.toml]",
)
def document(sizes: str | None, archives: Path | None, output: Path | None) -> None:
    """Write the document that the scenario asks for (tables and conclusions), in Spanish.

    Exit codes: 0 written, 2 no such runs, 3 the file or the database is not available.
    """
    settings = Settings.from_process()
    app = settings.app
    output = output or (DOCUMENT if app is None else app.folder / DOCUMENT.name)
    require_writable("document", output, REMEDY, make_folder=True)
    analysed = _recorded(settings) if archives is None else analyse_archives(archives)
    chosen = analysed if sizes is None else analysed.of_sizes(_labels(sizes))
    if not chosen.rows:
        raise UsageError("document", "no run of that size is recorded", "see `make table`", value=sizes or "")
    text = render_document(chosen, str(archives or ""))
    with written("document", output, REMEDY):
        output.write_text(text, "utf-8")
    click.echo(str(output))


def _recorded(settings: Settings) -> AnalysedRuns:
    with reading(open_store(settings)) as session:
        return load_and_analyse(session, settings)


def _labels(sizes: str) -> set[str]:
    return {parse_sizes(part).label for part in sizes.split(",")}
