"""Compare the whole pipeline with a bare ffmpeg loop: same file, same command line, same concurrency.

The bare side is `xargs -P`. The other side is `python -m worker` behind an SQS emulator, with SQLite and the filesystem
storage. The worker's /metrics is read each second. X = videos ÷ (last end − first upload), as in the table. The sides
take turns. With --together both sides run at the same time, for a machine with other load. A virtual machine can change
its speed between turns. A fixed piece of work (a unit) is therefore timed twice per second during both sides, and X is
also given per unit of that work.

    PYTHONPATH=. .venv/bin/python benchmarks/pipeline_efficiency.py [--concurrency 2] [--count 4] [--together]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shlex
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil
from sqlalchemy import func, select

from aforo.telemetry.ffmpeg import ffmpeg_version
from benchmarks.harness import (
    cpu_seconds,
    emulator,
    machine,
    paired_ratio,
    python,
    read_metrics,
    spread,
)
from benchmarks.programs import ROOT, running
from core import aws
from core.broker import make_celery
from core.database import Sessions, open_engine, open_sessions, upgrade_schema
from core.ffmpeg.profiles import profile_named
from core.models import ExecutionRow, VideoRow
from core.settings import Settings
from core.size import parse_size
from core.storage import Storage, open_storage
from injector.input_video import MediaFile, make_video
from injector.parallel_sender import send_videos
from injector.senders import NewVideo, Sender, VideoSender
from provision.queue import ensure_queue
from testing.emulator import KEYS
from testing.polling import seconds_until
from testing.ports import free_port
from testing.rows import run_row
from worker.media.transcode import Transcoder, transcode_command

WARM_UP_SIZE = "1MB"
UNIT_ITERATIONS = 60_000
STAGES = ("claim", "fetch", "probe", "transcode", "publish", "finish")


def main() -> None:
    """Print X of the pipeline and of the bare ffmpeg loop, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--size", default="50MB")
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--together", action="store_true", help="run both sides at the same time instead of in turns (see README)"
    )
    arguments = parser.parse_args()
    print(f"{machine()}, ffmpeg {ffmpeg_version()}")
    small, source = (
        make_video(parse_size(size), ROOT / "videos/media", print) for size in (WARM_UP_SIZE, arguments.size)
    )
    with tempfile.TemporaryDirectory() as name, emulator() as endpoint_url:
        folder = Path(name)
        settings, environment = surroundings(folder, endpoint_url, arguments.concurrency)
        loop = BareLoop(folder / "bare", arguments.concurrency, Transcoder.from_settings(settings.worker).threads)
        with pipeline(settings, environment, folder) as ours:
            loop.turn(small, arguments.concurrency)  # both sides once, uncounted: caches and first imports
            ours.turn(small, arguments.concurrency, "warm-up")
            bare, whole = [], []
            for repeat in range(arguments.repeats):
                turns = {
                    "bare": timed(partial(loop.turn, source, arguments.count)),
                    "core": timed(partial(ours.turn, source, arguments.count, f"run-{repeat}")),
                }
                done = at_once(turns) if arguments.together else one_by_one(turns, backwards=bool(repeat % 2))
                bare.append(done["bare"])
                whole.append(done["core"])
                print(f"turn {repeat + 1}: bare {bare[-1]}, pipeline {whole[-1]}", flush=True)
            print(f"concurrency {arguments.concurrency}, {arguments.size}, ", end="")
            print(f"{arguments.count} videos per turn, {loop.threads} threads")
            for side, turns in (("bare loop", bare), ("core", whole)):
                cpu = spread([turn.cpu_seconds for turn in turns])
                rates = spread([turn.per_minute for turn in turns], ".3f")
                print(f"  {side:<9} {rates} videos/min, CPU {cpu} s per video")
            x = paired_ratio([turn.per_minute for turn in whole], [turn.per_minute for turn in bare])
            even = paired_ratio([turn.per_unit for turn in whole], [turn.per_unit for turn in bare])
            cpu = paired_ratio([turn.cpu_seconds for turn in bare], [turn.cpu_seconds for turn in whole])
            print(f"  X of the pipeline ÷ bare: {x}\n  at one speed of the machine: {even}")
            print(f"  CPU per video, bare ÷ pipeline: {cpu}")
            print(f"  mean seconds per stage: {ours.stages()}")
            shares = [ours.in_ffmpeg(f"run-{repeat}", turn, arguments) for repeat, turn in enumerate(whole)]
            slots, cpu = zip(*shares, strict=True)
            print(f"  of the slots' time until the last end, in ffmpeg: {spread(slots, '.3f')}")
            print(f"  of the worker's CPU, ffmpeg's: {spread(cpu, '.3f')}")


