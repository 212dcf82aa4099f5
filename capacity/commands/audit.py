"""`audit`: check a published result table."""

from __future__ import annotations

from pathlib import Path

import click

from capacity.audit.published_row import PublishedRow
from capacity.audit.verdict import Audited, Plausibility, audit_table
from capacity.commands.options import json_option, lang_option, with_examples
from capacity.commands.published_table import published_rows
from capacity.commands.rendering import print_json
from capacity.report.messages import sentence
from capacity.table.number_format import UNKNOWN
from capacity.table.phrases import plural
from core.errors import ExitCode
from core.language import Language, Text

VERDICTS = {
    Plausibility.OK: Text("correcta", "ok"),
    Plausibility.SUSPICIOUS: Text("sospechosa", "suspicious"),
    Plausibility.IMPOSSIBLE: Text("imposible", "impossible"),
}


@click.command(epilog=with_examples("audit tabla.csv", "audit tabla.csv --lang en --json"))
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@lang_option
@click.pass_context
def audit(context: click.Context, file: Path, as_json: bool, lang: Language) -> None:
    """Check the result table in FILE for impossible and suspicious rows.

    FILE is a CSV or Markdown table, or a document with such a table. It can be the scenario's table, Aforo's table.csv
    or table.md, or a table with the columns size,concurrency,mode,x_per_min,s_mean_s. Optional columns are count
    (videos of the test), s_p50_s (median response time), rate (offered videos per minute), workers and notes. Notes can
    say N=100, rate=10/min and 2 workers.

    Exit codes: 0 no row is impossible, 1 at least one is, 2 FILE is not such a table, 3 FILE cannot be read.
    """
    rows = published_rows(file)
    audited = audit_table(rows)
    without_count = sum(row.count is None for row in rows)
    if as_json:
        print_json({"rows": audited, "rows_without_count": without_count}, lang)
    else:
        _print_rows(rows, audited, lang)
        _print_note(without_count, lang)
    if any(row.verdict is Plausibility.IMPOSSIBLE for row in audited):
        context.exit(ExitCode.RUN_FAILED)


def _print_rows(rows: list[PublishedRow], audited: list[Audited], lang: Language) -> None:
    for row, checked in zip(rows, audited, strict=True):
        name = _name(row, lang)
        why = "; ".join(sentence(reason, lang) for reason in checked.reasons)
        click.echo(f"{name}: {VERDICTS[checked.verdict].to(lang)}" + (f" ({why})" if why else ""))


def _name(row: PublishedRow, lang: Language) -> str:
    workers = f" × {row.workers} workers" if row.workers > 1 else ""
    count = UNKNOWN.to(lang) if row.count is None else row.count
    return f"{row.size} c={row.concurrency}{workers} {row.mode} n={count}"


def _print_note(without_count: int, lang: Language) -> None:
    if without_count:
        text = Text(
            f"{plural(without_count, 'fila', 'filas')} sin el número de videos N: no se comprobó lo "
            "que depende de él (S ≤ 60·N/X); añada la columna count, o N=100 en las notas",
            f"{plural(without_count, 'row', 'rows')} without the number of videos N: what depends on "
            "it was not checked (S ≤ 60·N/X); add the column count, or N=100 in the notes",
        )
        click.echo(text.to(lang))
