"""`usl`: fit the Universal Scalability Law (USL), or print why it does not apply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from capacity.analysis.load_and_analyse import load_rows
from capacity.audit.published_row import Printed
from capacity.commands.options import json_option, lang_option, run_ids, with_examples
from capacity.commands.rendering import LabelledValue, print_facts, print_json
from capacity.commands.table_file import Columns, Line, read_table
from capacity.estimators.interval import Interval
from capacity.estimators.usl import Levels, UslFit, UslIntervals, amdahl_sigma, efficiency, fit_usl
from capacity.report.messages import sentence
from capacity.runs.result_row import ResultRow
from capacity.table.number_format import UNKNOWN, percent, significant
from core.errors import UsageError
from core.language import Language, Text

COLUMNS = Columns(required=("n", "x"), optional=("se",))
MOST_POINTS = 500


@dataclass(frozen=True, slots=True)
class FitInput:
    """The points to fit, and the machine's number of cores if known."""

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

    FILE is a CSV file with the header n,x or n,x,se. Each line is one measured level: concurrency, throughput, and the
    standard error of the throughput. Lines may come in any order, and a level may be repeated.

    Points are weighted by 1/se if given, else by 1/x. Intervals are 5-95 % of a bootstrap. If the law does not apply,
    the reason is printed with the coefficients.

    Exit codes: 0 the fit or the reason against it is printed, 2 wrong input, 3 FILE cannot be read.
    """
    points = _input(file, runs)
    fit = fit_usl(points.levels, weighted=not unweighted, cores=points.cores)
    if as_json:
        print_json(fit_as_json(points.levels, fit), lang)
    else:
        print_facts(*_result(points.levels, fit, lang))


def fit_as_json(levels: Levels, fit: UslFit) -> dict[str, Any]:
    """Return the fit as JSON values, with the names that the law uses.

    `n_peak` is not rounded, and null when kappa is 0.
    """
    model = fit.model
    return {
        "sigma": model.sigma,
        "kappa": model.kappa,
        "lambda": model.scale,
        "n_peak": model.peak,
        "x_peak": None if model.peak is None else model.throughput(model.peak),
        "limit": model.limit,
        "intervals": _intervals_as_json(fit.intervals),
        "standard_errors": _errors_as_json(fit.standard_errors),
        "residual_standard_error": fit.residual_standard_error,
        "dof": fit.dof,
        "max_relative_residual": fit.max_relative_residual,
        "efficiency": efficiency(levels).tolist(),
        # the keys `refused` and `peak_refused` are kept for readers of old output
        "refused": fit.unusable,
        "peak_refused": fit.peak_reason,
    }


def _intervals_as_json(intervals: UslIntervals | None) -> dict[str, Any] | None:
    if intervals is None:
        return None
    return {
        "level": [0.05, 0.95],
        "sigma": _ends(intervals.sigma),
        "kappa": _ends(intervals.kappa),
        "lambda": _ends(intervals.scale),
        "n_peak": _ends(intervals.peak),
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
    rows = load_rows(run_ids(runs or ""))
    if invalid := [row.run_id for row in rows if row.validity.is_invalid]:
        remedy = "leave it out, and see `make report` for the reasons"
        raise UsageError("usl --runs", "an invalid run gives no level", remedy, value=", ".join(invalid))
    return levels_of_runs(rows)


def read_levels(file: Path) -> Levels:
    """Return the points of a CSV file with header n,x[,se]."""
    lines = read_table(file, COLUMNS, most_lines=MOST_POINTS)
    n = [_number(line, "n", at_least=1) for line in lines]
    x = [_number(line, "x") for line in lines]
    if not any(line.cells.get("se") for line in lines):
        return Levels(np.array(n), np.array(x))
    return Levels(np.array(n), np.array(x), np.array([_number(line, "se") for line in lines]))


def levels_of_runs(rows: list[ResultRow]) -> FitInput:
    """Return X_sat against slots as the points to fit.

    The standard errors come from the 95 % intervals, if every run has an interval.
    """
    usable = [(row, row.x_sat_per_minute) for row in rows if row.x_sat_per_minute is not None]
    if not usable:
        raise UsageError("usl --runs", "none of the runs has an X_sat", "give bursts of more videos than slots")
    widths = [_standard_error(row) for row, _ in usable]
    present = [width for width in widths if width is not None]
    cores = {row.cpu_count for row, _ in usable}
    return FitInput(
        Levels(
            np.array([float(row.slots) for row, _ in usable]),
            np.array([x for _, x in usable]),
            np.array(present) if len(present) == len(usable) else None,
        ),
        cores=cores.pop() if len(cores) == 1 else None,
    )


def _standard_error(row: ResultRow) -> float | None:
    interval = row.x_sat_interval
    width = np.inf if interval is None else interval.high - interval.low
    return float(width) / (2 * 1.96) if np.isfinite(width) and width > 0 else None


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
    return title, [*_coefficients(fit, lang), *_consequences(levels, fit, lang)], lang, list(_notes(levels, fit, lang))


def _coefficients(fit: UslFit, lang: Language) -> Iterator[LabelledValue]:
    intervals = fit.intervals
    ranges = (None, None, None) if intervals is None else (intervals.sigma, intervals.kappa, intervals.scale)
    names = (Text("σ contención", "σ contention"), Text("κ coherencia", "κ coherency"), Text("λ un slot", "λ one slot"))
    values = (fit.model.sigma, fit.model.kappa, fit.model.scale)
    for name, value, interval in zip(names, values, ranges, strict=True):
        yield name, f"{significant(value, lang)}  90 % {_range(interval, lang)}"


def _range(interval: Interval | None, lang: Language) -> str:
    if interval is None:
        return UNKNOWN.to(lang)
    return f"[{significant(interval.low, lang)}, {significant(interval.high, lang)}]"


def _consequences(levels: Levels, fit: UslFit, lang: Language) -> Iterator[LabelledValue]:
    model = fit.model
    if model.peak is not None and fit.peak_reason is None:
        below = max(1, int(model.peak))
        at = " · ".join(f"X({n}) = {significant(model.throughput(n), lang)}" for n in (below, below + 1))
        yield Text("máximo", "peak"), f"n = {below} ({significant(model.peak, lang)}) · {at}"
    if fit.unusable is None:
        yield Text("límite λ/σ", "limit λ/σ"), significant(np.inf if model.limit is None else model.limit, lang)
    ratios = sorted(zip(levels.n.tolist(), efficiency(levels).tolist(), strict=True))
    yield Text("eficiencia", "efficiency"), " · ".join(f"{n:g}: {percent(ratio, lang, 0)}" for n, ratio in ratios)
    yield Text("mayor residuo", "largest residual"), percent(fit.max_relative_residual, lang)


def _notes(levels: Levels, fit: UslFit, lang: Language) -> Iterator[Text]:
    if fit.unusable is not None:
        why = sentence(fit.unusable, lang)
        yield Text(f"NO USAR: {why}", f"DO NOT USE: {why}")
    elif fit.peak_reason is not None:
        why = sentence(fit.peak_reason, lang)
        yield Text(f"sin máximo que citar: {why}", f"no peak to quote: {why}")
    if levels.distinct == 3:
        sigma = significant(amdahl_sigma(levels), lang)
        yield Text(
            f"con 3 niveles la USL es orientativa; con κ = 0 (Amdahl) σ = {sigma}",
            f"with 3 levels the USL is indicative; with κ = 0 (Amdahl) σ = {sigma}",
        )
