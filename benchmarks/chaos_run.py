"""Run one seed of `chaos.py` on one subject: do the kills, drain the queue, and judge each job."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from benchmarks.chaos_rig import SLOTS, Job, Site, Subject, programs_of, running_subject
from benchmarks.programs import exit_on_sigterm
from core.errors import ExitCode
from testing.chaos import Kill, schedule
from testing.polling import until

#: by cost: a killed main process costs seconds of CPU, a restarted server or a cut costs seconds of waiting
VICTIMS = (*["child"] * 7, *["program"] * 7, "main", *["network"] * 2, *["database"] * 2, "emulator")
BATCH = 10
LONGEST_CUT_SECONDS = 2.5
#: a worker that has a free slot and ends nothing for so long, while messages are visible, is replaced
STALL_SECONDS = 60.0
#: the queue is empty for so long before a job without a final state is judged
QUIET_SECONDS = 15.0
DRAIN_SECONDS = 400.0
TICK_SECONDS = 0.4
#: a worker that cannot start so many times is a fault of the rig
STARTS = 5
START_SECONDS = 300.0


@dataclass(frozen=True)
class Strike:
    """A kill that was done at `at` (epoch seconds), and the ids of the jobs that it may have hit.

    If the victim is a child process or its program, `jobs` are the jobs of this child process. For any other victim,
    `jobs` are all jobs in work.
    """

    victim: str
    at: float
    jobs: tuple[str, ...]


@dataclass
class Result:
    """What one seed did to one subject. The counts are jobs unless their name says otherwise."""

    subject: str
    seed: int
    kills: dict[str, int]
    jobs: int
    done: int
    failed: int
    #: without a final state, with a message in the dead-letter queue or the queue
    left: int
    #: without a final state and without a message
    lost: int
    #: executions that completed a job that was complete
    duplicated: int
    hit: int
    #: hit by a kill, and done
    recovered: int
    longest_recovery_seconds: float
    longest_recovery_victim: str
    #: messages, not jobs
    lost_by_emulator: int
    #: workers that ended without being killed, and that did nothing for STALL_SECONDS while messages were visible
    ended: int
    stalled: int
    seconds: float
    load: float
    #: for each lost job, the victims of the kills that hit it
    lost_after: list[list[str]] = field(default_factory=list)
    folder: str = ""


@dataclass
class Attack:
    """Attack on one subject: do the kills, keep the worker running, and count what happens.

    `strikes` are the kills that were done. `ended` counts the workers that ended by themselves, and `stalled` those
    that were replaced because they did nothing.
    """

    site: Site
    subject: Subject
    strikes: list[Strike] = field(default_factory=list)
    ended: int = 0
    stalled: int = 0
    _progress: tuple[int, int] = (0, 0)
    _progress_at: float = field(default_factory=time.monotonic)
    _ticked_at: float = 0.0

    def run(self, kills: list[Kill]) -> None:
        """Keep the queue filled and do the kills, then wait until the queue is empty. End the worker."""
        self.subject.send(BATCH)
        self.start()
        for kill in kills:
            time.sleep(kill.pause_seconds)  # part of the schedule, not a wait for a condition
            self._tick(fill=True)
            while not self._strike(kill):
                time.sleep(0.15)
                self._tick(fill=True)
        self.drain()
        self.subject.end()

    def start(self) -> None:
        """Start the worker, and wait until it takes messages.

        A worker that ends before is counted in `ended`, and started again. Raise RuntimeError after five such starts.
        """
        for _ in range(STARTS):
            self.subject.start()
            until(self._has_started_or_ended, "the worker is ready", START_SECONDS, 0.2)
            if self.subject.worker.is_alive():
                self._progress_at = time.monotonic()
                return
            self.ended += 1
        raise RuntimeError(f"the worker does not start, see {self.site.folder}")

    def drain(self) -> None:
        """Wait until the queue is empty and every job is done or failed.

        Return too if the queue has been empty for 15 s, or after 400 s. A worker that ends in the meantime is started
        again.
        """
        deadline, quiet_since = time.monotonic() + DRAIN_SECONDS, None
        while time.monotonic() < deadline:
            self._tick(fill=False)
            counts, jobs = self.site.queue.counts(), self.subject.jobs()
            is_empty = counts["visible"] + counts["in_flight"] == 0
            if is_empty and all(job.is_final for job in jobs):
                return
            if not is_empty:
                quiet_since = None
            elif time.monotonic() - (quiet_since := quiet_since or time.monotonic()) > QUIET_SECONDS:
                return
            time.sleep(TICK_SECONDS)

    def _has_started_or_ended(self) -> bool:
        return self.subject.worker.is_ready() or not self.subject.worker.is_alive()

    def _tick(self, *, fill: bool) -> None:
        """Keep the queue filled, and replace a worker that has ended or does nothing. Look at most every 0.4 s."""
        if time.monotonic() - self._ticked_at < TICK_SECONDS:
            return None
        self._ticked_at = time.monotonic()
        counts = self.site.queue.counts()
        if fill and counts["visible"] + counts["in_flight"] < 2 * SLOTS:
            self.subject.send(BATCH)
        if not self.subject.worker.is_alive():
            self.ended += 1
            return self.start()
        jobs = self.subject.jobs()
        progress = sum(job.is_final for job in jobs), sum(job.executions for job in jobs)
        if progress != self._progress or not counts["visible"] or len(self._in_work(jobs)) >= SLOTS:
            self._progress, self._progress_at = progress, time.monotonic()
        elif time.monotonic() - self._progress_at > STALL_SECONDS:
            self.stalled += 1
            self._kill_main()
        return None

    def _in_work(self, jobs: list[Job]) -> dict[str, int]:
        """Return the live process of each job in work."""
        pids = {child.pid for child in self.subject.worker.children()}
        return {job.id: job.pid for job in jobs if job.state == "processing" and job.pid in pids}

    def _strike(self, kill: Kill) -> bool:
        """Do one kill. Return False if there is no process to kill at present."""
        in_work, at = self._in_work(self.subject.jobs()), time.time()
        hit = tuple(in_work)
        if kill.victim in {"child", "program"}:
            of_kind = self.subject.worker.children() if kill.victim == "child" else programs_of(self.subject)
            victims = sorted(of_kind, key=lambda process: process.pid)
            if not victims:
                return False
            victim = victims[int(kill.choice * len(victims))]
            try:
                pids = {victim.pid, *(parent.pid for parent in victim.parents())}
                victim.kill()
            except psutil.NoSuchProcess:
                return False
            hit = tuple(job for job, pid in in_work.items() if pid in pids)
        elif kill.victim == "main":
            self._kill_main()
        elif kill.victim == "network":
            self.site.cut_network(LONGEST_CUT_SECONDS * kill.choice)
        elif kill.victim == "database":
            self.site.restart_database()
        else:
            self.site.restart_emulator()
        self.strikes.append(Strike(kill.victim, at, hit))
        with (self.site.folder / "strikes.jsonl").open("a") as stream:
            stream.write(json.dumps(asdict(self.strikes[-1])) + "\n")
        return True

    def _kill_main(self) -> None:
        self.subject.worker.send(signal.SIGKILL)
        self.subject.worker.await_end()
        self.start()


def attack(name: str, seed: int, count: int) -> Result:
    """Do `count` kills of one seed on one subject.

    The folder with the logs and the strikes is kept if a job is lost, or if an error ends the attack.
    """
    folder, started = Path(tempfile.mkdtemp(prefix=f"chaos-{name}-{seed}-")), time.monotonic()
    try:
        with running_subject(name, folder) as (site, subject):
            attack = Attack(site, subject)
            attack.run(schedule(random.Random(seed), VICTIMS, count))
            result = judge(name, seed, attack, site.texts_left())
            jobs = [asdict(job) for job in subject.jobs()]
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    result.seconds = time.monotonic() - started
    if result.lost:
        result.folder = str(folder)
        (folder / "jobs.json").write_text(json.dumps(jobs, indent=1))
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def judge(name: str, seed: int, attack: Attack, texts_left: list[str]) -> Result:
    """Count what became of each job. `texts_left` are the messages in the queue and its dead-letter queue."""
    jobs = {job.id: job for job in attack.subject.jobs()}
    is_open = [job.id for job in jobs.values() if not job.is_final]
    left = [job for job in is_open if any(job in text for text in texts_left)]
    lost = sorted(set(is_open) - set(left))
    hits = [(strike, jobs[job]) for strike in attack.strikes for job in strike.jobs]
    # a job that ended between the look at the database and the kill was not hit
    hits = [(strike, job) for strike, job in hits if job.ended_at is None or job.ended_at > strike.at]
    recoveries = [(job.ended_at - strike.at, strike.victim) for strike, job in hits if job.ended_at is not None]
    longest = max(recoveries, default=(0.0, "none"))
    states = Counter(job.state for job in jobs.values())
    hit = {job.id for _, job in hits}
    return Result(
        subject=name,
        seed=seed,
        kills=dict(Counter(strike.victim for strike in attack.strikes)),
        jobs=len(jobs),
        done=states["done"],
        failed=states["failed"],
        left=len(left),
        lost=len(lost),
        duplicated=sum(max(0, job.done_count - 1) for job in jobs.values()),
        hit=len(hit),
        recovered=sum(jobs[job].state == "done" for job in hit),
        longest_recovery_seconds=longest[0],
        longest_recovery_victim=longest[1],
        lost_by_emulator=attack.site.lost_by_emulator,
        ended=attack.ended,
        stalled=attack.stalled,
        seconds=0.0,
        load=os.getloadavg()[0],
        lost_after=[[strike.victim for strike, each in hits if each.id == job] for job in lost],
    )


def main() -> int:
    """Print the result of the seed and the subject on the command line, as JSON."""
    exit_on_sigterm()
    try:
        print(json.dumps(asdict(attack(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
    except KeyboardInterrupt:  # the benchmark says so
        return ExitCode.INTERRUPTED
    return ExitCode.DONE


if __name__ == "__main__":  # a process of its own, because alembic and boto3 are not made for threads
    raise SystemExit(main())
