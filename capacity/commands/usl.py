"""`usl`: fit the Universal Scalability Law (USL) to measured levels, or say why it does not apply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from capacity.analysis.load_and_analyse import load_rows
from capacity.analysis.scalability_curves import capacity_levels
from capacity.audit.published_row import Printed
from capacity.commands.options import json_option, lang_option, run_ids, with_examples
from capacity.commands.rendering import LabelledValue, print_facts, print_json
from capacity.commands.table_file import Columns, Line, read_table
from capacity.estimators.interval import Floats, Interval
from capacity.estimators.pooled_error import pooled_error
from capacity.estimators.scaling_bound import ScalingBound, scaling_bound
from capacity.estimators.usl import Levels, UslFit, UslIntervals, efficiency, fit_usl
from capacity.report.curve_statements import bound_text
from capacity.report.messages import sentence
from capacity.runs.result_row import ResultRow
from capacity.table.number_format import percent, significant
from core.errors import UsageError
from core.language import Language, Text
from core.settings import Settings

COLUMNS = Columns(required=("n", "x"), optional=("se", "runs"))
MOST_POINTS, MOST_RUNS = 200, 1000


@dataclass(frozen=True, slots=True)
class FitInput:
    """Input of a scalability-law fit: throughput at several numbers of slots, and the machine's cores.

    `cores` is None if it is unknown.
    """

    levels: Levels
    cores: int | None = None


@click.command(
    epilog=with_examples(
        "usl levels.csv",
        "usl specsdm91.csv --unweighted --json",
        "usl --runs burst-50mb-c1,burst-50mb-c2,burst-50mb-c4",
    )
)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--runs", metavar="RUN,RUN…", help="Fit X_sat of these recorded runs instead of a file.")
@click.option("--unweighted", is_flag=True, help="Give every point the same weight, as published fits do.")
@json_option
@lang_option
def usl(file: Path | None, runs: str | None, unweighted: bool, as_json: bool, lang: Language) -> None:
    """Fit throughput against concurrency with the Universal Scalability Law.

    FILE is a CSV file with the header n,x or n,x,se or n,x,se,runs. The columns are concurrency, throughput, its
    standard error, and the number of averaged runs. With runs, new standard errors assume that runs vary by the same
    percentage at every point.

    Points are weighted by 1/se, or by 1/x without se. The intervals (90 %) come from a bootstrap. With fewer than four
    different concurrencies, only an upper bound is printed. If the law does not apply, the reason is printed.

    Exit codes: 0 the fit or the reason against it is printed, 2 wrong input, 3 FILE or the database cannot be
    read.
    """
    points = _input(file, runs)
    fit = fit_usl(points.levels, weighted=not unweighted, cores=points.cores)
    if as_json:
        print_json(fit_as_json(points.levels, fit), lang)
    else:
        print_facts(*_result(points.levels, fit, lang))


def fit_as_json(levels: Levels, fit: UslFit) -> dict[str, Any]:
    """Return the content of the JSON output for a fitted scalability law, with sigma, kappa and lambda.

    `n_peak`, the concurrency with the highest throughput, is not rounded. It is None when kappa is 0. The function
    `print_json` converts reasons and NaN to JSON.
    """
    model = fit.model
    return {
        "sigma": model.sigma,  # NaN, printed as null, under four levels
        "kappa": model.kappa,
        "lambda": model.scale,
        "n_peak": model.peak,
        "x_peak": None if model.peak is None else model.throughput(model.peak),
        "limit": model.limit,
        "intervals": _intervals_as_json(fit.intervals),
        "standard_errors": _errors_as_json(fit.standard_errors),
        "residual_standard_error": fit.residual_standard_error,
        "dof": fit.dof,
        "bound": _bound_as_json(scaling_bound(levels)),
        "caution": fit.caution,
        "max_relative_residual": fit.max_relative_residual,
        "efficiency": efficiency(levels).tolist(),
        # the keys `refused` and `peak_refused` are kept for readers of old output
        "refused": fit.unusable,
        "peak_refused": fit.peak_reason,
    }


def _bound_as_json(bound: ScalingBound) -> dict[str, Any]:
    return {"per_slot": bound.per_slot, "ceiling": bound.ceiling, "knee": bound.knee}


def _intervals_as_json(intervals: UslIntervals | None) -> dict[str, Any] | None:
    if intervals is None:
        return None
    return {
        "level": [0.05, 0.95],
        "sigma": _ends(intervals.sigma),
        "kappa": _ends(intervals.kappa),
        "lambda": _ends(intervals.scale),
        "n_peak": _ends(intervals.peak),
        "x_peak": _ends(intervals.peak_throughput),
        "kappa_zero_probability": intervals.kappa_zero_probability,
    }


def _errors_as_json(errors: tuple[float, float, float] | None) -> dict[str, float] | None:
    return None if errors is None else dict(zip(("lambda", "sigma", "kappa"), errors, strict=True))


def _ends(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


def _input(file: Path | None, runs: str | None) -> FitInput:
    if (file is None) == (runs is None):
        raise UsageError("usl", "it needs points from one source", "give FILE or --runs, not both")
    if file is not None:
        return FitInput(read_levels(file))
    rows = load_rows(Settings.from_process(), run_ids(runs or ""))
    if invalid := [row.run_id for row in rows if row.validity.is_invalid]:
        remedy = "leave it out, and see `make report` for the reasons"
        raise UsageError("usl --runs", "an invalid run gives no level", remedy, value=", ".join(invalid))
    return levels_of_runs(rows)


def read_levels(file: Path) -> Levels:
    """Read the points to fit from a CSV file with the header n,x or n,x,se or n,x,se,runs.

    The columns are concurrency, throughput, its standard error, and the number of averaged runs. With `runs`, new
    standard errors assume that runs vary by the same percentage at every point. Without any `se`, the column `runs` is
    ignored. Raise UsageError for an invalid line.
    """
    lines = read_table(file, COLUMNS, most_lines=MOST_POINTS)
    n = [_number(line, "n", at_least=1) for line in lines]
    x = [_number(line, "x") for line in lines]
    if not any(line.cells.get("se") for line in lines):
        return Levels(np.array(n), np.array(x))
    se = np.array([_number(line, "se") for line in lines])
    if not any(line.cells.get("runs") for line in lines):
        return Levels(np.array(n), np.array(x), se)
    return _pooled(np.array(n), np.array(x), se, np.array([_runs(line) for line in lines]))


def _pooled(n: Floats, x: Floats, se: Floats, runs: Floats) -> Levels:
    """Return the levels with standard errors that are pooled over them.

    They have no standard errors if there are too few runs.
    """
    pooled = pooled_error(x, se * np.sqrt(runs) / x, runs)
    return Levels(n, x) if pooled is None else Levels(n, x, pooled.se, pooled.dof)


def _runs(line: Line) -> float:
    allowed = f"a whole number from 1 to {MOST_RUNS}"
    runs = _number(line, "runs", at_least=1)
    if runs > MOST_RUNS or runs != int(runs):
        raise line.fault("runs", allowed, line.cells["runs"])
    return runs


def levels_of_runs(rows: list[ResultRow]) -> FitInput:
    """Return the input of a scalability-law fit: for each number of slots, the X_sat of its runs.

    The standard errors come from the differences between runs with the same slots. Runs without X_sat are left out.
    Raise UsageError if no run has an X_sat.
    """
    capacities: dict[int, list[float]] = {}
    for row in rows:
        if row.x_sat_per_minute is not None:
            capacities.setdefault(row.slots, []).append(row.x_sat_per_minute)
    if not capacities:
        raise UsageError("usl --runs", "none of the runs has an X_sat", "give bursts of more videos than slots")
    cores = {row.cpu_count for row in rows if row.x_sat_per_minute is not None}
    return FitInput(capacity_levels(sorted(capacities.items())), cores=cores.pop() if len(cores) == 1 else None)


def _number(line: Line, column: str, at_least: float = 0.0) -> float:
    allowed = f"a number of {at_least:g} or more" if at_least else "a number over 0"
    value = line.number_in(column, lambda text: Printed.parse(text).value, allowed)
    if value is None or value < at_least or value == 0:
        raise line.fault(column, allowed, line.cells[column])
    return value


def _result(levels: Levels, fit: UslFit, lang: Language) -> tuple[Text, list[LabelledValue], Language, list[Text]]:
    title = Text(
        "Ley Universal de Escalabilidad: X(n) = λn / (1 + σ(n-1) + κn(n-1))",
        "Universal Scalability Law: X(n) = λn / (1 + σ(n-1) + κn(n-1))",
    )
    return title, [*_coefficients(fit, lang), *_consequences(levels, fit, lang)], lang, list(_notes(fit, lang))


def _coefficients(fit: UslFit, lang: Language) -> Iterator[LabelledValue]:
    intervals = fit.intervals
    if intervals is None:
        return
    ranges = (intervals.sigma, intervals.kappa, intervals.scale)
    names = (Text("σ contención", "σ contention"), Text("κ coherencia", "κ coherency"), Text("λ un slot", "λ one slot"))
    values = (fit.model.sigma, fit.model.kappa, fit.model.scale)
    for name, value, interval in zip(names, values, ranges, strict=True):
        yield name, f"{significant(value, lang)}  90 % {_range(interval, lang)}"


def _range(interval: Interval, lang: Language) -> str:
    return f"[{significant(interval.low, lang)}, {significant(interval.high, lang)}]"


def _consequences(levels: Levels, fit: UslFit, lang: Language) -> Iterator[LabelledValue]:
    yield from _peak(fit, lang)
    if fit.unusable is None:
        limit = fit.model.limit
        yield Text("límite λ/σ", "limit λ/σ"), significant(np.inf if limit is None else limit, lang)
    yield Text("cota", "bound"), bound_text(scaling_bound(levels), lang)
    points = sorted(zip(levels.n.tolist(), levels.x.tolist(), efficiency(levels).tolist(), strict=True))
    if fit.unusable is not None:
        yield Text("puntos", "points"), " · ".join(f"X({n:g}) = {significant(x, lang)}" for n, x, _ in points)
    yield Text("eficiencia", "efficiency"), " · ".join(f"{n:g}: {percent(ratio, lang, 0)}" for n, _, ratio in points)
    if fit.intervals is not None:
        yield Text("mayor residuo", "largest residual"), percent(fit.max_relative_residual, lang)


def _peak(fit: UslFit, lang: Language) -> Iterator[LabelledValue]:
    model = fit.model
    if model.peak is None or fit.intervals is None or fit.peak_reason is not None:
        return
    below = max(1, int(model.peak))
    at = " · ".join(f"X({n}) = {significant(model.throughput(n), lang)}" for n in (below, below + 1))
    n_range, x_range = _range(fit.intervals.peak, lang), _range(fit.intervals.peak_throughput, lang)
    yield Text("máximo", "peak"), f"n = {below} ({significant(model.peak, lang)})  90 % {n_range} · {at}"
    yield Text("X en el máximo", "X at the peak"), f"{significant(model.throughput(model.peak), lang)}  90 % {x_range}"


def _notes(fit: UslFit, lang: Language) -> Iterator[Text]:
    if fit.unusable is not None:
        why = sentence(fit.unusable, lang)
        yield (
            Text(f"NO USAR: {why}", f"DO NOT USE: {why}")
            if fit.intervals
            else Text(f"sin ley: {why}", f"no law: {why}")
        )
    elif fit.peak_reason is not None:
        why = sentence(fit.peak_reason, lang)
        yield Text(f"sin máximo que citar: {why}", f"no peak to quote: {why}")
    if fit.caution is not None:
        why = sentence(fit.caution, lang)
        yield Text(f"con cautela: {why}", f"with caution: {why}")
