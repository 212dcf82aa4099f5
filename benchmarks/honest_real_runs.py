"""Count how many real runs without a fault end invalid, and print the reason of each.

The native stack runs in FOLDER/stack, on free ports. Half of the runs are bursts. The other runs are paced at 0.3 to
0.9 of the capacity that a short calibration run of the same size and slots measured. Each run lasts 60 to 100 s, with
small videos and 1, 2 or 4 slots. The loads are drawn from --seed. One run goes on at a time.

FOLDER/runs.jsonl has one line per calibration or run that ended. If the benchmark is started again, it continues after
the last line. A run in which a program failed has no line. It is printed, and repeated at the next start.

A machine that other virtual machines share may change its speed during a run. The CPU seconds that ffmpeg takes for the
same file show such a change. Each run is printed with the change of these CPU seconds along the run, by a fitted line.

Exit code 0 if the claim holds, 1 if more runs ended invalid than claimed, or if runs are missing.

    .venv/bin/python -m benchmarks.honest_real_runs --runs 40 --results FOLDER [--seed 1] [--prefix 'nice -n5']
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aforo.telemetry.ffmpeg import ffmpeg_version
from benchmarks.harness import machine
from benchmarks.programs import ROOT, exit_on_sigterm
from capacity.estimators.correlation import drift
from testing.native_stack import Stack, copied_stack

#: the claim is at most one invalid run of so many
RUNS_PER_INVALID = 40
SIZES = ("1MB", "2MB", "5MB")
SLOTS = (1, 2, 4)
SHORTEST_SECONDS, LONGEST_SECONDS = 60.0, 100.0
#: videos per slot of a calibration run; the intervals of X_sat need three
CALIBRATION_GENERATIONS = 4
FAILURES_IN_A_ROW = 3
#: the verbs of `make run-burst`; standard output has the load of the machine and the report
STEPS = """
"$PYTHON" -c 'import os; print(os.getloadavg()[0])'
"$PYTHON" -m local up >&2
"$PYTHON" -m capacity wait --queue >&2
"$PYTHON" -m injector --monitor >&2
"$PYTHON" -m capacity wait "$RUN_ID" >&2
"$PYTHON" -m capacity report "$RUN_ID" --json --lang en
"""


class RunNotMeasured(Exception):
    """A program of a run failed, so the run says nothing about the checks."""


@dataclass(frozen=True)
class Load:
    """What one run sends. `utilisation` is the share of the capacity that a paced run offers; None is a burst."""

    size: str
    slots: int
    seconds: float
    utilisation: float | None

    def options(self, per_minute: float) -> dict[str, str]:
        """Return the injector's options, for a capacity of `per_minute` videos."""
        rate = per_minute * (self.utilisation or 1.0)
        shared = {"SIZE": self.size, "CONCURRENCY": str(self.slots)}
        shared["COUNT"] = str(max(CALIBRATION_GENERATIONS * self.slots, round(rate * self.seconds / 60)))
        return shared | (
            {"MODE": "burst"} if self.utilisation is None else {"MODE": "sustained", "RATE": f"{rate:.2f}"}
        )

    def __str__(self) -> str:
        pace = "burst" if self.utilisation is None else f"paced at {self.utilisation:.0%}"
        return f"{self.size}, c={self.slots}, {pace}"


