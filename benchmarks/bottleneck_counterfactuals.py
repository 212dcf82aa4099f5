"""Diagnose random modelled cells, and compare each verdict with the gain from removing the limit.

A cell is a closed queueing network, solved by mean value analysis: slots that poll, download, wait for the database,
compute, lock, write and upload. The label of a cell is the part whose doubling raises the throughput of the model most.
Takes 10 seconds.

    PYTHONPATH=. .venv/bin/python benchmarks/bottleneck_counterfactuals.py [--quick]
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from capacity.diagnosis.bottleneck import Cause, CellEvidence, Confidence, find_bottleneck

#: gain of a doubling under which it is not the limit, and from which it is
NO_GAIN, CLEAR_GAIN = 0.05, 0.25
STATIONS = ("cpu", "disk", "download", "upload", "db", "lock", "poll")


@dataclass(frozen=True)
class Cell:
    """A modelled cell: the seconds that one video needs at each station if it is alone, and two delays.

    `cpu` is the wall time of one ffmpeg with `threads` threads on `cores` cores. `lock` is a wait that Aforo does not
    measure. `poll` is the call that receives a message. The delays `latency` and `poll_delay` do not grow with the
    number of slots.
    """

    slots: int
    cores: int
    threads: float
    cpu: float
    disk: float
    download: float
    upload: float
    db: float
    lock: float
    poll: float
    latency: float
    poll_delay: float

    def servers(self, station: str) -> float:
        """Return how many videos a station serves at once."""
        return max(1.0, self.cores / self.threads) if station == "cpu" else 1.0


@dataclass(frozen=True)
class Solution:
    """Throughput of a cell in videos per second, and the seconds that a video spends at each station."""

    throughput: float
    seconds: Mapping[str, float]


def solve(cell: Cell, slots: int) -> Solution:
    """Return throughput and time per station of a cell with `slots` slots, by exact mean value analysis.

    A station with k servers is modelled as one server that is k times as fast, and a delay.
    """
    servers = {station: cell.servers(station) for station in STATIONS}
    alone = {station: getattr(cell, station) for station in STATIONS}
    queued, seconds, throughput = dict.fromkeys(STATIONS, 0.0), alone, 0.0
    for videos in range(1, slots + 1):
        seconds = {
            station: alone[station] * ((1 + queued[station]) / servers[station] + 1 - 1 / servers[station])
            for station in STATIONS
        }
        throughput = videos / (sum(seconds.values()) + cell.latency + cell.poll_delay)
        queued = {
            station: throughput * alone[station] * (1 + queued[station]) / servers[station] for station in STATIONS
        }
    return Solution(throughput, seconds)


def gains(cell: Cell) -> dict[Cause, float]:
    """Return the gain in throughput from doubling each part of the cell: 0.5 is 50 %."""
    now = solve(cell, cell.slots).throughput
    changed = {
        Cause.CPU: replace(cell, cores=2 * cell.cores),
        Cause.DISK: replace(cell, disk=cell.disk / 2),
        Cause.NETWORK: replace(cell, download=cell.download / 2, upload=cell.upload / 2, latency=cell.latency / 2),
        Cause.DATABASE: replace(cell, db=cell.db / 2),
        Cause.SERIALISATION: replace(cell, lock=cell.lock / 2),
        Cause.QUEUE_POLLING: replace(cell, poll=cell.poll / 2, poll_delay=cell.poll_delay / 2),
    }
    doubled = solve(cell, 2 * cell.slots).throughput
    return {cause: solve(other, cell.slots).throughput / now - 1 for cause, other in changed.items()} | {
        Cause.SLOTS: doubled / now - 1
    }


def evidence(cell: Cell, *, knows_more_slots: bool) -> CellEvidence:
    """Return what Aforo would measure in the cell, compared with one slot and with half the slots.

    With `knows_more_slots`, the throughput with twice the slots is known too.
    """
    now, one = solve(cell, cell.slots), solve(cell, 1)
    half = solve(cell, cell.slots // 2).throughput if cell.slots > 1 else None
    more = solve(cell, 2 * cell.slots).throughput if knows_more_slots else None
    stages = _stages(cell, now)
    service, gap = sum(stages.values()) + now.seconds["lock"], now.seconds["poll"] + cell.poll_delay
    work, compared = cell.cpu * min(cell.threads, cell.cores), cell.slots > 1
    kept = _computing(cell, one) / _computing(cell, now)
    busy, waiting = now.throughput * work / cell.cores, now.throughput * cell.disk
    return CellEvidence(
        cores=cell.cores,
        efficiency=now.throughput / (cell.slots * one.throughput) if compared else None,
        gain_up_to_here=now.throughput / half - 1 if half else None,
        gain_from_here=more / now.throughput - 1 if more else None,
        bound_ratio_cpu=busy,
        cpu_utilisation=busy,
        cpu_pressure_some=1 - cell.cpu / now.seconds["cpu"] if cell.cpu else 0.0,
        cpu_work_slowdown=1.0 if compared else None,
        host_idle_ratio=1 - busy,
        ffmpeg_slowdown=1 / kept if compared else None,
        ffmpeg_cores=work / _computing(cell, one),
        ffmpeg_cores_ratio=kept if compared else None,
        io_pressure_some=waiting,
        io_pressure_full=waiting * (1 - busy),
        disk_utilisation=waiting,
        network_utilisation=now.throughput * max(cell.download, cell.upload),
        memory_pressure_full=0.0,
        swapped_in_bytes=0.0,
        own_oom_kills=0,
        idle_gap_ratio=gap / (service + gap),
        stage_seconds=stages,
        stage_slowdown={name: stages[name] / seconds for name, seconds in _stages(cell, one).items() if seconds}
        if compared
        else {},
        service_seconds=service,
    )


def _computing(cell: Cell, solution: Solution) -> float:
    return solution.seconds["cpu"] + solution.seconds["disk"]


def _stages(cell: Cell, solution: Solution) -> dict[str, float]:
    seconds = solution.seconds
    return {
        "download": seconds["download"] + cell.latency / 2,
        "transcode": _computing(cell, solution),
        "upload": seconds["upload"] + cell.latency / 2,
        "db": seconds["db"],
    }


def draw(rng: np.random.Generator) -> Cell:
    """Draw a random cell. In seven of ten cells, one part besides the CPU is large."""
    small = dict(zip(("disk", "download", "upload", "db", "lock", "poll", "latency", "poll_delay"),
                     rng.exponential(0.04, 8), strict=True))  # fmt: skip
    if rng.random() < 0.7:
        small[str(rng.choice(list(small)))] *= 10 ** rng.uniform(0.5, 2)
    cores = int(rng.choice([2, 4, 8, 16, 32]))
    return Cell(int(rng.choice([1, 2, 4, 8, 16])), cores, float(rng.uniform(1, min(8, cores))), 1.0, **small)


def main() -> None:
    """Print the share of each outcome, and how often a confident verdict named a part that gains nothing."""
    rng, cells = np.random.default_rng(0), 200 if "--quick" in sys.argv else 5000
    outcomes: Counter[str] = Counter()
    wrong: Counter[tuple[Cause, Cause]] = Counter()
    for _ in range(cells):
        cell, knows_more = draw(rng), bool(rng.random() < 0.5)
        verdict, gained = find_bottleneck(evidence(cell, knows_more_slots=knows_more)), gains(cell)
        best = max(gained, key=lambda cause: gained[cause])
        named = Cause.SLOTS if verdict.cause is Cause.SINGLE_THREAD else verdict.cause
        outcome = judge(named, verdict.confidence, gained, best)
        outcomes[outcome] += 1
        if outcome == "confident opposite":
            wrong[best, named] += 1
    print("| Outcome | Share |\n|---|---|")
    print("\n".join(f"| {outcome} | {count / cells:.1%} |" for outcome, count in outcomes.most_common()))
    print("\n".join(f"confident opposite: {best} called {named}: {count}" for (best, named), count in wrong.items()))


def judge(named: Cause, confidence: Confidence, gained: Mapping[Cause, float], best: Cause) -> str:
    """Return the outcome of a verdict: right, weak, unclear or confident opposite.

    `gained` is the gain from doubling each part, and `best` the part with the highest gain. The verdict names the part
    `named`.
    """
    if named is Cause.UNCLEAR:
        return "unclear"
    gain = gained.get(named, 0.0)
    if gain >= min(CLEAR_GAIN, gained[best] / 2):
        return "right: the doubling pays"
    if gain <= NO_GAIN and gained[best] >= CLEAR_GAIN and confidence is Confidence.HIGH:
        return "confident opposite"
    return "weak: another doubling pays more"


if __name__ == "__main__":
    main()
