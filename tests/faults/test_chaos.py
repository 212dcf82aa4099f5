"""Seeded random kills during bursts of short videos: whatever dies, every video ends once and nothing is left.

`AFORO_CHAOS_KILLS=200 AFORO_CHAOS_SEED=7 pytest -m faults -k chaos` sets how many, and replays a schedule.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
import pytest

from tests.conftest import poll_until
from tests.faults.rig import Rig, Worker

KILLS = int(os.environ.get("AFORO_CHAOS_KILLS", "40"))
KILLS_PER_BURST = 10
VIDEOS_PER_BURST = 16
SLOTS = 4
#: a killed worker costs a start and a visibility timeout, so it is the rarest victim
VICTIMS = ("child", "child", "child", "child", "ffmpeg", "ffmpeg", "ffmpeg", "ffmpeg", "ffmpeg", "main")

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]


@dataclass(frozen=True)
class Kill:
    """One kill of the schedule: whom, how long after the one before, and which of them."""

    victim: str
    pause_seconds: float
    choice: float


def schedule(chance: random.Random, count: int) -> list[Kill]:
    return [Kill(chance.choice(VICTIMS), chance.uniform(0, 0.8), chance.random()) for _ in range(count)]


@dataclass
class Chaos:
    """Who was killed so far, and the worker that runs now."""

    rig: Rig
    worker: Worker
    killed: Counter[str] = field(default_factory=Counter)

    def strike(self, kill: Kill) -> None:
        """Kill somebody of the kind, once there is one, unless nothing is left to do."""
        if kill.victim == "main":
            self.worker.send(signal.SIGKILL)
            self.worker.await_end()
            self.worker = self.rig.start(SLOTS).await_ready()
        else:
            find = self.worker.children if kill.victim == "child" else self.rig.ffmpegs
            poll_until(lambda: find() or self.rig.waiting() == 0, f"a {kill.victim} to kill, or nothing left to do")
            victims = sorted(find(), key=lambda process: process.pid)
            if not victims:
                return
            with suppress(psutil.NoSuchProcess):
                victims[int(kill.choice * len(victims))].kill()
        self.killed[kill.victim] += 1


def test_chaos_conserves_every_video(rig, clips):
    seed = int(os.environ.get("AFORO_CHAOS_SEED", random.SystemRandom().randrange(10**6)))
    print(f"AFORO_CHAOS_SEED={seed} AFORO_CHAOS_KILLS={KILLS}")
    kills = schedule(random.Random(seed), KILLS)
    with rig(slow=True) as it:
        stored, chaos = it.store(clips(1)), Chaos(it, it.start(SLOTS).await_ready())
        for burst in range(0, KILLS, KILLS_PER_BURST):
            it.send(stored, VIDEOS_PER_BURST, f"burst-{burst}")
            for kill in kills[burst : burst + KILLS_PER_BURST]:
                time.sleep(kill.pause_seconds)  # part of the schedule, not a wait for something
                chaos.strike(kill)
            poll_until(it.has_ended, f"every video has ended (seed {seed})", seconds=120, every=0.2)
            it.check()
        ended = f"videos {dict(it.states())}; attempts {dict(Counter(it.outcomes()))}"
        print(f"seed {seed}: killed {dict(chaos.killed)}; {ended}")
        assert chaos.killed.total() > KILLS / 2
        assert len(it.videos()) == VIDEOS_PER_BURST * len(range(0, KILLS, KILLS_PER_BURST))
        assert sqlite3.connect(it.folder / "aforo.db").execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_schedule_replays():
    assert schedule(random.Random(7), 200) == schedule(random.Random(7), 200)
    assert schedule(random.Random(7), 200) != schedule(random.Random(8), 200)
