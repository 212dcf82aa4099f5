"""Kill processes and servers of workers by seeded schedules, and count the jobs that are lost.

Four subjects get the same schedule of each seed:

- `worker`: our worker. Its jobs are real videos of four seconds, which ffmpeg transcodes in real time.
- `hardened`: a team's app (`chaos_app.py`) on the hardened transport, with `acks_late`, `reject_on_worker_lost`, no
  acknowledgement of failed tasks, and a claim that a later delivery can take over.
- `not-reentrant`: the same app, but a later delivery cannot take over a claim. Jobs that only this subject loses are
  lost by the claim, and not by the transport.
- `stock`: the same app as `hardened`, on stock Celery.

The jobs of the app run `sleep` for one second, so its figures are about messages and not about ffmpeg.

A victim is a child process, the child program of a task (ffmpeg, `sleep`), the main process, the network between worker
and SQS (up to 2.5 s), PostgreSQL (stopped as by a crash, with what it committed), or the SQS emulator. The emulator
holds its messages in memory. It is ended by SIGTERM, so it writes the messages to a file, and reads them at its start.
Its restart is therefore some seconds without SQS after connections were reset, and no loss of messages by SQS. Should a
message be missing afterwards, it is counted as lost by the emulator.

A job is lost if it has no final state and no message is left for it in the queue or the dead-letter queue, after the
queue was empty for 15 s. A job is duplicated if it was completed again, and recovered if a kill hit it and it is done.
A recovery lasts from a kill until the final state of a job that the killed process worked on. After a kill of the main
process or a server, all jobs in work count. The table shows the longest recovery.

A worker that has ended by itself is counted and replaced. So is a worker that has stalled: it has a free slot, messages
are visible, and for 60 s no task starts or ends.

Exit code 1 if `worker` or `hardened` lost a job, 0 otherwise. Each result is appended to the file --results.

    .venv/bin/python -m benchmarks.chaos [--seeds 1,2,3] [--kills 250] [--parallel 4] [--subjects worker,stock]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from scipy import stats

from benchmarks.chaos_rig import SUBJECTS
from benchmarks.chaos_run import Result
from benchmarks.harness import machine, python
from benchmarks.programs import ROOT, exit_on_sigterm
from core.cli import whole_numbers
from core.errors import EnvironmentFault, ExitCode, UsageError
from testing import postgresql
from testing.emulator import program

#: these must lose nothing
MUST_HOLD = ("worker", "hardened")


def main(words: Sequence[str] | None = None) -> int:
    """Run the seeds, print the table, and return the exit code."""
    try:
        options = _options(words)
        _require_programs()
    except (UsageError, EnvironmentFault) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    exit_on_sigterm()
    cells = [(name, seed) for seed in options.seeds for name in options.subjects]
    try:
        results = run(cells, options.kills, options.parallel, options.results)
    except KeyboardInterrupt:
        print("error: interrupted; Ctrl-C was pressed; the printed results are whole", file=sys.stderr)
        return ExitCode.INTERRUPTED
    print(machine())
    print(f"seeds {','.join(map(str, options.seeds))}, {options.kills} kills each")
    print(*table(results), sep="\n")
    failed = len(results) < len(cells)
    return int(failed or any(result.lost for result in results if result.subject in MUST_HOLD))


def run(cells: list[tuple[str, int]], kills: int, parallel: int, file: Path | None) -> list[Result]:
    """Run each pair of subject and seed in `cells`, `parallel` processes at a time.

    Print each result and append it to `file`. A pair that fails writes its error to standard error and has no result.
    """
    waiting, running, results = list(cells), set[subprocess.Popen[str]](), list[Result]()
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                name, seed = waiting.pop(0)
                command = python("benchmarks.chaos_run", name, str(seed), str(kills))
                running.add(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
            for process in [each for each in running if each.poll() is not None]:
                running.remove(process)
                results += _result_of(process, file)
            time.sleep(0.5)
    finally:
        for process in running:  # it stops its servers
            process.terminate()
        for process in running:
            process.wait()
    return results


def _result_of(cell: subprocess.Popen[str], file: Path | None) -> list[Result]:
    line = cell.communicate()[0].strip()
    if cell.returncode != 0 or not line:
        return []
    print(line, flush=True)
    if file is not None:
        with file.open("a") as stream:
            stream.write(line + "\n")
    return [Result(**json.loads(line))]


def table(results: Sequence[Result]) -> list[str]:
    """Return the lines of a Markdown table, with one line per subject."""
    head = (
        "| Subject | Kills | Jobs | Lost | At most, 95 % | Duplicated | Hit | Of them done | Failed | Message left "
        "| Longest recovery | Ended, stalled | Lost by emulator |"
    )
    lines = [head, "|" + "---|" * 13]
    for name, text in SUBJECTS.items():
        of_subject = [result for result in results if result.subject == name]
        if of_subject:
            lines.append(f"| {text} | {_cells(of_subject)} |")
    kills: Counter[str] = Counter()
    for result in results:
        kills.update(result.kills)
    return [*lines, "", "kills: " + ", ".join(f"{count} {victim}" for victim, count in kills.most_common())]


def _cells(results: list[Result]) -> str:
    def total(name: str) -> int:
        return sum(getattr(result, name) for result in results)

    kills = sum(sum(result.kills.values()) for result in results)
    longest = max(results, key=lambda result: result.longest_recovery_seconds)
    recovery = f"{longest.longest_recovery_seconds:.1f} s ({longest.longest_recovery_victim}, seed {longest.seed})"
    words = (kills, total("jobs"), total("lost"), bound(total("lost"), kills), total("duplicated"), total("hit"))
    more = (total("recovered"), total("failed"), total("left"), recovery, f"{total('ended')}, {total('stalled')}")
    return " | ".join(map(str, (*words, *more, total("lost_by_emulator"))))


def bound(lost: int, kills: int) -> str:
    """Return the most losses per kill that the counts allow with 95 % confidence.

    For no loss it is 3/n, otherwise the one-sided bound of Clopper and Pearson.
    """
    if lost == 0:
        return f"{3 / kills:.2%}"
    if lost >= kills:
        return "100%"
    return f"{stats.beta.ppf(0.95, lost + 1, kills - lost):.2%}"


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default=os.environ.get("SEEDS") or "1", help="[env: SEEDS, default 1]")
    parser.add_argument("--kills", type=int, default=250, help="kills per seed (%(default)s)")
    parser.add_argument("--parallel", type=int, default=4, help="rigs at a time (%(default)s)")
    parser.add_argument("--subjects", default=",".join(SUBJECTS), help="(%(default)s)")
    parser.add_argument("--results", type=Path, help="file of JSON lines")
    options = parser.parse_args(words)
    options.seeds = whole_numbers("SEEDS", options.seeds, "seeds", 10**6)
    options.subjects = options.subjects.split(",")
    if unknown := [name for name in options.subjects if name not in SUBJECTS]:
        raise UsageError("--subjects", "there is none of that name", f"use {', '.join(SUBJECTS)}", value=unknown[0])
    return options


def _require_programs() -> None:
    if program() is None:
        raise EnvironmentFault("ministack", "it is not installed", "run `make setup-dev`")
    if postgresql.binaries() is None:
        raise EnvironmentFault("PostgreSQL", "it is not installed", "install the package postgresql")


if __name__ == "__main__":
    raise SystemExit(main())
