"""Random kills with a seed, during bursts of short videos.

Every video ends once, and no file is left. `AFORO_CHAOS_KILLS=200 AFORO_CHAOS_SEED=7 pytest -m faults -k chaos` sets
the number of kills and repeats a schedule.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from testing.chaos import Kill, schedule
from testing.polling import until
from testing.worker_rig import Rig, Worker

KILLS = int(os.environ.get("AFORO_CHAOS_KILLS", "100"))
KILLS_PER_BURST = 10
VIDEOS_PER_BURST = 16
SLOTS = 4
#: how often the reader checks for a new output, which it reads completely at once
LOOK_SECONDS = 0.01
#: a killed worker costs a start and a visibility timeout, so it is the rarest victim
VICTIMS = ("child", "child", "child", "child", "ffmpeg", "ffmpeg", "ffmpeg", "ffmpeg", "ffmpeg", "main")

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]


@dataclass
class Chaos:
    """The kills that have been done, and the worker that runs now."""

    rig: Rig
    worker: Worker
    killed: Counter[str] = field(default_factory=Counter)

    def strike(self, kill: Kill) -> bool:
        """Wait for a process to kill, and kill it. Return False if the burst ended first."""
        while self.rig.waiting():
            if self._strike(kill):
                self.killed[kill.victim] += 1
                return True
            time.sleep(0.02)
        return False

    def _strike(self, kill: Kill) -> bool:
        if kill.victim == "main":
            self.worker.send(signal.SIGKILL)
            self.worker.await_end()
            self.worker = self.rig.start(SLOTS).await_ready()
            return True
        processes = self.worker.children() if kill.victim == "child" else self.rig.ffmpegs()
        victims = sorted(processes, key=lambda process: process.pid)
        with suppress(psutil.NoSuchProcess):
            if victims:
                victims[int(kill.choice * len(victims))].kill()
                return True
        return False


@dataclass
class Reader:
    """Read every output of a folder as soon as it has its final name. Record partial outputs."""

    folder: Path
    sizes: dict[Path, int] = field(default_factory=dict)
    partial: list[Path] = field(default_factory=list)
    _left: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Reader:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._left.set()
        self._thread.join()

    def read_new(self) -> None:
        """Read the new outputs."""
        for file in self.folder.rglob("[!.]*.mp4"):
            with suppress(FileNotFoundError):  # the output of a superseded execution, deleted in the meantime
                if file not in self.sizes:
                    content = file.read_bytes()
                    self.sizes[file] = len(content)
                    self.partial += [] if is_whole(content) else [file]

    def _read(self) -> None:
        while not self._left.wait(LOOK_SECONDS):
            self.read_new()


def is_whole(content: bytes) -> bool:
    """Return True if the boxes of an MP4 end where the file ends."""
    at, kinds = 0, set()
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4])
        kinds.add(content[at + 4 : at + 8])
        at += max(size, 8)
    return at == len(content) and kinds >= {b"moov", b"mdat"}


def test_chaos_conserves_every_video(rig, clips):
    seed = int(os.environ.get("AFORO_CHAOS_SEED", random.SystemRandom().randrange(10**6)))
    print(f"AFORO_CHAOS_SEED={seed} AFORO_CHAOS_KILLS={KILLS}")
    kills, bursts = schedule(random.Random(seed), VICTIMS, KILLS), 0
    with rig(slow=True) as it, Reader(it.settings.storage.path / "processed") as reader:
        stored, chaos = it.store(clips(1)), Chaos(it, it.start(SLOTS).await_ready())
        while chaos.killed.total() < KILLS:
            it.send(stored, VIDEOS_PER_BURST, f"burst-{bursts}")
            bursts += 1
            strike_in_a_burst(chaos, kills)
            until(it.has_ended, f"every video has ended (seed {seed})", seconds=120, every=0.2)
            it.check()
        ended = f"videos {dict(it.states())}; executions {dict(Counter(it.outcomes()))}"
        print(f"seed {seed}: {bursts} bursts, killed {dict(chaos.killed)}; {ended}; read {len(reader.sizes)} outputs")
        assert chaos.killed == Counter(kill.victim for kill in kills)
        assert len(it.videos()) == VIDEOS_PER_BURST * bursts
        done = {it.settings.storage.path / str(v.output_key): v.output_bytes for v in it.videos() if v.state == "done"}
        assert reader.partial == []
        assert {file: reader.sizes.get(file) for file in done} == done
        assert sqlite3.connect(it.folder / "aforo.db").execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def strike_in_a_burst(chaos: Chaos, kills: list[Kill]) -> None:
    """Do the next kills during the burst.

    A kill that finds no process becomes the first kill of the next burst.
    """
    first = chaos.killed.total()
    for kill in kills[first : first + KILLS_PER_BURST]:
        time.sleep(kill.pause_seconds)  # part of the schedule, not a wait for a condition
        if not chaos.strike(kill):
            return


def test_a_schedule_replays():
    assert schedule(random.Random(7), VICTIMS, 200) == schedule(random.Random(7), VICTIMS, 200)
    assert schedule(random.Random(7), VICTIMS, 200) != schedule(random.Random(8), VICTIMS, 200)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_control_the_reader_detects_a_partial_output(share, clips, tmp_path):
    content = clips(1).read_bytes()
    (tmp_path / "whole.mp4").write_bytes(content)
    (tmp_path / "partial.mp4").write_bytes(content[: int(share * len(content))])
    (tmp_path / ".hidden.mp4").write_bytes(content[:100])
    reader = Reader(tmp_path)
    reader.read_new()
    assert reader.partial == [tmp_path / "partial.mp4"]
