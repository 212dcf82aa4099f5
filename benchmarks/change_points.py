"""Measure false alarms and detection of `capacity history` on simulated histories, against the claims.

A history has two series, ln X_sat and minus ln of the mean service time, which share nine tenths of their variance. The
spread is that between runs, as a coefficient of variation (CV). Half of this variance comes from within the runs, whose
standard errors are known. A change falls in the middle of the history, or before the newest three runs. In a history of
fewer than six runs, it falls before the newest two. `outliers` are 5 % of the runs, 5 standard deviations slower. `t3`
is Student's t distribution with 3 degrees of freedom. `drift` is a first-order autocorrelation of 0.5 between
neighbouring runs, for which no claim is made.

Exit code 1 if a claim does not hold.

    PYTHONPATH=. .venv/bin/python benchmarks/change_points.py [--histories 2000]
    PYTHONPATH=. .venv/bin/python benchmarks/change_points.py --quick
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.harness import Claim
from capacity.estimators.change_points import FEWEST_RUNS, RUNS_FOR_PARTS_OF_THREE, Segmentation, change_points
from capacity.estimators.interval import Floats

COUNTS = (4, 5, 6, 8, 10, 15, 20, 40, 100)
SHAPES = ("normal", "t3", "outliers")
#: loss that the gate of the simulation allows
MARGIN = 0.05
SHARED_VARIANCE, WITHIN_VARIANCE = 0.9, 0.5
#: losses of so many standard deviations between runs have a claim on their place
CLEAR_LOSS = 4.0
#: runs up to which the gate is asked after each run
NIGHTS = 40
#: histories per line and longest history of --quick
QUICK, QUICK_RUNS = 40, 10
#: detection that docs/method.md states: runs, CV, loss, place of the change, and the least share of histories
DETECTION = (
    (4, 0.02, 0.2, "middle", 0.90),
    (6, 0.02, 0.1, "middle", 0.90),
    (6, 0.02, 0.2, "middle", 0.99),
    (6, 0.05, 0.2, "middle", 0.85),
    (10, 0.02, 0.1, "newest", 0.90),
    (10, 0.05, 0.2, "newest", 0.90),
    (20, 0.02, 0.1, "newest", 0.95),
    (20, 0.05, 0.1, "middle", 0.60),
    (20, 0.05, 0.2, "newest", 0.95),
    (40, 0.05, 0.1, "middle", 0.90),
)


def main() -> int:
    """Simulate all histories, and print one line per claim. Return 1 if a claim does not hold, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=2000)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    count, standard_errors = (QUICK, 4.0) if arguments.quick else (arguments.histories, 2.0)
    rng = np.random.default_rng(1)
    print(f"{count} histories per line, beyond {standard_errors:g} standard errors a claim does not hold")
    failed = 0
    counts = [runs for runs in COUNTS if runs <= QUICK_RUNS or not arguments.quick]
    parts = [false_alarms(rng, count, counts), detection(rng, count, counts)]
    parts += [] if arguments.quick else [nightly(rng, count), drift(rng, count)]
    for claim in itertools.chain(*parts):
        print(claim.line(standard_errors), flush=True)
        failed += not claim.holds(standard_errors)
    return int(failed > 0)


