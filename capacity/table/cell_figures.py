"""Compute the figures of a cell that the user's goals can test, as in `--fail-if 'x_sat<20'`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from capacity.diagnosis.goals import Figure
from capacity.estimators.stability import Stability
from capacity.estimators.tails import Tail
from capacity.runs.result_row import ResultRow
from capacity.table.cells import TableCell
from core.run import Mode


def cell_figures(cell: TableCell) -> dict[str, Figure]:
    """Return the figures of a cell by the names that goals use, such as `x_sat` in the goal `x_sat<20`.

    For several runs, `x`, `s` and `x_sat` are means. `mb_per_minute` is the lowest value of any run. `service` and the
    percentiles are the highest value of any run. Counts are sums. Rates and times are unknown if the runs are invalid.
    """
    measured = _rates(cell) | _times(cell)
    if cell.validity.is_invalid:
        measured = dict.fromkeys(measured, Figure(None))
    return measured | _counts(cell) | {"validity": Figure(cell.validity.level.value)}


def _rates(cell: TableCell) -> dict[str, Figure]:
    own = {"x": Figure(cell.x), "mb_per_minute": Figure(_least(run.megabytes_per_minute for run in cell.runs))}
    if cell.key.mode == Mode.SUSTAINED:
        return own | {"stable": Figure(_stable(cell.runs)), "rate": Figure(cell.key.rate_per_minute)}
    return own | {"x_sat": Figure(cell.x_sat)}


def _times(cell: TableCell) -> dict[str, Figure]:
    runs = cell.runs
    return {
        "s": Figure(cell.s, cell.s_is_lower_bound),
        "service": Figure(_most(run.service_mean_seconds for run in runs)),
        "response_p50": _worst((run.response for run in runs), lambda tail: tail.p50_seconds),
        "response_p95": _worst((run.response for run in runs), lambda tail: tail.p95_seconds),
        "wait_p50": _worst((run.queue_wait for run in runs), lambda tail: tail.p50_seconds),
        "wait_p95": _worst((run.queue_wait for run in runs), lambda tail: tail.p95_seconds),
    }


def _counts(cell: TableCell) -> dict[str, Figure]:
    return {
        "failed": Figure(float(sum(run.failed for run in cell.runs))),
        "unfinished": Figure(float(sum(run.unfinished for run in cell.runs))),
        "duplicates": Figure(float(sum(run.duplicates for run in cell.runs))),
    }


def _stable(runs: Iterable[ResultRow]) -> str | None:
    """Return `no` if a run is unstable, `yes` if every run is stable, else None."""
    verdicts = {run.stability for run in runs}
    if Stability.UNSTABLE.value in verdicts:
        return "no"
    return "yes" if verdicts == {Stability.STABLE.value} else None


def _worst(tails: Iterable[Tail | None], read: Callable[[Tail], float | None]) -> Figure:
    known = list(tails)
    values = [None if tail is None else read(tail) for tail in known]
    return Figure(_most(values), any(tail is not None and tail.is_lower_bound for tail in known))


def _most(values: Iterable[float | None]) -> float | None:
    """Return the largest value, or None if one is unknown."""
    known = list(values)
    return None if None in known or not known else max(value for value in known if value is not None)


def _least(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known or not known else min(value for value in known if value is not None)
