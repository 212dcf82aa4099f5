"""`python -m grafana [check|bundle]`: write the JSON of the dashboards, check it, or pack it with rules and alerts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from grafana import bundle
from grafana.boards import BOARDS
from grafana.check import faults
from grafana.expressions import expressions
from grafana.generated import FOLDERS, stale, write_all
from grafana.known import known_metrics
from grafana.promtool import promtools, refused
from grafana.wording import LANGUAGES
from pipeline import cli
from pipeline.errors import RunFailed


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Write the dashboards' JSON in both languages; print the files that changed."""
    if context.invoked_subcommand is None:
        for path in write_all():
            click.echo(path)


@main.command()
def check() -> None:
    """Look at the JSON as it is committed: up to date, sound, and every query one that Prometheus takes."""
    found = list(_faults())
    for fault in found:
        click.echo(fault)
    if found:
        raise RunFailed("dashboards", f"{len(found)} faults", "correct grafana/boards, then run `python -m grafana`")
    click.echo(f"{len(BOARDS)} dashboards in {len(LANGUAGES)} languages are sound")


@main.command("bundle", epilog="Example: python -m grafana bundle --runbook https://wiki.example.com/aforo/runbook")
@click.argument("folder", default="dist/aforo-bundle", type=click.Path(path_type=Path))
@click.option("--runbook", default=bundle.RUNBOOK, show_default=True, help="Where the alerts' runbook is to be read.")
def pack(folder: Path, runbook: str) -> None:
    """Write rules, alerts and dashboards into FOLDER (default dist/aforo-bundle) for a Prometheus of your own."""
    files = bundle.write(folder, runbook)
    click.echo(f"{folder}: {len(files)} files; its README.md says what to do with them")


def _faults() -> Iterator[str]:
    metrics, uids, texts = known_metrics(), {board.uid for board in BOARDS}, set()
    for lang in LANGUAGES:
        yield from (f"{path} is not what its source makes" for path in stale(lang))
        for path in sorted(FOLDERS[lang].glob("*.json")):
            board = json.loads(path.read_text(encoding="utf-8"))
            yield from (f"{path.name} ({lang}): {fault}" for fault in faults(board, metrics, uids))
            texts |= {expression.text for expression in expressions(board)}
    for promtool in promtools():
        yield from filter(None, [refused(promtool, texts)])


if __name__ == "__main__":
    cli.run(main, "python -m grafana")