def one_by_one(turns: Mapping[str, Callable[[], Turn]], backwards: bool) -> dict[str, Turn]:
    """Run the turns one after the other, with `backwards` in reverse order. Return the results by side."""
    return {side: turns[side]() for side in (reversed(list(turns)) if backwards else turns)}


def at_once(turns: Mapping[str, Callable[[], Turn]]) -> dict[str, Turn]:
    """Run all turns at the same time. Return the results by side.

    Other load of the machine then affects both sides equally.
    """
    with ThreadPoolExecutor(len(turns)) as pool:
        running_turns = {side: pool.submit(turn) for side, turn in turns.items()}
        return {side: turn.result() for side, turn in running_turns.items()}


@dataclass(frozen=True)
class Turn:
    """Result of one side's turn: throughput, and CPU seconds per video.

    `cpu_seconds` is the CPU time of ffmpeg in the bare loop, and of the whole worker in the pipeline. `unit_seconds` is
    the CPU time of a fixed piece of work during the turn. A slower machine has a longer `unit_seconds`.
    """

    per_minute: float
    cpu_seconds: float
    unit_seconds: float = 0.0

    @property
    def per_unit(self) -> float:
        """Return the throughput independent of the machine's speed.

        The unit is videos per CPU time of 60 units of work.
        """
        return self.per_minute * self.unit_seconds

    def __str__(self) -> str:
        unit = f"a unit of work {1000 * self.unit_seconds:.2f} ms"
        return f"{self.per_minute:.3f} videos/min at {self.cpu_seconds:.2f} CPU s each ({unit})"


def timed(turn: Callable[[], Turn]) -> Callable[[], Turn]:
    """Return a function that calls `turn` and adds the machine's speed during the turn to the result."""

    def measured() -> Turn:
        stop, units = threading.Event(), list[float]()
        meter = threading.Thread(target=_measure_units, args=(stop, units), daemon=True)
        meter.start()
        done = turn()
        stop.set()
        meter.join()
        return replace(done, unit_seconds=statistics.mean(units))

    return measured


def _measure_units(stop: threading.Event, units: list[float]) -> None:
    """Time a fixed piece of work (a unit) twice per second, which uses 3 % of a core.

    The time is in CPU seconds of this thread, so time without the CPU does not count.
    """
    while not stop.wait(0.5):
        started = time.thread_time()
        hashlib.pbkdf2_hmac("sha256", b"unit", b"of work", UNIT_ITERATIONS)
        units.append(time.thread_time() - started)


@dataclass(frozen=True)
class BareLoop:
    """`xargs -P` that runs the worker's own ffmpeg command line."""

    folder: Path
    concurrency: int
    threads: int

    def turn(self, source: MediaFile, count: int) -> Turn:
        """Transcode the file `count` times. Return the result."""
        self.folder.mkdir(exist_ok=True)
        media = Transcoder.from_settings(Settings().worker).probe(source.path)
        target = self.folder / "NUMBER.mp4"
        argv = transcode_command(source.path, target, profile_named("full"), media, self.threads)
        line = shlex.join(argv).replace("NUMBER", "{}") + " >/dev/null"
        command = ["xargs", "-P", str(self.concurrency), "-I", "{}", "sh", "-c", line]
        started, used = time.perf_counter(), _children_cpu_seconds()
        subprocess.run(command, input="\n".join(map(str, range(count))), text=True, check=True)
        seconds, used = time.perf_counter() - started, _children_cpu_seconds() - used
        assert len(list(self.folder.iterdir())) >= count
        return Turn(60 * count / seconds, used / count)