def false_alarms(rng: np.random.Generator, count: int, counts: Sequence[int]) -> Iterator[Claim]:
    """Yield one claim per number of runs and shape: how many histories without a change show one.

    Further claims say how often `--fail-if-worse 5%` would fail.
    """
    for runs, shape in itertools.product(counts, SHAPES):
        batch = [analysed(rng, runs, 0.02, shape=shape, measures=2) for _ in range(count // (1 + runs // 50))]
        hits = sum(any(series.changes for series in history) for history in batch)
        yield Claim(f"false alarms, {runs} runs, {shape}", 0, 0.05, hits, len(batch))
    for runs in counts:
        hits = sum(is_worse(analysed(rng, runs, 0.02)[0]) for _ in range(count // (1 + runs // 50)))
        yield Claim(
            f"false alarms of --fail-if-worse 5%, {runs} runs, CV 2 %", 0, 0.005, hits, count // (1 + runs // 50)
        )


def nightly(rng: np.random.Generator, count: int) -> Iterator[Claim]:
    """Yield in how many histories without a change `--fail-if-worse 5%` fails at least once in 40 nights.

    Each night adds one run, and the history is judged after it.
    """
    histories = math.ceil(count / 5)
    for cv in (0.02, 0.03):
        hits = sum(fails_once(cv * rng.standard_normal(NIGHTS), cv) for _ in range(histories))
        yield Claim(f"--fail-if-worse 5% fails once in {NIGHTS} nights, CV {cv:.0%}", 0, 0.05, hits, histories)


def fails_once(deviations: Floats, cv: float) -> bool:
    """Return True if `--fail-if-worse 5%` fails after at least one of the runs of a history.

    `deviations` has the deviation of ln X_sat of each run, and `cv` the spread between runs.
    """
    errors = np.full(deviations.size, cv * math.sqrt(WITHIN_VARIANCE))
    beginnings = (slice(runs) for runs in range(FEWEST_RUNS, deviations.size + 1))
    segmentations = (change_points(40 * np.exp(deviations[part]), errors[part]) for part in beginnings)
    return any(series is not None and is_worse(series) for series in segmentations)


def detection(rng: np.random.Generator, count: int, counts: Sequence[int]) -> Iterator[Claim]:
    """Yield how many histories with a loss show it in X_sat.

    If most of these histories show one change, also yield how often its place is right, and how often its interval
    contains the true loss.
    """
    claims = {case[:4]: case[4] for case in DETECTION}
    for runs, cv, loss, place in itertools.product(
        (runs for runs in counts if runs < 100), (0.02, 0.05), (0.1, 0.2), ("middle", "newest")
    ):
        index = runs // 2 if place == "middle" else runs - (3 if runs >= RUNS_FOR_PARTS_OF_THREE else 2)
        series = [analysed(rng, runs, cv, loss=loss, index=index)[0] for _ in range(reduced(count, runs))]
        hits = sum(is_worse(one) for one in series)
        least = claims.get((runs, cv, loss, place), 0.0)
        text = f"loss of {loss:.0%} seen, {runs} runs, CV {cv:.0%}, {place}"
        yield Claim(text, least, 1, hits, len(series))
        only = [one.changes[0] for one in series if len(one.changes) == 1]
        if len(only) > len(series) / 2:
            near = sum(abs(change.index - index) <= 1 for change in only)
            covered = sum(change.interval.low <= 1 - loss <= change.interval.high for change in only)
            least = 0.95 if loss >= CLEAR_LOSS * cv else 0
            yield Claim("  … at most one run beside its place", least, 1, near, len(only))
            yield Claim("  … in the interval", 0.95, 1, covered, len(only))


def drift(rng: np.random.Generator, count: int) -> Iterator[Claim]:
    """Yield the false alarms where neighbouring runs are alike, for which no claim is made."""
    for runs in (10, 20, 40):
        series = [analysed(rng, runs, 0.02, shape="drift")[0] for _ in range(reduced(count, runs))]
        changed, worse = sum(bool(one.changes) for one in series), sum(is_worse(one) for one in series)
        yield Claim(f"X_sat changes, {runs} runs, drift", 0, 1, changed, len(series))
        yield Claim(f"--fail-if-worse 5%, {runs} runs, drift, CV 2 %", 0, 1, worse, len(series))


def reduced(count: int, runs: int) -> int:
    """Return how many histories of `runs` runs to simulate.

    There are fewer of the long ones, because each takes longer.
    """
    return math.ceil(count / (1 + (runs / 20) ** 2))


def is_worse(series: Segmentation) -> bool:
    """Return True if the newest change is a loss of more than MARGIN."""
    return bool(series.changes) and series.changes[-1].factor < 1 - MARGIN


def analysed(
    rng: np.random.Generator,
    runs: int,
    cv: float,
    *,
    shape: str = "normal",
    loss: float = 0.0,
    index: int = 0,
    measures: int = 1,
) -> list[Segmentation]:
    """Simulate a history, and return the changes of X_sat. With two `measures`, add the service rate.

    `cv` is the spread between runs. From the run `index` on, the values are lower by the share `loss`.
    """
    shared = deviations(rng, runs, shape)
    errors = np.full(runs, cv * math.sqrt(WITHIN_VARIANCE))
    segmentations = []
    for _ in range(measures):
        own = rng.standard_normal(runs)
        logs = cv * (math.sqrt(SHARED_VARIANCE) * shared + math.sqrt(1 - SHARED_VARIANCE) * own)
        logs[index:] += math.log(1 - loss)
        series = change_points(40 * np.exp(logs), errors)
        assert series is not None
        segmentations.append(series)
    return segmentations


def deviations(rng: np.random.Generator, runs: int, shape: str) -> Floats:
    """Return one random deviation per run, with a standard deviation of 1. Outliers are 5 lower.

    `shape` is the kind of randomness that the first lines of this file explain.
    """
    noise = rng.standard_normal(runs)
    if shape == "t3":
        return np.asarray(rng.standard_t(3, runs) / math.sqrt(3))
    if shape == "outliers":
        return np.asarray(noise - 5 * (rng.random(runs) < 0.05))
    if shape == "drift":
        for k in range(1, runs):
            noise[k] = 0.5 * noise[k - 1] + math.sqrt(0.75) * noise[k]
    return noise


if __name__ == "__main__":
    sys.exit(main())
