"""Whether one set of runs is slower than another.

The unit of replication is the run: videos of one run share its machine's mood, and a test per video calls up to 40 %
of equal systems different. The statistic of a run is ln X_sat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import stats

from capacity.estimators.interval import Floats, Interval
from core.language import Text

MARGIN = 0.05
EXTRA_RUNS = 2


class Gate(StrEnum):
    """Outcome of a comparison for continuous integration."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not_comparable"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`ratio` is X_sat of B over A with its 95 % interval, None when the runs allow none."""

    gate: Gate
    ratio: float | None
    interval: Interval | None
    reason: Text | None = None
    extra_runs_per_side: int = 0


def compare_runs(a: Sequence[float], b: Sequence[float], margin: float = MARGIN) -> Comparison:
    """Compare X_sat of at least two runs a side by Welch's t on the logarithms.

    Runs should be interleaved (ABBA). Pass: the whole interval lies above 1 - margin; fail: it lies under 1 and the
    ratio under 1 - margin.
    """
    if min(len(a), len(b)) < 2 or min(*a, *b) <= 0:
        return not_comparable(
            Text("hacen falta al menos 2 corridas por lado", "at least 2 runs a side are needed"), EXTRA_RUNS
        )
    log_a, log_b = np.log(np.asarray(a)), np.log(np.asarray(b))
    ratio, interval = _welch_ratio(log_a, log_b)
    gate = judge_ratio(ratio, interval, margin)
    return Comparison(gate, ratio, interval, None, EXTRA_RUNS if gate is Gate.INCONCLUSIVE else 0)


def compare_single_runs(
    a: float, b: float, *, run_deviation: float | None, cv: float, videos: int, margin: float = MARGIN
) -> Comparison:
    """Compare one run a side with the run-to-run deviation of ln X_sat known from at least five earlier runs."""
    if run_deviation is None:
        return not_comparable(
            Text(
                "una corrida por lado y sin historial de 5 corridas no dice nada",
                "one run a side without a history of 5 runs says nothing",
            ),
            EXTRA_RUNS,
        )
    half = float(stats.norm.ppf(0.975)) * math.sqrt(2 * (run_deviation**2 + cv**2 / videos))
    middle = math.log(b / a)
    interval = Interval(math.exp(middle - half), math.exp(middle + half))
    gate = judge_ratio(b / a, interval, margin)
    return Comparison(gate, b / a, interval, None, EXTRA_RUNS if gate is Gate.INCONCLUSIVE else 0)


def judge_ratio(ratio: float, interval: Interval, margin: float = MARGIN) -> Gate:
    """Return the gate for a ratio B / A and its interval."""
    if interval.low > 1 - margin:
        return Gate.PASS
    if interval.high < 1 and ratio < 1 - margin:
        return Gate.FAIL
    return Gate.INCONCLUSIVE


def not_comparable(reason: Text, extra_runs: int = 0) -> Comparison:
    """Return the refusal to compare."""
    return Comparison(Gate.NOT_COMPARABLE, None, None, reason, extra_runs)


def differing_settings(a: Mapping[str, object], b: Mapping[str, object]) -> Text | None:
    """Return which facts of host and configuration differ between two fingerprints, None when they agree."""
    names = sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))
    if not names:
        return None
    shown = ", ".join(f"{name}: {a.get(name)} ≠ {b.get(name)}" for name in names)
    return Text(f"las corridas no son comparables, difieren en {shown}", f"the runs differ in {shown}")


def _welch_ratio(log_a: Floats, log_b: Floats) -> tuple[float, Interval]:
    difference = float(log_b.mean() - log_a.mean())
    if log_a.var() + log_b.var() == 0:
        return math.exp(difference), Interval(math.exp(difference), math.exp(difference))
    ends = stats.ttest_ind(log_b, log_a, equal_var=False).confidence_interval(0.95)
    return math.exp(difference), Interval(math.exp(float(ends.low)), math.exp(float(ends.high)))
