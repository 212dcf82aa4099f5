"""Run the native stack for an hour at 70 % of its capacity, and see whether anything in it grows.

First, short videos keep each slot busy until its memory has stopped growing: it grows by 2 MiB in the first 1,000
videos. Then videos of 0.5 MB arrive at a fixed rate on two slots. Every 10 s this reads: memory and open files of each
program (of the slots in sum), the size of the database's write-ahead log and of all logs, and the number of time series
in Prometheus. The first tenth of the time is left out. The rest is cut into 20 parts. The growth per hour is the slope
of a straight line through the lowest values of the parts, with its 95 % interval. The lowest value of a part is what is
left between two videos.

Exit code 1 if the whole interval of a growth is above its limit: 1 MiB per hour for a memory, 1 % of the mean per hour
for open files and time series. Exit code 0 otherwise. The memory of Prometheus is printed and not judged: it holds the
samples of the last two to three hours, so it grows in the first ones.

    .venv/bin/python -m benchmarks.soak [--minutes 60] [--slots 2] [--load 0.7] [--samples FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from scipy import stats

from benchmarks.harness import machine
from benchmarks.programs import ROOT, exit_on_sigterm
from core import promql
from core.errors import EnvironmentFault
from testing import clips
from testing.native_stack import Stack, copied_stack

SIZE = "0.5MB"
CALIBRATION_VIDEOS = 40
WARM_UP_VIDEOS = 1500
WARM_UP_BURST = 100
SAMPLE_SECONDS = 10.0
WARM_UP_SHARE = 0.1
PARTS = 20
NOT_JUDGED = "prometheus, memory"
PROGRAMS = ("worker", "sqs-exporter", "db-exporter", "celery-exporter", "prometheus", "emulator", "events")
MIB = 2**20
#: a growth per hour above this is one, for each unit; of open files and series, a share of their mean
MEMORY_LIMIT_MIB = 1.0
COUNT_LIMIT_RATIO = 0.01


@dataclass(frozen=True)
class Growth:
    """Growth per hour of one quantity, with its 95 % interval, and the mean of the quantity.

    The interval is from `low` to `high`. `unit` is MiB for memory, MB for logs, and empty for a number of files or
    series.
    """

    name: str
    unit: str
    mean: float
    per_hour: float
    low: float
    high: float

    @property
    def is_growing(self) -> bool:
        """Return True if the whole interval is above the limit of the unit.

        Logs, the write-ahead log and the memory of Prometheus have no limit, so the result is False.
        """
        limits = {"MiB": MEMORY_LIMIT_MIB, "": COUNT_LIMIT_RATIO * self.mean}
        return self.name != NOT_JUDGED and self.low > limits.get(self.unit, np.inf)

    def __str__(self) -> str:
        interval = f"{self.per_hour:+.2f} [{self.low:+.2f}, {self.high:+.2f}] {self.unit}/h"
        return f"{self.name:32}{self.mean:10.1f} {self.unit:4} {interval}{'  GROWS' if self.is_growing else ''}"


def main() -> int:
    """Run the test and print the growth of each quantity. Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--load", type=float, default=0.7)
    parser.add_argument("--samples", type=Path, help="write all samples to this JSON file")
    arguments = parser.parse_args()
    exit_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        stack = copied_stack(Path(folder))
        try:
            stack.done("local", "up", "--concurrency", str(arguments.slots))
            warm_up(stack, arguments.slots)
            rate = arguments.load * capacity(stack, arguments.slots)
            times, samples, counts = soak(stack, rate, arguments)
        finally:
            stack.run("local", "down")
    if arguments.samples is not None:
        named = {f"{name} ({unit})": values for (name, unit), values in samples.items()}
        arguments.samples.write_text(json.dumps({"seconds": times, **named}), "utf-8")
    print(machine())
    print(f"{SIZE}, {arguments.slots} slots, {rate:.1f} videos/min ({arguments.load:.0%} of X_sat), {counts}")
    missing = [name for name in PROGRAMS if (f"{name}, memory", "MiB") not in samples]
    print(f"not found: {', '.join(missing) or 'none'}")
    whole = {name: values for name, values in samples.items() if np.isfinite(values).sum() >= 0.5 * len(times)}
    growths = [growth(name, times, values) for name, values in sorted(whole.items())]
    print(*growths, sep="\n")
    return int(any(each.is_growing for each in growths))


