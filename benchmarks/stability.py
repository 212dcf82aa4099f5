"""Simulate sustained runs whose true load is known, and compare the verdicts with what is claimed.

Slots are idle for 5 % of each cycle while a message waits, as between two polls. The exit code is 1 if a claim is not
met. Takes about 5 minutes.

    PYTHONPATH=. .venv/bin/python benchmarks/stability.py [--quick]
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import numpy as np

from capacity.estimators.interval import SECONDS_PER_MINUTE, Floats
from capacity.estimators.queue_simulation import ggc, lognormal
from capacity.estimators.slots import Executions
from capacity.estimators.stability import Stability, StabilityVerdict, judge_stability
from capacity.estimators.throughput import saturated_throughput, slot_cycles
from capacity.experiments.rate_search import RateSearch, SearchStep, StepResult, advance, next_step
from core.run import Mode

SLOTS = 4
GAP = 0.05
#: videos per minute with every slot busy
CAPACITY = SECONDS_PER_MINUTE * SLOTS
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
    """Return the executions of videos that are sent at the times `sent` (seconds) to SLOTS slots.

    A slot cycle is 1 s on average. `cv` is the coefficient of variation of the slot cycles.
    """
    cycle = lognormal(rng, 1.0, cv, sent.size)
    started = ggc(sent, cycle, SLOTS) + GAP * cycle
    return Executions(started, started + (1 - GAP) * cycle, np.ones(sent.size, bool), uploaded_at=sent)


def verdict(
    rng: np.random.Generator,
    load: float,
    arrivals: int,
    cv: float,
    *,
    poisson: bool = False,
    without_gaps: bool = False,
) -> StabilityVerdict:
    """Simulate a run at the share `load` of the true capacity, and return its stability verdict.

    The videos are sent at equal intervals, or at random times with `poisson`. `without_gaps` computes the utilisation
    from the service times alone, without the slots' idle time.
    """
    sent = (np.sort(rng.random(arrivals) * arrivals) if poisson else np.arange(arrivals)) / (load * SLOTS)
    run = simulate(rng, sent, cv)
    cycles = slot_cycles(run, SLOTS)
    cycle_seconds = cycles.service_seconds if without_gaps else cycles.cycle_seconds
    return judge_stability(
        sent, run.started_at, cycles.service_seconds, cycle_seconds, SLOTS, arrival_cv=float(poisson)
    )


def searched(rng: np.random.Generator, cv: float, *, refine: bool, without_gaps: bool = False) -> RateSearch:
    """Return the rate search of a simulated system after its last step."""
    search = RateSearch(refine=refine)
    while (step := next_step(search)) is not None:
        search = advance(search, _result(rng, step, cv, without_gaps=without_gaps))
    return search


def _result(rng: np.random.Generator, step: SearchStep, cv: float, *, without_gaps: bool) -> StepResult:
    if step.kind is Mode.BURST or step.rate_per_minute is None:
        burst = saturated_throughput(simulate(rng, np.zeros(step.videos), cv), SLOTS)
        return StepResult(step, step.videos / SLOTS, burst.per_minute, SLOTS)
    judged = verdict(rng, step.rate_per_minute / CAPACITY, step.videos, cv, without_gaps=without_gaps)
    sending_seconds = step.videos * SECONDS_PER_MINUTE / step.rate_per_minute
    return StepResult(step, sending_seconds, verdict=judged.verdict)


def main() -> int:
    """Print the tables. Return 1 if a claim is not met."""
    runs, searches = (100, 20) if "--quick" in sys.argv else (2000, 200)
    print(f"{runs} runs per line, {searches} searches, {SLOTS} slots, idle for {GAP:.0%} of each cycle\n")
    print("| True load | Arrivals | CV | Verdict | Claimed | Measured | |\n|---|---|---|---|---|---|---|")
    claims = list(_claims(runs))
    print("\n".join(claims))
    print(f"\n{_undefined(runs)}\n{_stable_without_gaps(runs)}\n")
    print("| Search | CV | Answer: mean, sd | Above capacity | More than 2 % above", end=" | ")
    print("Above capacity with ρ of the service time | Time per default search |\n|---|---|---|---|---|---|---|")
    print("\n".join(_searches(searches)))
    return int(any("NOT MET" in claim for claim in claims))


def _undefined(runs: int) -> str:
    rng = np.random.default_rng(2)
    growths = [verdict(rng, 0.95, 12, 0.3).growth_ratio for _ in range(runs)]
    return f"12 paced arrivals, load 0.95, CV 0.3: the growth is undefined in {np.mean(np.isnan(growths)):.0%} of runs"


def _stable_without_gaps(runs: int) -> str:
    rng = np.random.default_rng(3)
    verdicts = [verdict(rng, 1.02, 120, 0.1, without_gaps=True).verdict for _ in range(runs)]
    stable = np.mean([each is Stability.STABLE for each in verdicts])
    return f"120 paced arrivals, load 1.02, CV 0.1: ρ of the service time calls {stable:.0%} of runs STABLE"


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
    default_seconds: dict[float, float] = {}
    for refine in (False, True):
        for cv in (0.1, 0.3):
            results = _several(searches, cv, refine=refine)
            answers, without = _answers(results), _answers(_several(searches, cv, refine=refine, without_gaps=True))
            over, far = np.mean(answers > 1), np.mean(answers > 1.02)
            seconds = float(np.mean([result.cost_seconds for result in results]))
            default_seconds.setdefault(cv, seconds)
            name = "--refine" if refine else "default"
            yield (
                f"| {name} | {cv} | {answers.mean() - 1:+.1%}, {answers.std():.1%} | {over:.0%} | {far:.0%}"
                f" | {np.mean(without > 1):.0%} | {seconds / default_seconds[cv]:.1f} × |"
            )


def _several(searches: int, cv: float, *, refine: bool, without_gaps: bool = False) -> list[RateSearch]:
    rng = np.random.default_rng(1)
    return [searched(rng, cv, refine=refine, without_gaps=without_gaps) for _ in range(searches)]


def _answers(results: Iterable[RateSearch]) -> Floats:
    """Return the stable rates as shares of the true capacity, of the searches that have one."""
    return np.array([r.stable_per_minute / CAPACITY for r in results if r.stable_per_minute is not None])


if __name__ == "__main__":
    sys.exit(main())