def _children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class Pipeline:
    """A running worker and its injector."""

    sessions: Sessions
    sender: VideoSender
    storage: Storage
    worker: psutil.Process

    def turn(self, source: MediaFile, count: int, run_id: str) -> Turn:
        """Send `count` videos and wait until they are done. Return the result."""
        with self.sessions.begin() as session:
            session.add(run_row(id=run_id, count=count, source_sha256=source.sha256, created_at=time.time()))
        used = cpu_seconds(self.worker)
        stored = self.storage.upload(source.path, f"uploads/{source.sha256[:16]}.mp4")
        fields = (stored.key, stored.size_bytes, stored.sha256, "full", None, None)
        send_videos(self.sender, [NewVideo(run_id, k, *fields) for k in range(count)])
        seconds_until(lambda: self._done(run_id) == count, "the videos are done", seconds=600, every=0.2)
        with self.sessions() as session:
            window = select(func.max(VideoRow.updated_at) - func.min(VideoRow.uploaded_at))
            seconds = session.scalar(window.where(VideoRow.run_id == run_id))
        return Turn(60 * count / seconds, (cpu_seconds(self.worker) - used) / count)

    def stages(self) -> str:
        """Return the mean time of each stage over the counted turns."""
        means = [func.avg(getattr(ExecutionRow, f"{stage}_seconds")) for stage in STAGES]
        with self.sessions() as session:
            row = session.execute(select(*means).where(ExecutionRow.run_id != "warm-up")).one()
        shown = zip(STAGES, row, strict=True)
        return " ".join(f"{stage} {seconds:.3f}" for stage, seconds in shown if seconds is not None)

    def in_ffmpeg(self, run_id: str, turn: Turn, arguments: argparse.Namespace) -> tuple[float, float]:
        """Return ffmpeg's share of the slots' time, and its share of the worker's CPU time.

        Neither share depends on the machine's speed.
        """
        sums = select(func.sum(ExecutionRow.transcode_seconds), func.sum(ExecutionRow.ffmpeg_cpu_seconds))
        with self.sessions() as session:
            seconds, cpu = session.execute(sums.where(ExecutionRow.run_id == run_id)).one()
        window = 60 * arguments.count / turn.per_minute
        return seconds / (arguments.concurrency * window), cpu / (arguments.count * turn.cpu_seconds)

    def _done(self, run_id: str) -> int:
        with self.sessions() as session:
            done = select(func.count()).where(VideoRow.run_id == run_id, VideoRow.state == "done")
            return session.scalar(done) or 0


@contextmanager
def pipeline(settings: Settings, environment: dict[str, str], folder: Path) -> Iterator[Pipeline]:
    """Context manager: run a worker and read its /metrics each second. Yield the Pipeline.

    The queue and the tables are created before. The worker serves /metrics when the Pipeline is yielded.
    """
    client = aws.client(settings, "sqs")
    url = ensure_queue(client, settings.queue)
    engine = open_engine(settings.database.url)
    upgrade_schema(engine)
    sessions = open_sessions(engine)
    port = settings.worker.metrics_port
    with running(python("worker"), environment, folder / "worker.log") as main, read_each_second(port):
        seconds_until(lambda: read_metrics(port), "the worker serves its metrics")
        yield Pipeline(
            sessions,
            VideoSender(make_celery(settings, url), Sender(client, url), sessions),
            open_storage(settings),
            main,
        )


@contextmanager
def read_each_second(port: int) -> Iterator[None]:
    """Context manager: read /metrics on `port` each second in a thread, as Prometheus would."""
    stop = threading.Event()

    def read() -> None:
        while not stop.wait(1.0):
            read_metrics(port)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield
    finally:
        stop.set()
        reader.join()


def surroundings(folder: Path, endpoint_url: str, concurrency: int) -> tuple[Settings, dict[str, str]]:
    """Return the settings that both sides use, and the environment that gives them to the worker.

    Also set AWS_ENDPOINT_URL_SQS in the environment of this process.
    """
    environment = {
        **KEYS,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AFORO_DATABASE_URL": f"sqlite:///{folder}/aforo.db",
        "UPLOAD_PATH": str(folder / "videos"),
        "AFORO_WORKER_WORK_PATH": str(folder / "work"),
        "AFORO_WORKER_METRICS_PORT": str(free_port()),
        "AFORO_WORKER_CONCURRENCY": str(concurrency),
        "AFORO_EVENTS_REDIS_URL": "",
    }
    os.environ["AWS_ENDPOINT_URL_SQS"] = endpoint_url
    return Settings.from_env(environment), environment


if __name__ == "__main__":
    main()