def warm_up(stack: Stack, slots: int) -> None:
    """Process 1,500 videos of 0.2 s per slot, after which the memory of a slot grows no more."""
    picture = ("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=10:duration=0.2")
    clip = clips.make(stack.folder / "short.mp4", *picture, *clips.H264)
    options = ("--file", str(clip), "--count", str(WARM_UP_BURST * slots), "--concurrency", str(slots))
    for number in range(WARM_UP_VIDEOS // WARM_UP_BURST):
        stack.done("injector", *options, "--run-id", f"warm-up-{number}")
        stack.done("capacity", "wait")


def capacity(stack: Stack, slots: int) -> float:
    """Run a short burst, and return its X_sat in videos per minute."""
    options = ("--size", SIZE, "--count", str(CALIBRATION_VIDEOS), "--concurrency", str(slots))
    stack.done("injector", *options, "--run-id", "calibration", "--monitor")
    stack.done("capacity", "wait")
    report = json.loads(stack.done("capacity", "report", "calibration", "--json", "--lang", "en"))
    return float(report["x_sat_per_minute"])


def soak(
    stack: Stack, rate: float, arguments: argparse.Namespace
) -> tuple[Sequence[float], Mapping[tuple[str, str], Sequence[float]], str]:
    """Send videos at `rate` per minute, and sample every 10 s until the last video is sent.

    Return the times in seconds, the samples by (quantity, unit), and a text with the number of videos in each state. A
    value that was not read is NaN. Raise RuntimeError if the injector fails.
    """
    count = max(1, round(rate * arguments.minutes))
    pace = ("--mode", "sustained", "--rate", f"{rate:.2f}", "--count", str(count))
    options = (*pace, "--size", SIZE, "--run-id", "soak")
    command = [str(ROOT / ".venv/bin/python"), "-m", "injector", *options, "--monitor"]
    environment = stack.environment | {"CONCURRENCY": str(arguments.slots)}
    sent = subprocess.Popen(command, cwd=stack.folder, env=environment, stdout=subprocess.DEVNULL)
    times: list[float] = []
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    started = time.monotonic()
    while sent.poll() is None:
        times.append(time.monotonic() - started)
        for key, value in sample(stack).items():
            samples[key] += [np.nan] * (len(times) - 1 - len(samples[key])) + [value]
        time.sleep(max(0.0, len(times) * SAMPLE_SECONDS - (time.monotonic() - started)))
    if sent.returncode != 0:
        raise RuntimeError(f"the injector ended with {sent.returncode}")
    stack.done("capacity", "wait")
    rows = json.loads(stack.done("capacity", "table", "--json"))["rows"]
    last = next(row for row in rows if row["mode"] == "sustained")
    return times, samples, f"{last['done']} done, {last['failed']} failed, {last['duplicates']} duplicates"


def sample(stack: Stack) -> dict[tuple[str, str], float]:
    """Return the current value of each quantity, by (quantity, unit). A program that does not answer is left out."""
    values: dict[tuple[str, str], float] = {}
    for program in PROGRAMS:
        with suppress(psutil.NoSuchProcess, ValueError, subprocess.CalledProcessError):
            process = psutil.Process(stack.pid(program))
            values[f"{program}, memory", "MiB"] = process.memory_info().rss / MIB
            values[f"{program}, open files", ""] = process.num_fds()
            if program == "worker":
                slots = [each for each in process.children() if "python" in each.name()]
                values["slots, memory", "MiB"] = sum(each.memory_info().rss for each in slots) / MIB
                values["slots, open files", ""] = sum(each.num_fds() for each in slots)
    local = stack.folder / ".local"
    with suppress(FileNotFoundError):  # rotated or checkpointed in the meantime
        values["write-ahead log of SQLite", "MB"] = sum(file.stat().st_size for file in local.glob("*.db-wal")) / 1e6
        values["logs", "MB"] = sum(file.stat().st_size for file in (local / "log").iterdir()) / 1e6
    with suppress(EnvironmentFault):
        series = promql.single(stack.environment["AFORO_PROMETHEUS_URL"], "prometheus_tsdb_head_series")
        values["time series", ""] = float("nan") if series is None else series
    return values


def growth(key: tuple[str, str], times: Sequence[float], values: Sequence[float]) -> Growth:
    """Return the growth per hour of one quantity, from the lowest values in equal parts of the time after the warm-up.

    Neighbouring samples correlate, so that the samples themselves would give too narrow an interval.
    """
    at, all_values = np.array(times), np.array([*values, *[np.nan] * (len(times) - len(values))])
    kept = (at >= WARM_UP_SHARE * at[-1]) & np.isfinite(all_values)
    at, known = at[kept] / 3600, all_values[kept]
    parts = [part for part in np.array_split(np.arange(at.size), PARTS) if part.size]
    hours, lowest = np.array([at[part].mean() for part in parts]), np.array([known[part].min() for part in parts])
    line = stats.linregress(hours, lowest)
    half = stats.t.ppf(0.975, len(parts) - 2) * line.stderr
    return Growth(*key, float(known.mean()), float(line.slope), float(line.slope - half), float(line.slope + half))


if __name__ == "__main__":
    raise SystemExit(main())
