"""`wait`, `report` and `table`: from a recorded run to its row."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import click

from capacity import results
from capacity.commands.options import json_option, lang_option, with_examples
from capacity.commands.rendering import plain, print_json
from capacity.language import Language, interval_text, number
from capacity.recorded import find_run
from capacity.trial import Laboratory
from pipeline.errors import RunFailed
from pipeline.settings import Settings


@click.command(epilog=with_examples("wait", "wait 20261124-051233-burst-50mb-c2"))
@click.argument("run_id", required=False)
@click.option(
    "--stuck-minutes", default=30.0, show_default=True, help="Give up after so long without any video ending."
)
def wait(run_id: str | None, stuck_minutes: float) -> None:
    """Wait until every video of the run (default: the newest) has ended, and close the run."""
    laboratory = Laboratory.open()
    with laboratory.sessions() as session:
        wanted = find_run(session, run_id).id
    laboratory.wait(wanted, lambda _ended, _expected: None, stuck_minutes * 60)


@click.command(epilog=with_examples("report", "report --tasks-log results/worker_tasks_20261124_051233.log --lang en"))
@click.argument("run_id", required=False)
@click.option("--tasks-log", help="A log of task ids, one a line, instead of a run's id.")
@json_option
@lang_option
def report(run_id: str | None, tasks_log: str | None, as_json: bool, lang: Language) -> None:
    """Print the run's row (default: the newest run) and write it under results/."""
    settings = Settings.from_process()
    with results.open_store(settings)() as session:
        row = results.measure_settled(session, find_run(session, run_id, tasks_log), settings.prometheus.url)
    _write_row(settings.results.path, row)
    _write_table(settings.results.path, results.load_rows(), lang)
    if as_json:
        print_json(dataclasses.asdict(row), lang)
        return
    click.echo("\n".join([results.HEADER, results.RULE, results.table_line(row, lang)]))
    click.echo(
        f"\n{row.run_id}: {row.done}/{row.count} done, {row.failed} failed · X {row.x_per_minute} (Prometheus) = "
        f"{row.x_database} (database) · service {number(row.service_mean_seconds, lang)} s · "
        f"X_sat {number(row.x_sat_per_minute, lang)} {interval_text(row.x_sat_interval, lang)}",
        err=True,
    )
    if row.done < row.count:
        raise RunFailed(
            "run", f"{row.count - row.done} of {row.count} videos are not done", "see `make logs`", value=row.run_id
        )


@click.command(epilog=with_examples("table", "table --json"))
@json_option
@lang_option
def table(as_json: bool, lang: Language) -> None:
    """Print the scenario's table of every recorded run and write results/table.md and .csv."""
    rows = results.load_rows()
    _write_table(Settings.from_process().results.path, rows, lang)
    if as_json:
        print_json({"rows": [dataclasses.asdict(row) for row in rows]}, lang)
        return
    click.echo("\n".join([results.HEADER, results.RULE, *(results.table_line(row, lang) for row in rows)]))


def _write_row(folder: Path, row: results.ResultRow) -> None:
    target = folder / "runs" / row.run_id
    target.mkdir(parents=True, exist_ok=True)
    (target / "row.json").write_text(json.dumps(plain(row, "en"), indent=2) + "\n", encoding="utf-8")


def _write_table(folder: Path, rows: Sequence[results.ResultRow], lang: Language) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [results.HEADER, results.RULE, *(results.table_line(row, lang) for row in rows)]
    (folder / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in dataclasses.fields(results.ResultRow)])
        writer.writeheader()
        writer.writerows(vars_of(row) for row in rows)


def vars_of(row: results.ResultRow) -> dict[str, object]:
    """Return a row's fields, an interval as `low..high`."""
    interval = row.x_sat_interval
    shown = None if interval is None else f"{interval.low}..{interval.high}"
    return {**{f.name: getattr(row, f.name) for f in dataclasses.fields(row)}, "x_sat_interval": shown}
