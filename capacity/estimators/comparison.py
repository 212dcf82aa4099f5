"""Comparison of two sets of runs: the test whether B is slower than A.

The unit of replication is the run, because the videos of one run share the state of its machine. A test per video would
call equal systems different far too often. The statistic of a run is ln X_sat.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import stats

from capacity.estimators.interval import Floats, Interval, welch_interval
from capacity.estimators.reason import Reason

MARGIN = 0.05
EXTRA_RUNS = 2
FEWEST_RUNS = 2
HISTORY_RUNS = 5


class Gate(StrEnum):
    """Outcome of a comparison for continuous integration."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not_comparable"


class NotComparable(StrEnum):
    """Reasons not to compare runs."""

    TOO_FEW_RUNS = "too_few_runs"
    NO_HISTORY = "no_history"
    NO_VARIANCE = "no_variance"
    INVALID_RUN = "invalid_run"
    NO_X_SAT = "no_x_sat"
    INCOMPLETE_RUN = "incomplete_run"
    DIFFERENT_CONDITIONS = "different_conditions"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of a comparison: X_sat of B divided by that of A, and the outcome.

    `ratio` has a 95 % interval. It is None when the runs allow none.
    """

    gate: Gate
    ratio: float | None
    interval: Interval | None
    reason: Reason | None = None
    extra_runs_per_side: int = 0


def compare_runs(a: Sequence[float], b: Sequence[float], margin: float = MARGIN) -> Comparison:
    """Compare X_sat of at least two runs per side by Welch's t test on the logarithms.

    Runs should be interleaved (A B B A). The outcome is *pass* if the whole interval lies above 1 - margin. It is
    *fail* if the interval lies under 1 and the ratio under 1 - margin.
    """
    if min(len(a), len(b)) < FEWEST_RUNS or min(*a, *b) <= 0:
        return not_comparable(Reason(NotComparable.TOO_FEW_RUNS, {"runs_per_side_needed": FEWEST_RUNS}), EXTRA_RUNS)
    log_a, log_b = np.log(np.asarray(a)), np.log(np.asarray(b))
    return _judged(*_welch_ratio(log_a, log_b), margin)


@dataclass(frozen=True, slots=True)
class SingleRun:
    """X_sat of one run, with the number of its videos and the CV of their service time; a CV of None is unknown."""

    run_id: str
    per_minute: float
    cv: float | None
    videos: int

    @property
    def variance(self) -> float:
        """Return the variance of ln X_sat from the spread of the videos; NaN if unknown."""
        return self.cv**2 / self.videos if self.cv is not None and self.videos else math.nan


def compare_single_runs(
    a: SingleRun, b: SingleRun, *, run_deviation: float | None, margin: float = MARGIN
) -> Comparison:
    """Compare one run per side, by the run-to-run deviation of ln X_sat over at least five earlier runs.

    The variance of the ratio has the deviation twice, and the spread of the videos of each side.
    """
    if run_deviation is None:
        return not_comparable(Reason(NotComparable.NO_HISTORY, {"history_runs_needed": HISTORY_RUNS}), EXTRA_RUNS)
    unknown = next((run.run_id for run in (a, b) if math.isnan(run.variance)), None)
    if unknown is not None:
        return not_comparable(Reason(NotComparable.NO_VARIANCE, {"run_id": unknown}))
    half = float(stats.norm.ppf(0.975)) * math.sqrt(2 * run_deviation**2 + a.variance + b.variance)
    middle = math.log(b.per_minute / a.per_minute)
    ratio = b.per_minute / a.per_minute
    return _judged(ratio, Interval(math.exp(middle - half), math.exp(middle + half)), margin)


def judge_ratio(ratio: float, interval: Interval, margin: float = MARGIN) -> Gate:
    """Return the outcome (pass, fail or inconclusive) for a ratio B / A and its interval."""
    if interval.low > 1 - margin:
        return Gate.PASS
    if interval.high < 1 and ratio < 1 - margin:
        return Gate.FAIL
    return Gate.INCONCLUSIVE


def not_comparable(reason: Reason, extra_runs: int = 0) -> Comparison:
    """Return the result for runs that must not be compared, with the reason."""
    return Comparison(Gate.NOT_COMPARABLE, None, None, reason, extra_runs)


def different_conditions(
    a: Mapping[str, object], b: Mapping[str, object], allowed: Collection[str] = ()
) -> Reason | None:
    """Return the conditions of host and configuration that differ and are not allowed to; None without any."""
    names = sorted(name for name in a.keys() | b.keys() if name not in allowed and a.get(name) != b.get(name))
    if not names:
        return None
    pairs = {name: (a.get(name), b.get(name)) for name in names}
    return Reason(NotComparable.DIFFERENT_CONDITIONS, {"conditions": pairs})


def _judged(ratio: float, interval: Interval, margin: float) -> Comparison:
    gate = judge_ratio(ratio, interval, margin)
    return Comparison(gate, ratio, interval, None, EXTRA_RUNS if gate is Gate.INCONCLUSIVE else 0)


def _welch_ratio(log_a: Floats, log_b: Floats) -> tuple[float, Interval]:
    difference = float(log_b.mean() - log_a.mean())
    ends = welch_interval(log_b, log_a)
    return math.exp(difference), Interval(math.exp(ends.low), math.exp(ends.high))
