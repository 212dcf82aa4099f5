"""`audit`: check a published result table."""

from __future__ import annotations

from pathlib import Path

import click

from capacity.audit.published_row import Printed, PublishedRow
from capacity.audit.verdict import Audited, Plausibility, audit_table
from capacity.commands.csv_table import Line, read_table
from capacity.commands.options import json_option, lang_option, with_examples
from capacity.commands.rendering import print_json
from capacity.report.messages import sentence
from core.errors import ExitCode
from core.language import Language, Text
from core.run import Mode

REQUIRED = ("size", "concurrency", "mode", "count", "x_per_min", "s_mean_s")
OPTIONAL = ("s_p50_s", "rate")
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

    FILE is CSV with header size,concurrency,mode,count,x_per_min,s_mean_s and optionally s_p50_s and rate
    (offered videos per minute of a sustained run). Every number may be rounded.

    Exit codes: 0 no row is impossible, 1 at least one is, 2 FILE is not such a table, 3 FILE cannot be read.
    """
    rows = [parse_row(line) for line in read_table(file, REQUIRED, OPTIONAL)]
    audited = audit_table(rows)
    if as_json:
        print_json({"rows": audited}, lang)
    else:
        _print_rows(rows, audited, lang)
    if any(row.verdict is Plausibility.IMPOSSIBLE for row in audited):
        context.exit(ExitCode.RUN_FAILED)


def parse_row(line: Line) -> PublishedRow:
    """Return the published row of a CSV line.

    Raise UsageError with the line number if a cell has a value that is not allowed.
    """
    return PublishedRow(
        size=line.parse("size", _text, "a size such as 50MB"),
        concurrency=line.parse("concurrency", _positive_whole, "a whole number over 0"),
        mode=line.parse("mode", lambda text: Mode(text.casefold()), "burst or sustained"),
        count=line.parse("count", _positive_whole, "a whole number over 0"),
        x=line.optional("x_per_min", Printed.parse, "a number with a decimal point"),
        s=line.optional("s_mean_s", Printed.parse, "a number with a decimal point"),
        p50=line.optional("s_p50_s", Printed.parse, "a number with a decimal point"),
        rate=line.optional("rate", _positive, "a number over 0"),
    )


def _print_rows(rows: list[PublishedRow], audited: list[Audited], lang: Language) -> None:
    for row, checked in zip(rows, audited, strict=True):
        name = f"{row.size} c={row.concurrency} {row.mode} n={row.count}"
        why = "; ".join(sentence(reason, lang) for reason in checked.reasons)
        click.echo(f"{name}: {VERDICTS[checked.verdict].to(lang)}" + (f" ({why})" if why else ""))


def _text(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError(text)
    return text


def _positive_whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError(text)
    return int(text)


def _positive(text: str) -> float:
    value = Printed.parse(text).value
    if value <= 0:
        raise ValueError(text)
    return value
