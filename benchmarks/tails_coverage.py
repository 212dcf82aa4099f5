"""Measure how often the 95 % intervals of p50 and p95 are right, and compare it with the claim.

Both are percentiles of the response time. Runs have 4 slots and log-normal service times of 1 s with a CV of 0.3. The
true p50 is the median of the p50 of many other runs of the same kind, and so for p95. An interval is right if it
contains the true value. Takes about 2 minutes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from capacity.estimators.interval import Floats, Interval
from capacity.estimators.queue_simulation import ggc, lognormal
from capacity.estimators.tails import UNBOUNDED, Tail, tail

SLOTS, CV, SEED = 4, 0.3, 0


@dataclass(frozen=True)
class Case:
    """Runs of one kind, and the lowest share of their intervals that docs/method.md claims to be right.

    `load` is the arriving work as a share of the capacity, or None for a burst. `claim` is None where no claim is made.
    """

    arrivals: str
    load: float | None
    videos: int
    claim: float | None

    def response_times(self, rng: np.random.Generator) -> Floats:
        """Return the response times of one simulated run in seconds, in the order of upload."""
        service = lognormal(rng, 1.0, CV, self.videos)
        sent = self._sent_at(rng)
        return ggc(sent, service, SLOTS) - sent + service

    def _sent_at(self, rng: np.random.Generator) -> Floats:
        if self.load is None:
            return np.zeros(self.videos)
        # the injector draws Poisson arrivals like this: uniform over the window
        uniform = np.sort(rng.random(self.videos)) * self.videos
        sent: Floats = uniform if self.arrivals == "Poisson" else np.arange(self.videos, dtype=float)
        return sent / (self.load * SLOTS)


CASES = (
    Case("burst", None, 60, 0.95),
    Case("paced", 0.5, 100, 0.90),
    Case("paced", 0.8, 100, 0.90),
    Case("paced", 0.9, 100, None),
    Case("Poisson", 0.5, 100, None),
    Case("Poisson", 0.8, 100, None),
    Case("Poisson", 0.9, 100, None),
)


def truth(case: Case, runs: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return the median p50 and the median p95 of the response time in simulated runs, in seconds."""
    tails = [_tail(case, rng) for _ in range(runs)]
    return float(np.median([t.p50_seconds or 0.0 for t in tails])), float(
        np.median([t.p95_seconds or 0 for t in tails])
    )


def coverage(case: Case, runs: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the share of runs that have intervals, and two shares of these runs.

    The two are the runs whose interval of p50 is right, and those whose interval of p95 is right. Both are NaN if no
    run has intervals.
    """
    p50, p95 = truth(case, runs, rng)
    shown = [t for t in (_tail(case, rng) for _ in range(runs)) if t.p50_interval != UNBOUNDED]
    right = [(_contains(t.p50_interval, p50), _contains(t.p95_interval, p95)) for t in shown]
    at_p50, at_p95 = np.mean(right, axis=0) if right else (float("nan"), float("nan"))
    return len(shown) / runs, float(at_p50), float(at_p95)


def _tail(case: Case, rng: np.random.Generator) -> Tail:
    return tail(case.response_times(rng), is_sustained=case.load is not None)


def _contains(interval: Interval, value: float) -> bool:
    return interval.low <= value <= interval.high


def main(runs: int, standard_errors: float) -> int:
    """Print a line per case. Return the number of cases under their claim by more than `standard_errors`."""
    rng, outside = np.random.default_rng(SEED), 0
    print(f"{runs} runs per line and as many for the true percentiles, {SLOTS} slots, CV {CV}, seed {SEED}\n")
    print(
        "| Arrivals | ρ | Videos | Runs with an interval | Claimed | p50 | p95 | |\n|---|---|---|---|---|---|---|---|"
    )
    for case in CASES:
        shown, at_p50, at_p95 = coverage(case, runs, rng)
        least = case.claim or 0.0
        holds = min(at_p50, at_p95) >= least - standard_errors * np.sqrt(least * (1 - least) / (runs * shown or 1))
        is_outside = case.claim is not None and not holds
        outside += is_outside
        claimed = "no claim" if case.claim is None else f"at least {case.claim:.0%}"
        load = "–" if case.load is None else case.load
        mark = "OUTSIDE" if is_outside else ""
        print(
            f"| {case.arrivals} | {load} | {case.videos} | {shown:.0%} | {claimed} | {at_p50:.0%} | {at_p95:.0%}"
            f" | {mark} |",
            flush=True,
        )
    print(f"\n{outside} of {sum(case.claim is not None for case in CASES)} claims do not hold")
    return outside


if __name__ == "__main__":
    sys.exit(1 if main(*((100, 4.0) if "--quick" in sys.argv else (2000, 2.0))) else 0)
