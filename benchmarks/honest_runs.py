"""Measure how often the checks call a run without a fault invalid, and how often they see a fault of known size.

The runs are simulated (testing/simulated_run.py) and analysed by the real analysis. Each run draws its load:
half bursts, half paced at 30 to 90 % of the capacity, 60 s to 30 min, 1 to 8 slots, service times of 2 to 60 s with a
CV of 0.02 to 0.3, ffmpeg CPU seconds with a CV of 0.02 to 0.15.

Exit code 1 if a measured figure does not hold what is claimed.

    PYTHONPATH=. .venv/bin/python benchmarks/honest_runs.py [--runs 1000] [--seed 1]
    PYTHONPATH=. .venv/bin/python benchmarks/honest_runs.py --quick
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.harness import Claim
from capacity.analysis.measured_run import measure
from capacity.analysis.run_analysis import RunAnalysis, analyse
from capacity.diagnosis.data_quality import SPEED_TOLERANCE, Severity
from capacity.estimators.littles_law import Agreement
from capacity.estimators.queue_simulation import lognormal
from capacity.estimators.speed_change import speed_change
from testing.simulated_run import Load, SimulatedRun, simulate

MOST_VIDEOS = 2000
#: runs of --quick, a few seconds of CPU
QUICK_RUNS = 40
#: simulated runs of the speed alone, per simulated run
SPEED_RUNS = 20
#: runs of up to this length and longer ones are also counted apart
SHORT_SECONDS = 150.0


def main() -> int:
    """Simulate runs, and print one line per claim. Return 1 if a claim does not hold, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    count = QUICK_RUNS if arguments.quick else arguments.runs
    print(f"seed {arguments.seed}, {count} runs; the conditions are in the first lines of benchmarks/honest_runs.py")
    rng = np.random.default_rng(arguments.seed)
    claims = [*honest_runs(rng, count), *speed_claims(rng, SPEED_RUNS * count)]
    for claim in claims:
        print(claim.line())
    return int(not all(claim.holds() for claim in claims))


def honest_runs(rng: np.random.Generator, count: int) -> Iterator[Claim]:
    """Yield claims about runs without a fault, and about Little's law on the same runs with a fault."""
    invalid: Counter[str] = Counter()
    alarms: Counter[bool] = Counter()
    lengths: Counter[bool] = Counter()
    unknown = 0
    faults = {
        "15 % more messages": more_messages,
        "15 % fewer messages": fewer_messages,
        "15 % of the records lost": partial(lost_records, rng),
    }
    seen: Counter[tuple[str, bool]] = Counter()
    for _ in range(count):
        load = draw(rng)
        run = simulate(rng, load)
        analysis = analysed(run)
        reasons = {w.name.value for w in analysis.warnings if w.severity is Severity.INVALID}
        invalid.update(reasons)
        invalid["any reason"] += bool(reasons)
        unknown += analysis.little.agreement is Agreement.UNKNOWN
        is_short = load.seconds <= SHORT_SECONDS
        lengths[is_short] += 1
        alarms[is_short] += "littles_law" in reasons
        for name, fault in faults.items():
            seen[name, load.utilisation is None] += analysed(fault(run)).little.agreement is Agreement.INVALID
            seen[f"{name} runs", load.utilisation is None] += 1
    total = count
    yield Claim("invalid, for all reasons together", 0, 0.02, invalid.pop("any reason"), total)
    for name, hits in invalid.most_common():
        yield Claim(f"  {name}", 0, 0.02, hits, total)
    for is_short, text in ((True, "up to 150 s"), (False, "longer")):
        yield Claim(f"Little's law, false alarms, {text}", 0, 0.02, alarms[is_short], lengths[is_short])
    yield Claim("Little's law unknown", 0, 0.02, unknown, total)
    for name in faults:
        for is_burst, text in ((True, "bursts"), (False, "paced")):
            yield Claim(f"Little's law, {name}, {text}", 0.95, 1, seen[name, is_burst], seen[f"{name} runs", is_burst])


def speed_claims(rng: np.random.Generator, count: int) -> Iterator[Claim]:
    """Yield the claims about the machine's speed within a run."""
    cases = [(cv, videos) for cv in (0.02, 0.05, 0.10, 0.15) for videos in (8, 16, 50)]
    each = max(1, count // len(cases))
    alarms = sum(changed(rng, cv, videos, 1.0, each) for cv, videos in cases)
    yield Claim("speed, false alarms, CV .02 to .15, 8 to 50 videos", 0, 0.01, alarms, each * len(cases))
    for cv, videos, least in ((0.04, 8, 0.65), (0.04, 16, 0.99), (0.05, 16, 0.95)):
        hits = changed(rng, cv, videos, 1.2, each)
        yield Claim(f"speed, 20 % slower from the middle, {videos} videos, CV {cv}", least, 1, hits, each)


def changed(rng: np.random.Generator, cv: float, videos: int, factor: float, count: int) -> int:
    """Return in how many of `count` simulated runs the analysis reports a change of speed.

    The second half of each run is `factor` times as slow; 1.0 is no change. `videos` is the number of videos of a run,
    and `cv` the CV of their CPU seconds. A change within SPEED_TOLERANCE is not reported.
    """
    costs = lognormal(rng, 10.0, cv, (count, videos))
    costs[:, videos // 2 :] *= factor
    changes = (speed_change(run) for run in costs)
    return sum(change is not None and change.exceeds(SPEED_TOLERANCE) for change in changes)


def draw(rng: np.random.Generator) -> Load:
    """Return the load of one run."""
    while True:
        load = Load(
            slots=int(rng.choice([1, 2, 4, 8])),
            service_seconds=float(np.exp(rng.uniform(np.log(2), np.log(60)))),
            service_cv=float(rng.uniform(0.02, 0.3)),
            cpu_cv=float(rng.uniform(0.02, 0.15)),
            seconds=float(np.exp(rng.uniform(np.log(60), np.log(1800)))),
            utilisation=None if rng.random() < 0.5 else float(rng.uniform(0.3, 0.9)),
        )
        if load.count <= MOST_VIDEOS:
            return load


def analysed(run: SimulatedRun) -> RunAnalysis:
    """Return the analysis of a run."""
    return analyse(measure(run.recorded), run.resources)


def more_messages(run: SimulatedRun, factor: float = 1.15) -> SimulatedRun:
    """Return the run with a queue that counts `factor` times as many messages."""
    samples = run.resources.samples | {"messages": factor * run.resources.samples["messages"]}
    return replace(run, resources=replace(run.resources, samples=samples))


def fewer_messages(run: SimulatedRun) -> SimulatedRun:
    """Return the run with a queue that counts 15 % fewer messages."""
    return more_messages(run, 0.85)


def lost_records(rng: np.random.Generator, run: SimulatedRun) -> SimulatedRun:
    """Return the run without the records of random videos that hold 15 % of the videos' time, or a little more.

    The first video is kept, because the run begins with its upload.
    """
    recorded = run.recorded
    spent = recorded.updated_at - recorded.uploaded_at
    order = 1 + rng.permutation(spent.size - 1)
    lost = np.searchsorted(np.cumsum(spent[order]), 0.15 * spent.sum()) + 1
    kept = np.sort(np.append(order[lost:], 0))
    names = ("intended_at", "uploaded_at", "started_at", "updated_at", "done")
    return replace(run, recorded=replace(recorded, **{name: getattr(recorded, name)[kept] for name in names}))


if __name__ == "__main__":
    sys.exit(main())
