"""Command line of the dashboards: write their JSON, check it, draw pictures, or write a bundle."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import click

from core import cli
from core.errors import RunFailed
from core.language import LANGUAGES, Language
from core.settings import Settings
from grafana import bundle
from grafana.boards import BOARDS
from grafana.check import problems
from grafana.dashboard_files import FOLDERS, stale, write_all
from grafana.expressions import expressions
from grafana.picture.page import picture
from grafana.picture.window import looks_at
from grafana.promtool import promtool_errors, promtools
from grafana.series_names import series_names


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Write the dashboards' JSON, always in both languages, and print the files that changed.

    The stack gives Grafana the folder of the language AFORO_LANG.
    """
    if context.invoked_subcommand is None:
        for path in write_all():
            click.echo(path)


@main.command()
def check() -> None:
    """Check that the committed JSON is up to date and valid, and that promtool accepts every query."""
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
    """Write rules, alerts and dashboards to FOLDER (default dist/aforo-bundle) for your own Prometheus."""
    files = bundle.write(folder, runbook)
    click.echo(f"{folder}: {len(files)} files; see its README.md for how to use them")


@main.command("picture", epilog="Example: python -m grafana picture --run 20261124-051233-burst-50mb-c2 aforo-run")
@click.argument("boards", nargs=-1)
@click.option("--run", "run_id", help="Run to draw (default: the newest).")
@click.option("--share", default=1.0, show_default=True, help="Share of the run's duration to draw.")
@click.option("--lang", type=click.Choice(LANGUAGES), default="es", show_default=True)
@click.option("--folder", default="docs/pictures", show_default=True, type=click.Path(path_type=Path))
def pictures(boards: tuple[str, ...], run_id: str | None, share: float, lang: Language, folder: Path) -> None:
    """Draw BOARDS (default: all) as SVG, with the data of a run that is still in Prometheus."""
    looks = looks_at(Settings.from_process().prometheus.url, run_id, share, lang, time.time())
    folder.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        if not boards or board.uid in boards:
            target = folder / f"{board.uid}.svg"
            target.write_text(picture(board, looks[board.uid == "aforo-capacity"]), encoding="utf-8")
            click.echo(target)


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
