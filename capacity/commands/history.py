"""`history`: show at which runs the throughput of a cell changed.

With --fail-if-worse, the command fails if a cell became slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from capacity.analysis.cell_history import CellHistory, Trend, histories
from capacity.analysis.load_and_analyse import analyse_runs, runs_of
from capacity.commands.goals import WritableFile
from capacity.commands.options import Percentage, json_option, lang_option, with_examples
from capacity.commands.rendering import print_json
from capacity.report.goal_files import write_file
from capacity.report.history_json import history_as_json
from capacity.report.history_page import render_history
from capacity.report.history_text import change_text, terminal_text
from capacity.report.terminal import output_width
from capacity.runs.recorded_run import find_run
from capacity.runs.run_selection import RunSelection
from capacity.runs.sessions import open_store, reading
from capacity.table.phrases import cell_name
from core.cli import WholeNumber, env_option
from core.errors import CapacityLost, GoalMissed, UsageError
from core.language import Language
from core.rate import parse_rate
from core.run import Mode
from core.settings import MOST_SLOTS, MOST_WORKERS, Settings
from core.size_mix import parse_sizes

MOST_LOSS = 0.5


def _label(text: str) -> str:
    """Return the size as the runs store it. Raise UsageError for anything else."""
    return parse_sizes(text).label


@click.command(
    epilog=with_examples(
        "history --size 5MB --concurrency 2",
        "history 20261124-051233-burst-5mb-c2 --page history.html",
        "history --mode burst --fail-if-worse 5%",
        "history --since 2026-11-20 --json --lang en",
    )
)
@click.argument("run", required=False, metavar="[RUN_ID]")
@env_option("--size", "SIZE", "Runs with this size", unset="default all", type=_label)
@env_option(
    "--concurrency",
    "CONCURRENCY",
    "Runs with these slots per worker",
    unset="default all",
    type=WholeNumber(1, MOST_SLOTS),
)
@env_option(
    "--workers", "WORKERS", "Runs with this many workers", unset="default all", type=WholeNumber(1, MOST_WORKERS)
)
@env_option("--rate", "RATE", "Sustained runs at this rate per minute", unset="default all", type=parse_rate)
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), help="Runs of this mode, default both.")
@click.option("--since", metavar="DATE|RUN_ID", help="Runs from this day (UTC) or run on, such as 2026-11-20.")
@click.option(
    "--fail-if-worse",
    type=Percentage(MOST_LOSS),
    metavar="PERCENT",
    help="Exit with 5 if the newest change of a cell is a loss of more than this, such as 5%.",
)
@click.option(
    "--fail-if-unknown", is_flag=True, help="Exit with 4 if a cell has too few runs, or too much spread, to tell."
)
@click.option("--page", type=WritableFile(dir_okay=False), help="Write the histories with their charts as HTML.")
@json_option
@lang_option
def history(
    run: str | None,
    since: str | None,
    fail_if_worse: float | None,
    fail_if_unknown: bool,
    page: Path | None,
    as_json: bool,
    lang: Language,
    **cell: Any,
) -> None:
    """Show at which runs X_sat or the mean service time of a cell changed.

    X_sat is the throughput with every slot busy. Each change is shown with the conditions that differ, such as the
    ffmpeg version. With RUN_ID, only the cell of that run is shown. A cell needs at least four valid runs before a
    change can be detected. A cell became worse if its X_sat fell. Without any X_sat, the service time decides.

    Exit codes: 0 the histories are shown, 2 wrong input or no such run, 3 the database is not available, 4 (with
    --fail-if-unknown) it is unknown whether a cell became worse, 5 (with --fail-if-worse) a cell became worse.
    """
    if fail_if_unknown and fail_if_worse is None:
        raise UsageError("--fail-if-unknown", "it needs --fail-if-worse", "add --fail-if-worse 5%")
    selected = _load(run, since, cell)
    if page is not None:
        write_file(page, render_history(selected, lang))
    if as_json:
        content = {
            "margin_ratio": fail_if_worse,
            "histories": [history_as_json(one, fail_if_worse, lang) for one in selected],
        }
        print_json(content, lang)
    else:
        shown = (terminal_text(one, lang, with_runs=len(selected) == 1, width=output_width()) for one in selected)
        click.echo("\n\n".join(shown))
    if fail_if_worse is not None:
        _require_no_loss(selected, fail_if_worse, fail_if_unknown)


def _load(run_id: str | None, since: str | None, cell: dict[str, Any]) -> list[CellHistory]:
    """Return the histories of the selected cells. Raise UsageError if they have no usable run."""
    settings = Settings.from_process()
    with reading(open_store(settings)) as session:
        selection = _selection(session, run_id, since, cell)
        ids = [run.id for run in runs_of(session, settings, run_id) if selection.has(run)]
        rows = [analysis.row for analysis in analyse_runs(session, settings, ids)]
    selected = [one for one in histories(rows) if run_id is None or any(row.run_id == run_id for row in one.rows)]
    if not selected:
        why = "every selected run is invalid or has no figure" if ids else "no ended run is selected"
        raise UsageError("history", why, "see `make table` for the runs")
    return selected


def _selection(session: Session, run_id: str | None, since: str | None, cell: dict[str, Any]) -> RunSelection:
    moment = None if since is None else _moment(session, since)
    if run_id is None:
        return RunSelection(cell["size"], cell["mode"], cell["concurrency"], cell["workers"], cell["rate"], moment)
    return RunSelection.like(find_run(session, run_id), moment)


def _moment(session: Session, text: str) -> float:
    """Return the start of a day in UTC, or the start of a run. Raise UsageError for any other text."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return find_run(session, text).created_at


def _require_no_loss(selected: Sequence[CellHistory], margin: float, fail_if_unknown: bool) -> None:
    """Raise CapacityLost if a cell lost more than `margin`, and GoalMissed if that is unknown and must not be."""
    by_trend: dict[Trend, list[CellHistory]] = {}
    for one in selected:
        by_trend.setdefault(one.judged.trend(margin), []).append(one)
    if worse := by_trend.get(Trend.WORSE):
        shown = "; ".join(_newest_change(one) for one in worse)
        raise CapacityLost("capacity", shown, "see the conditions that differ there", value=_counted(worse, selected))
    if fail_if_unknown and (unknown := [*by_trend.get(Trend.TOO_FEW_RUNS, []), *by_trend.get(Trend.UNCLEAR, [])]):
        shown = "; ".join(f"{cell_name(one.rows[-1], 'en')}: {one.judged.trend(margin).value}" for one in unknown)
        raise GoalMissed(
            "capacity", f"unknown: {shown}", "make more runs of these cells", value=_counted(unknown, selected)
        )


def _newest_change(one: CellHistory) -> str:
    changes = one.judged.changes or ()
    return f"{cell_name(one.rows[-1], 'en')}: {change_text(one.judged.measure, changes[-1], 'en')}"


def _counted(some: Sequence[CellHistory], selected: Sequence[CellHistory]) -> str:
    return f"{len(some)} of {len(selected)} cells"