@dataclass(frozen=True)
class Laboratory:
    """Stack in which the runs of this benchmark are carried out, and the file that gets their results.

    `prefix` are the words before the command of each run, such as `nice`.
    """

    stack: Stack
    prefix: Sequence[str]
    results: Path

    def measure(self, run_id: str, options: dict[str, str]) -> tuple[float, dict[str, Any]]:
        """Carry out one run with the injector's options `options`. Return two things: load and report.

        The load is the load average of the machine before the run. The report is the JSON of `capacity report`. Raise
        RunNotMeasured when a program fails.
        """
        environment = self.stack.environment | options | {"RUN_ID": run_id, "PYTHON": str(ROOT / ".venv/bin/python")}
        command = [*self.prefix, "sh", "-ec", STEPS]
        with (self.results.parent / "programs.log").open("a", encoding="utf-8") as log:
            done = subprocess.run(
                command,
                cwd=self.stack.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                check=False,
            )
        try:
            load_before, report = done.stdout.split("\n", 1)
            return float(load_before), json.loads(report)
        except ValueError as error:
            raise RunNotMeasured(f"{run_id} ended with {done.returncode}; see {log.name}") from error

    def record(self, key: str, options: dict[str, str], entry: dict[str, Any]) -> dict[str, Any]:
        """Carry out one run, and append one line about it to the file of the results. Return the line.

        The line has `entry`, and the figures of the run. Raise RunNotMeasured when a program fails.
        """
        run_id = f"honest-{key}-{int(time.time())}".lower()
        load_before, report = self.measure(run_id, options)
        flags = {flag["name"]: f"{flag['severity']}: {flag['evidence']['text']}" for flag in report["flags"]}
        line = entry | {
            "key": key,
            "run_id": run_id,
            "load_before": load_before,
            "count": report["count"],
            "x_sat_per_minute": report["x_sat_per_minute"],
            "service_mean_seconds": report["service_mean_seconds"],
            "seconds": report["count"] / report["x_per_minute"] * 60 if report["x_per_minute"] else None,
            "validity": report["validity"],
            "validity_reasons": report["validity_reasons"],
            "flags": flags,
            "conditions": report["conditions"],
        }
        with self.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return line


