"""Entry point of `python -m grafana`: write the dashboards' JSON, check it, or pack it with alerts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from core import cli
from core.errors import RunFailed
from core.language import LANGUAGES
from core.settings import Settings
from grafana import bundle
from grafana.boards import BOARDS
from grafana.check import problems
from grafana.dashboard_files import FOLDERS, stale, write_all
from grafana.expressions import expressions
from grafana.promtool import promtool_errors, promtools
from grafana.series_names import series_names


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Write the JSON files of all dashboards in both languages, and print the files that changed.

    AFORO_LANG selects the language in which the stack's Grafana shows the dashboards.

    Exit codes: 0 written.
    """
    if context.invoked_subcommand is None:
        for path in write_all():
            click.echo(path)


@main.command()
def check() -> None:
    """Print each problem of the dashboards' JSON files, and fail if there is any.

    Problems are: a file is out of date, its JSON is wrong, or promtool rejects a query.

    Exit codes: 0 no problem, 1 at least one.
    """
    lines = list(_problems())
    for line in lines:
        click.echo(line)
    if lines:
        raise RunFailed("dashboards", f"{len(lines)} problems", "correct grafana/boards, then run `python -m grafana`")
    click.echo(f"{len(BOARDS)} dashboards in {len(LANGUAGES)} languages are valid")


@main.command("bundle", epilog="Example: python -m grafana bundle --runbook https://wiki.example.com/aforo/runbook")
@click.argument("folder", default="dist/aforo-bundle", type=click.Path(path_type=Path))
@click.option("--runbook", default=bundle.RUNBOOK, show_default=True, help="URL of the alerts' runbook.")
def pack(folder: Path, runbook: str) -> None:
    """Write rules, alerts and dashboards for your own Prometheus and Grafana into FOLDER.

    The alerts link to the runbook at --runbook: a URL, or by default the path of the copy in FOLDER.

    Exit codes: 0 written, 3 FOLDER cannot be written.
    """
    files = bundle.write(folder, runbook)
    click.echo(f"{folder}: {len(files)} files; see its README.md for how to use them")


def _problems() -> Iterator[str]:
    metrics, uids, texts = series_names(), {board.uid for board in BOARDS}, set()
    for lang in LANGUAGES:
        yield from (f"{path} is not up to date" for path in stale(lang))
        for path in sorted(FOLDERS[lang].glob("*.json")):
            board = json.loads(path.read_text(encoding="utf-8"))
            yield from (f"{path.name} ({lang}): {problem}" for problem in problems(board, metrics, uids))
            texts |= {expression.text for expression in expressions(board)}
    for promtool in promtools(Settings.from_process().promtools):
        yield from filter(None, [promtool_errors(promtool, texts)])


if __name__ == "__main__":
    cli.run(main, "python -m grafana")
