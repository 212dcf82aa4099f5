"""Simulate sustained runs whose true load is known, and print what is claimed against what was measured.

Slots are idle for 5 % of each cycle while a message waits, as between two polls. Takes about 2 minutes.

    PYTHONPATH=. .venv/bin/python benchmarks/stability.py [--quick]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from capacity.estimators.interval import SECONDS_PER_MINUTE, Floats
from capacity.estimators.queue_simulation import ggc, lognormal
from capacity.estimators.stability import Stability, StabilityVerdict, judge_stability
from capacity.estimators.throughput import Executions, saturated_throughput, slot_cycles
from capacity.experiments.rate_search import RateSearch, SearchStep, StepResult, advance, next_step
from core.run import Mode

SLOTS = 4
GAP = 0.05
#: true load, arrivals, CV, verdict, claim, and whether the claim is an upper limit
CLAIMS = (
    (0.80, 120, 0.3, Stability.STABLE, 0.98, False),
    (0.90, 120, 0.3, Stability.UNSTABLE, 0.02, True),
    (1.02, 120, 0.1, Stability.STABLE, 0.05, True),
    (1.02, 120, 0.3, Stability.STABLE, 0.05, True),
    (1.10, 120, 0.3, Stability.UNSTABLE, 0.90, False),
    (1.25, 120, 0.3, Stability.UNSTABLE, 0.99, False),
    (0.95, 12, 0.3, Stability.UNSTABLE, 0.05, True),
)
#: the same for Poisson arrivals
POISSON_CLAIMS = (
    (0.80, 120, 0.3, Stability.STABLE, 0.95, False),
    (0.90, 120, 0.3, Stability.UNSTABLE, 0.02, True),
    (0.95, 120, 0.3, Stability.UNSTABLE, 0.25, True),
    (0.95, 400, 0.3, Stability.UNSTABLE, 0.03, True),
    (1.02, 120, 0.3, Stability.STABLE, 0.05, True),
    (1.10, 120, 0.3, Stability.UNSTABLE, 0.95, False),
)


def simulate(rng: np.random.Generator, sent: Floats, cv: float) -> Executions:
    """Return the executions of videos that are sent at these times; a slot cycle is 1 s on average."""
    cycle = lognormal(rng, 1.0, cv, sent.size)
    started = ggc(sent, cycle, SLOTS) + GAP * cycle
    return Executions(started, started + (1 - GAP) * cycle, np.ones(sent.size, bool), uploaded_at=sent)


def verdict(
    rng: np.random.Generator, load: float, arrivals: int, cv: float, *, poisson: bool = False
) -> StabilityVerdict:
    """Return the verdict on a paced or a Poisson run at this share of the true capacity."""
    sent = (np.sort(rng.random(arrivals) * arrivals) if poisson else np.arange(arrivals)) / (load * SLOTS)
    run = simulate(rng, sent, cv)
    cycles = slot_cycles(run, SLOTS)
    return judge_stability(
        sent, run.started_at, cycles.service_seconds, cycles.cycle_seconds, SLOTS, arrival_cv=float(poisson)
    )


def searched(rng: np.random.Generator, cv: float, *, refine: bool) -> float | None:
    """Return the answer of a rate search as a share of the true capacity."""
    capacity, search = SECONDS_PER_MINUTE * SLOTS, RateSearch(refine=refine)
    while (step := next_step(search)) is not None:
        search = advance(search, _result(rng, step, cv, capacity))
    return None if search.stable_per_minute is None else search.stable_per_minute / capacity


def _result(rng: np.random.Generator, step: SearchStep, cv: float, capacity: float) -> StepResult:
    if step.kind is Mode.BURST or step.rate_per_minute is None:
        burst = saturated_throughput(simulate(rng, np.zeros(step.videos), cv), SLOTS)
        return StepResult(step, 0.0, burst.per_minute, SLOTS)
    judged = verdict(rng, step.rate_per_minute / capacity, step.videos, cv)
    return StepResult(step, 0.0, verdict=judged.verdict)


def main() -> None:
    """Print both tables."""
    runs, searches = (100, 20) if "--quick" in sys.argv else (2000, 200)
    print("| True load | Arrivals | CV | Verdict | Claimed | Measured | |\n|---|---|---|---|---|---|---|")
    print("\n".join(_claims(runs)))
    print("\n| Search | CV | Answer: mean, sd | Above capacity | More than 2 % above |\n|---|---|---|---|---|")
    print("\n".join(_searches(searches)))


def _claims(runs: int) -> Iterator[str]:
    rng = np.random.default_rng(0)
    claims = [(*claim, False) for claim in CLAIMS] + [(*claim, True) for claim in POISSON_CLAIMS]
    for load, arrivals, cv, claimed, limit, is_upper, poisson in claims:
        verdicts = [verdict(rng, load, arrivals, cv, poisson=poisson).verdict for _ in range(runs)]
        share = float(np.mean([each is claimed for each in verdicts]))
        met = share <= limit if is_upper else share >= limit
        sign = "≤" if is_upper else "≥"
        mark = "met" if met else "NOT MET"
        kind = f"{arrivals} Poisson" if poisson else arrivals
        yield f"| {load} | {kind} | {cv} | {claimed} | {sign} {limit:.0%} | {share:.1%} | {mark} |"


def _searches(searches: int) -> Iterator[str]:
    for refine in (False, True):
        for cv in (0.1, 0.3):
            rng = np.random.default_rng(1)
            answers = [searched(rng, cv, refine=refine) for _ in range(searches)]
            found = np.array([answer for answer in answers if answer is not None])
            over, far = np.mean(found > 1), np.mean(found > 1.02)
            name = "--refine" if refine else "default"
            yield f"| {name} | {cv} | {found.mean() - 1:+.1%}, {found.std():.1%} | {over:.0%} | {far:.0%} |"


if __name__ == "__main__":
    main()