def main() -> int:
    """Run the runs that are missing, and print all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--results", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--prefix", type=shlex.split, default=[], help="words before the command of each run")
    arguments = parser.parse_args()
    exit_on_sigterm()
    folder = arguments.results.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    loads = drawn_loads(arguments.seed, arguments.runs)
    stack = fresh_stack(folder)
    try:
        measure_missing(Laboratory(stack, arguments.prefix, folder / "runs.jsonl"), loads)
    finally:
        stack.run("local", "down")
    return print_results(recorded(folder / "runs.jsonl"), loads, speed_changes(folder / "aforo.db"))


def fresh_stack(folder: Path) -> Stack:
    """Copy the source tree to `folder`/stack, and return a stack there.

    The stack that an earlier start may have left in this place is stopped before. The database, the results and the
    videos are in `folder`, so that they stay when the copy is replaced.
    """
    place = folder / "stack"
    if place.exists():
        Stack(place, dict(os.environ)).run("local", "down")
        shutil.rmtree(place)
    place.mkdir()
    copy = copied_stack(place)
    kept = {
        "AFORO_DATABASE_URL": f"sqlite:///{folder}/aforo.db",
        "AFORO_RESULTS_PATH": str(folder / "results"),
        "UPLOAD_PATH": str(folder / "videos"),
    }
    return Stack(place, copy.environment | kept)


def drawn_loads(seed: int, runs: int) -> dict[str, Load]:
    """Return the loads by the key of their run. Bursts and paced runs take turns."""
    rng = np.random.default_rng(seed)
    loads = {}
    for number in range(1, runs + 1):
        size, slots = str(rng.choice(SIZES)), int(rng.choice(SLOTS))
        seconds, utilisation = rng.uniform(SHORTEST_SECONDS, LONGEST_SECONDS), float(rng.uniform(0.3, 0.9))
        loads[f"{number:03}"] = Load(size, slots, float(seconds), utilisation if number % 2 == 0 else None)
    return loads


def measure_missing(laboratory: Laboratory, loads: dict[str, Load]) -> None:
    """Measure the runs that have no result, each after the calibration of its size and slots.

    Stop after three failed runs in a row.
    """
    failures = 0
    for key, load in loads.items():
        ended = recorded(laboratory.results)
        if key in ended:
            continue
        try:
            per_minute = capacity(laboratory, load, ended)
            line = laboratory.record(key, load.options(per_minute), asdict(load) | {"load": str(load)})
            failures = 0
            print(described(line), flush=True)
        except RunNotMeasured as error:
            failures += 1
            print(f"run {key} ({load}) not measured: {error}", flush=True)
            if failures == FAILURES_IN_A_ROW:
                return


def capacity(laboratory: Laboratory, load: Load, ended: dict[str, dict[str, Any]]) -> float:
    """Return X_sat of the load's size and slots, measured now if no earlier run did.

    Raise RunNotMeasured if it stays unknown.
    """
    key = f"calibration-{load.size}-c{load.slots}"
    if key not in ended:
        count = str(2 * CALIBRATION_GENERATIONS * load.slots)
        options = {"MODE": "burst", "SIZE": load.size, "CONCURRENCY": str(load.slots), "COUNT": count}
        ended[key] = laboratory.record(key, options, {"load": f"calibration of {load.size}, c={load.slots}"})
        print(described(ended[key]), flush=True)
    per_minute = ended[key]["x_sat_per_minute"]
    if not per_minute:
        raise RunNotMeasured(f"{key} has no X_sat; remove its line from {laboratory.results} to repeat it")
    return float(per_minute)


def recorded(results: Path) -> dict[str, dict[str, Any]]:
    """Return the recorded lines by their key."""
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    return {line["key"]: line for line in map(json.loads, lines)}


def described(line: dict[str, Any]) -> str:
    """Return one line of text for a recorded run."""
    seconds = "?" if line["seconds"] is None else f"{line['seconds']:.0f}"
    reasons = "; ".join(f"{name} ({text})" for name, text in line["flags"].items() if name in line["validity_reasons"])
    outcome = f"{line['validity']}{': ' + reasons if reasons else ''}"
    measured = f"{line['count']} videos, {seconds} s, load of the machine before {line['load_before']:.1f}"
    return f"{line['key']}  {line['load']}: {measured}, {outcome}"


def speed_changes(database: Path) -> dict[str, float]:
    """Return for each run by how much the CPU seconds of the same file changed along it: 0.1 is 10 %."""
    costs: dict[str, list[float]] = {}
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "SELECT run_id, ffmpeg_cpu_seconds FROM executions "
            "WHERE outcome = 'done' AND ffmpeg_cpu_seconds IS NOT NULL ORDER BY started_at"
        )
        for run_id, seconds in rows:
            costs.setdefault(run_id, []).append(seconds)
    return {run_id: drift(np.array(each))[0] for run_id, each in costs.items()}


def print_results(ended: dict[str, dict[str, Any]], loads: dict[str, Load], changes: dict[str, float]) -> int:
    """Print each run and the claim. Return the exit code."""
    runs = [ended[key] for key in loads if key in ended]
    print(f"\n{machine()}, ffmpeg {ffmpeg_version()}")
    for line in runs:
        print(f"{described(line)}; the same file {changes.get(line['run_id'], float('nan')):+.1%} CPU")
    print("\n".join(_counts(runs)))
    allowed = max(1, len(loads) // RUNS_PER_INVALID)
    invalid = sum(line["validity"] == "invalid" for line in runs)
    missing = len(loads) - len(runs)
    holds = invalid <= allowed and not missing
    print(f"invalid: claimed at most {allowed} of {len(loads)}, measured {invalid} of {len(runs)}", end="")
    print(f", {missing} runs not measured" if missing else "", "" if holds else " DOES NOT HOLD")
    return int(not holds)


def _counts(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield how many runs have each validity, and how many each reason."""
    by_validity = Counter(line["validity"] for line in runs)
    reasons: dict[str, Counter[str]] = {validity: Counter() for validity in by_validity}
    for line in runs:
        reasons[line["validity"]].update(line["validity_reasons"])
    for validity, count in by_validity.most_common():
        names = ", ".join(f"{name} {times}" for name, times in reasons[validity].most_common())
        yield f"{validity}: {count} of {len(runs)}{' (' + names + ')' if names else ''}"


if __name__ == "__main__":
    sys.exit(main())
