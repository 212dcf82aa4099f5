"""`compare`: test whether runs B are slower than runs A."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from capacity.analysis.measured_run import measure
from capacity.commands.options import Finite, json_option, lang_option, run_ids, with_examples
from capacity.commands.rendering import print_json
from capacity.estimators.comparison import (
    MARGIN,
    Comparison,
    Gate,
    NotComparable,
    compare_runs,
    compare_single_runs,
    different_conditions,
    not_comparable,
)
from capacity.estimators.reason import Reason
from capacity.report.messages import sentence
from capacity.runs.recorded_run import find_run, load_run
from capacity.runs.result_row import ResultRow
from capacity.runs.sessions import open_store, reading
from capacity.table.number_format import interval_text, percent, significant
from core.errors import ExitCode, UsageError
from core.language import Language, Text
from core.settings import Settings

VERDICTS = {
    Gate.PASS: Text("B no es más lento que A", "B is not slower than A"),
    Gate.FAIL: Text("B es más lento que A", "B is slower than A"),
    Gate.INCONCLUSIVE: Text("no concluyente", "inconclusive"),
    Gate.NOT_COMPARABLE: Text("no comparables", "not comparable"),
}

MORE_RUNS = Text("haga {} pruebas más por lado", "run {} more per side")


@click.command(epilog=with_examples("compare RUN_A1,RUN_A2,RUN_A3 RUN_B1,RUN_B2,RUN_B3", "compare A B --margin 0.03"))
@click.argument("a", metavar="RUN[,RUN…]")
@click.argument("b", metavar="RUN[,RUN…]")
@click.option("--margin", type=Finite(0, 0.5), default=MARGIN, show_default=True, help="Allowed loss.")
@click.option("--run-deviation", type=Finite(0), help="Standard deviation of ln X_sat of 5 or more runs.")
@json_option
@lang_option
def compare(a: str, b: str, margin: float, run_deviation: float | None, as_json: bool, lang: Language) -> None:
    """Compare X_sat of the runs A with that of the runs B.

    Exit codes: 0 B is not slower, 1 slower, inconclusive or not comparable, 2 wrong input.
    """
    comparison = _compare(*_sides(a, b), margin, run_deviation)
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


def _compare(a: Sequence[str], b: Sequence[str], margin: float, run_deviation: float | None) -> Comparison:
    with reading(open_store(Settings.from_process())) as session:
        rows = [[measure(load_run(session, find_run(session, run_id))).row for run_id in side] for side in (a, b)]
    reason = _reason_against(rows)
    if reason is not None:
        return not_comparable(reason)
    capacity_a, capacity_b = ([row.x_sat_per_minute or 0.0 for row in side] for side in rows)
    if len(capacity_a) == len(capacity_b) == 1:
        first = rows[0][0]
        return compare_single_runs(
            capacity_a[0],
            capacity_b[0],
            run_deviation=run_deviation,
            cv=first.service_cv or 0.0,
            videos=first.done,
            margin=margin,
        )
    return compare_runs(capacity_a, capacity_b, margin)


def _reason_against(rows: Sequence[Sequence[ResultRow]]) -> Reason | None:
    """Return the reason why these runs must not be compared, or None.

    The reasons are an unknown X_sat, an incomplete run, and different conditions.
    """
    for row in (row for side in rows for row in side):
        if row.x_sat_per_minute is None:
            return Reason(NotComparable.NO_X_SAT, {"run_id": row.run_id})
        if row.done < row.count:
            return Reason(NotComparable.INCOMPLETE_RUN, {"run_id": row.run_id})
    first, *others = [_conditions(row) for side in rows for row in side]
    return next((reason for other in others if (reason := different_conditions(first, other))), None)


def _conditions(row: ResultRow) -> dict[str, Any]:
    return asdict(row.conditions) | {"mode": row.mode, "slots": row.slots}


def _verdict(comparison: Comparison, lang: Language) -> str:
    verdict = VERDICTS[comparison.gate].to(lang)
    if comparison.reason is not None:
        return f"{verdict}: {sentence(comparison.reason, lang)}"
    change = None if comparison.ratio is None else comparison.ratio - 1
    ratio = f"B/A = {significant(comparison.ratio, lang)} {interval_text(comparison.interval, lang, 4)}"
    extra = comparison.extra_runs_per_side
    return f"{verdict}: {ratio} ({percent(change, lang)})" + (f"; {MORE_RUNS.to(lang).format(extra)}" if extra else "")
