"""`compare`: test whether runs B are slower than runs A."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from capacity.analysis.load_and_analyse import analyse_runs
from capacity.commands.goals import WritableFile
from capacity.commands.options import Finite, json_option, lang_option, run_ids, with_examples
from capacity.commands.rendering import print_json
from capacity.estimators.comparison import (
    MARGIN,
    Comparison,
    Gate,
    NotComparable,
    SingleRun,
    compare_runs,
    compare_single_runs,
    different_conditions,
    not_comparable,
)
from capacity.estimators.reason import Reason
from capacity.report.comparison_page import Sides, render_comparison
from capacity.report.goal_files import write_file
from capacity.report.messages import sentence
from capacity.runs.conditions import Conditions
from capacity.runs.result_row import ResultRow
from capacity.runs.sessions import open_store, reading
from capacity.table.number_format import interval_text, percent, significant
from core.errors import ExitCode, UsageError
from core.language import Language, Text
from core.settings import Settings

ROW_CONDITIONS = ("mode", "slots", "nodes")
CONDITIONS = (*(field.name for field in fields(Conditions)), *ROW_CONDITIONS)
VERDICTS = {
    Gate.PASS: Text("B no es más lento que A", "B is not slower than A"),
    Gate.FAIL: Text("B es más lento que A", "B is slower than A"),
    Gate.INCONCLUSIVE: Text("no concluyente", "inconclusive"),
    Gate.NOT_COMPARABLE: Text("no comparables", "not comparable"),
}

MORE_RUNS = Text("haga {} pruebas más por lado", "run {} more per side")


@click.command(
    epilog=with_examples(
        "compare RUN_A1,RUN_A2,RUN_A3 RUN_B1,RUN_B2,RUN_B3",
        "compare A B --margin 0.03",
        "compare A1,A2 B1,B2 --allow ffmpeg",
        "compare A1,A2 B1,B2 --page comparison.html",
    )
)
@click.argument("a", metavar="RUN[,RUN…]")
@click.argument("b", metavar="RUN[,RUN…]")
@click.option("--margin", type=Finite(0, 0.5), default=MARGIN, show_default=True, help="Allowed loss.")
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    metavar="NAME",
    help=f"Condition that may differ between the sides, such as ffmpeg; repeatable: {', '.join(sorted(CONDITIONS))}.",
)
@click.option("--run-deviation", type=Finite(0), help="Standard deviation of ln X_sat of 5 or more runs.")
@click.option(
    "--page", type=WritableFile(dir_okay=False), help="Write both sides, and what differs in their conditions, as HTML."
)
@json_option
@lang_option
def compare(
    a: str,
    b: str,
    margin: float,
    allowed: tuple[str, ...],
    run_deviation: float | None,
    page: Path | None,
    as_json: bool,
    lang: Language,
) -> None:
    """Test whether system B is slower than system A, from recorded runs of both.

    The first argument has the ids of the runs of A, the second those of B. The test compares X_sat, the throughput with
    every slot busy. All runs must have the same conditions, except those that --allow names. A run that is invalid,
    incomplete or without X_sat makes the result "not comparable".

    Exit codes: 0 B is not slower, 1 slower, inconclusive or not comparable, 2 wrong input, 3 the database is not
    available.
    """
    _require_conditions(allowed)
    sides = _rows(_sides(a, b))
    comparison = _compare(sides, margin, run_deviation, allowed)
    if page is not None:
        conditions = [_conditions(side[0]) for side in sides]
        write_file(page, render_comparison(sides, conditions, _verdict(comparison, lang), lang))
    if as_json:
        print_json({"comparison": comparison}, lang)
    else:
        click.echo(_verdict(comparison, lang))
    if comparison.gate is not Gate.PASS:
        raise click.exceptions.Exit(ExitCode.RUN_FAILED)


def _sides(a: str, b: str) -> tuple[list[str], list[str]]:
    both = run_ids(a), run_ids(b)
    if shared := set(both[0]) & set(both[1]):
        raise UsageError("compare", "a run is on both sides", "give other runs", value=", ".join(sorted(shared)))
    return both


def _require_conditions(names: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in CONDITIONS]:
        allowed = f"give one of {', '.join(sorted(CONDITIONS))}"
        raise UsageError("--allow", "there is no such condition", allowed, value=", ".join(unknown))


def _rows(sides: tuple[Sequence[str], Sequence[str]]) -> Sides:
    settings = Settings.from_process()
    with reading(open_store(settings)) as session:
        a, b = ([run.row for run in analyse_runs(session, settings, side)] for side in sides)
    return a, b


def _compare(rows: Sides, margin: float, run_deviation: float | None, allowed: Sequence[str]) -> Comparison:
    reason = _reason_against(rows, allowed)
    if reason is not None:
        return not_comparable(reason)
    a, b = ([_single(row) for row in side] for side in rows)
    if len(a) == len(b) == 1:
        return compare_single_runs(a[0], b[0], run_deviation=run_deviation, margin=margin)
    return compare_runs([run.per_minute for run in a], [run.per_minute for run in b], margin)


def _single(row: ResultRow) -> SingleRun:
    return SingleRun(row.run_id, row.x_sat_per_minute or 0.0, row.service_cv, row.done)


def _reason_against(rows: Sequence[Sequence[ResultRow]], allowed: Sequence[str]) -> Reason | None:
    """Return the reason why these runs must not be compared, or None.

    The reasons are an invalid run, an unknown X_sat, an incomplete run, and different conditions.
    """
    for row in (row for side in rows for row in side):
        if row.validity.is_invalid:
            return Reason(NotComparable.INVALID_RUN, {"run_id": row.run_id, "reasons": list(row.validity.reasons)})
        if row.x_sat_per_minute is None:
            return Reason(NotComparable.NO_X_SAT, {"run_id": row.run_id})
        if row.done < row.count:
            return Reason(NotComparable.INCOMPLETE_RUN, {"run_id": row.run_id})
    return _difference(rows, allowed)


def _difference(rows: Sequence[Sequence[ResultRow]], allowed: Sequence[str]) -> Reason | None:
    """Return the conditions that differ within a side, or between the sides without being allowed to."""
    (first, *rest), (other, *others) = ([_conditions(row) for row in side] for side in rows)
    pairs = [(first, row, ()) for row in rest] + [(other, row, ()) for row in others] + [(first, other, allowed)]
    return next((reason for a, b, names in pairs if (reason := different_conditions(a, b, names))), None)


def _conditions(row: ResultRow) -> dict[str, Any]:
    return {name: getattr(row if name in ROW_CONDITIONS else row.conditions, name) for name in CONDITIONS}


def _verdict(comparison: Comparison, lang: Language) -> str:
    verdict = VERDICTS[comparison.gate].to(lang)
    if comparison.reason is not None:
        return f"{verdict}: {sentence(comparison.reason, lang)}"
    change = None if comparison.ratio is None else comparison.ratio - 1
    ratio = f"B/A = {significant(comparison.ratio, lang)} {interval_text(comparison.interval, lang, 4)}"
    extra = comparison.extra_runs_per_side
    return f"{verdict}: {ratio} ({percent(change, lang)})" + (f"; {MORE_RUNS.to(lang).format(extra)}" if extra else "")
