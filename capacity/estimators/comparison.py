"""Test whether system B is slower than system A, by the X_sat of runs of both systems.

The test uses ln X_sat. One run is one observation, because the videos of a run are not independent of each other.
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
    """Verdicts on whether system B is slower than system A.

    - `PASS`: B loses less throughput than the accepted loss.
    - `FAIL`: B loses more throughput than the accepted loss.
    - `INCONCLUSIVE`: the runs do not show which of the two is true.
    - `NOT_COMPARABLE`: the runs must not be compared, for example because their conditions differ.
    """

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not_comparable"


class NotComparable(StrEnum):
    """Codes of the reasons why runs must not be compared."""

    TOO_FEW_RUNS = "too_few_runs"
    NO_HISTORY = "no_history"
    NO_VARIANCE = "no_variance"
    INVALID_RUN = "invalid_run"
    NO_X_SAT = "no_x_sat"
    INCOMPLETE_RUN = "incomplete_run"
    DIFFERENT_CONDITIONS = "different_conditions"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Outcome of comparing the X_sat of runs of system A with that of runs of system B.

    `gate` is the verdict. `ratio` is X_sat of B divided by X_sat of A. `interval` is the 95 % interval of `ratio`. If
    the runs must not be compared, `ratio` and `interval` are None, and `reason` says why. `extra_runs_per_side` is the
    number of runs to add to A, and to B, before the next comparison.
    """

    gate: Gate
    ratio: float | None
    interval: Interval | None
    reason: Reason | None = None
    extra_runs_per_side: int = 0


def compare_runs(a: Sequence[float], b: Sequence[float], margin: float = MARGIN) -> Comparison:
    """Compare the X_sat of several runs of system A with that of several runs of system B.

    `a` and `b` are the X_sat of each run, in videos per minute. `margin` is the accepted loss: 0.05 is 5 %. The outcome
    is *not comparable* for fewer than two runs of A or B, or if an X_sat is 0.
    """
    if min(len(a), len(b)) < FEWEST_RUNS or min(*a, *b) <= 0:
        return not_comparable(Reason(NotComparable.TOO_FEW_RUNS, {"runs_per_side_needed": FEWEST_RUNS}), EXTRA_RUNS)
    log_a, log_b = np.log(np.asarray(a)), np.log(np.asarray(b))
    return _judged(*_welch_ratio(log_a, log_b), margin)


@dataclass(frozen=True, slots=True)
class SingleRun:
    """One run to compare: X_sat in videos per minute, number of videos, and CV of their service time.

    CV is the coefficient of variation. `cv` is None if it is unknown.
    """

    run_id: str
    per_minute: float
    cv: float | None
    videos: int

    @property
    def variance(self) -> float:
        """Return the variance of ln X_sat that follows from the spread of the service times.

        The result is NaN if the CV is unknown or there are no videos.
        """
        return self.cv**2 / self.videos if self.cv is not None and self.videos else math.nan


def compare_single_runs(
    a: SingleRun, b: SingleRun, *, run_deviation: float | None, margin: float = MARGIN
) -> Comparison:
    """Compare the X_sat of one run of system A with that of one run of system B.

    `run_deviation` is the standard deviation of ln X_sat over earlier runs. `margin` is the accepted loss: 0.05 is 5 %.
    The outcome is *not comparable* if `run_deviation` is None or a variance is NaN.
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
    """Return whether system B passes, given the ratio B / A of two throughputs and its 95 % interval.

    B passes if the whole interval is above 1 - `margin`. B fails if the whole interval is below 1 and the ratio is
    below 1 - `margin`. Any other case is inconclusive. `margin` is the accepted loss: 0.05 is 5 %.
    """
    if interval.low > 1 - margin:
        return Gate.PASS
    if interval.high < 1 and ratio < 1 - margin:
        return Gate.FAIL
    return Gate.INCONCLUSIVE


def not_comparable(reason: Reason, extra_runs: int = 0) -> Comparison:
    """Return the outcome for runs of A and B that must not be compared, with the reason.

    `extra_runs` is how many runs to add to A, and how many to B, before the next comparison.
    """
    return Comparison(Gate.NOT_COMPARABLE, None, None, reason, extra_runs)


def different_conditions(
    a: Mapping[str, object], b: Mapping[str, object], allowed: Collection[str] = ()
) -> Reason | None:
    """Return the reason that names the conditions in which A and B differ, or None if they do not differ.

    `a` and `b` map the name of each condition, such as the ffmpeg version, to its value. Conditions named in `allowed`
    may differ.
    """
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
