"""`table`: print and write the result table in the scenario's format."""

from __future__ import annotations

import click

from capacity.commands.options import json_option, lang_option, with_examples
from capacity.commands.rendering import print_json
from capacity.experiments.run_launcher import RunLauncher
from capacity.table.table_text import csv_text, json_row, markdown, sources
from core.language import Language, Text
from core.results_folder import archived_runs

ARCHIVES_KEPT = Text(
    "la base de datos no tiene pruebas, pero quedan {count} archivadas; cada una se lee con "
    "`make report ARGS={folder}`",
    "the database has no runs, but {count} are archived; read each with `make report ARGS={folder}`",
)


@click.command(epilog=with_examples("table", "table --csv", "table --json --lang en"))
@click.option(
    "--csv",
    "as_csv",
    is_flag=True,
    help="Print CSV instead, with every figure and run id; in Spanish with decimal comma and semicolons.",
)
@json_option
@lang_option
def table(as_csv: bool, as_json: bool, lang: Language) -> None:
    """Print the result table of all runs, and write results/table.md and results/table.csv.

    Each row is one cell: a combination of size, slots, workers, mode, rate, load shape and app. Its figures are means
    over the complete valid runs of the cell with the same conditions. Without such runs, complete indicative runs are
    used. Without these too, one other run is shown with a note. Means of X and S include only the runs with the most
    videos.

    Exit codes: 0 printed, 3 the database is not available.
    """
    launcher = RunLauncher.open(lang)
    cells = launcher.analyse().cells
    if not cells and (kept := archived_runs(launcher.settings.results.path)):
        click.echo(ARCHIVES_KEPT.to(lang).format(count=len(kept), folder=kept[-1]), err=True)
    if as_json:
        print_json({"rows": [json_row(cell) for cell in cells]}, lang)
    elif as_csv:
        click.echo(csv_text(cells, lang), nl=False)
    else:
        click.echo(f"{markdown(cells, lang)}\n{sources(cells, lang)}", nl=False)
