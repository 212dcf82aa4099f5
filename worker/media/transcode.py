"""Transcode a video with a contained ffmpeg and believe the result only after checking it.

Knows no Celery, database or metrics. The command line is built here by hand (docs/adr/0006-ffmpeg-by-hand.md).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core import settings
from core.errors import EnvironmentFault
from core.video import Reason, VideoFailed
from worker.media import probe as probing
from worker.media.failure_reasons import require_success
from worker.media.probe import MediaFacts
from worker.media.profiles import Profile
from worker.media.sandbox import Finished, Limits, run_contained

VERSION_SECONDS = 10.0
OLDEST_FFMPEG = (5, 1)  # the first with -fps_mode
#: What the output may lack of the expected length. Half a second: encoder delay, B-frames at the edges and edit lists
#: shift ends by some frames. Two pictures: the last one's duration is a guess at low rates. One per cent: clocks are
#: rounded and foreign muxers estimate durations. Input that lost more than that is truncated.
TOLERATED_SECONDS = 0.5
TOLERATED_PICTURES = 2
TOLERATED_RATIO = 0.01
#: Pictures that may go unseen: those before the first key frame and those an edit list hides.
TOLERATED_LOST_PICTURES = 5
TOLERATED_LOST_RATIO = 0.02


@dataclass(frozen=True)
class TranscodeResult:
    """A verified output and what ffmpeg used to make it."""

    media: MediaFacts
    finished: Finished

    @property
    def speed(self) -> float:
        """Return seconds of video made per second of work."""
        return (self.media.duration_seconds or 0.0) / self.finished.wall_seconds

    @property
    def cores_used(self) -> float:
        """Return CPU seconds per second of work."""
        return self.finished.cpu_seconds / self.finished.wall_seconds

    def columns(self) -> dict[str, float]:
        """Return the cost under the names of the executions table's columns."""
        return _cost(self.finished)

    def report(self) -> dict[str, float | int]:
        """Return what the worker's metrics are fed with."""
        return {
            "speed": round(self.speed, 4),
            "cpu_seconds": round(self.finished.cpu_seconds, 4),
            "cores": round(self.cores_used, 4),
            "max_rss_bytes": self.finished.max_rss_bytes,
        }


@dataclass(frozen=True)
class Transcoder:
    """ffmpeg with the limits and the thread budget of one slot."""

    limits: Limits
    threads: int

    @classmethod
    def from_settings(cls, worker: settings.Worker) -> Transcoder:
        """Return the transcoder of one slot: its share of the cores unless the settings say otherwise."""
        threads = worker.threads or max(1, (os.cpu_count() or 1) // worker.concurrency)
        return cls(Limits(worker.deadline_seconds, worker.stall_seconds, worker.ffmpeg_memory_mib << 20), threads)

    def probe(self, source: Path) -> MediaFacts:
        """Return the facts of a local file; raise VideoFailed if it is no video we take."""
        return probing.probe(source, self.limits)

    def transcode(self, source: Path, target: Path, profile: Profile, media: MediaFacts) -> TranscodeResult:
        """Make `target` from `source`; see `transcode`."""
        return transcode(source, target, profile, media, threads=self.threads, limits=self.limits)


def transcode(
    source: Path, target: Path, profile: Profile, media: MediaFacts, *, threads: int, limits: Limits
) -> TranscodeResult:
    """Make `target` from `source`, whose facts are `media`; no target is left unless it was verified.

    Raises VideoFailed with the reason when ffmpeg fails, is ended, or made less than the source promises.
    """
    progress = Progress()
    argv = transcode_command(source, target, profile, media, threads)
    try:
        finished = run_contained(argv, limits, lambda: progress.mark, on_stdout=progress.feed)
        with _its_cost_told(finished):
            require_success(finished)
            made = probing.probe(target, limits)
            require_whole(media, made, progress, profile)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return TranscodeResult(made, finished)


def _cost(finished: Finished) -> dict[str, float]:
    return {
        "ffmpeg_cpu_seconds": finished.cpu_seconds,
        "ffmpeg_max_rss_bytes": finished.max_rss_bytes,
        "ffmpeg_read_bytes": finished.read_bytes,
        "ffmpeg_written_bytes": finished.written_bytes,
    }


@contextmanager
def _its_cost_told(finished: Finished) -> Iterator[None]:
    """Let a failure tell what ffmpeg had used before it."""
    try:
        yield
    except VideoFailed as failure:
        failure.used = _cost(finished)
        raise


def transcode_command(source: Path, target: Path, profile: Profile, media: MediaFacts, threads: int) -> list[str]:
    """Return the ffmpeg argv; damaged input ends it (`-xerror`, `explode`) instead of passing as done."""
    cut = [] if profile.longest_seconds is None else ["-t", f"{profile.longest_seconds:g}"]
    audio = ["-map", "0:a:0?"] if profile.keeps_audio else []
    return [
        *("ffmpeg", "-hide_banner", "-nostdin", "-y", "-loglevel", "error", "-nostats", "-progress", "pipe:1"),
        *("-xerror", "-err_detect", "explode", "-filter_threads", str(threads)),
        *(*probing.input_guard(media.container), "-threads", str(threads), "-i", f"file:{source}", *cut),
        *("-map", "0:V:0", *audio, "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"),
        # every picture keeps its own time: a constant rate would multiply those of a file that claims 1,000 a second
        *("-fps_mode", "vfr", "-vf", profile.video_filter, *profile.codec_options, "-threads", str(threads)),
        *("-movflags", "+faststart", "-f", "mp4", f"file:{target}"),
    ]


class Progress:
    """What ffmpeg tells about its progress: `key=value` lines, some twenty of them each half second."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of ffmpeg's standard output."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            key, _, value = line.decode("ascii", "replace").partition("=")
            self._values[key] = value.strip()

    @property
    def mark(self) -> tuple[str | None, ...]:
        """Return what changes while there is progress: pictures, time and bytes made."""
        return tuple(self._values.get(key) for key in ("frame", "out_time_us", "total_size"))

    @property
    def pictures_seen(self) -> int:
        """Return how many pictures came out of the decoder: made, plus dropped, less doubled ones."""
        return self._count("frame") + self._count("drop_frames") - self._count("dup_frames")

    def _count(self, key: str) -> int:
        value = self._values.get(key, "0")
        return int(value) if value.isdigit() else 0


def require_whole(source: MediaFacts, made: MediaFacts, progress: Progress, profile: Profile) -> None:
    """Raise VideoFailed(truncated) unless the output is as long as the source and every picture was seen."""
    if profile.keeps_audio and source.has_audio and not made.has_audio:
        raise VideoFailed(Reason.CORRUPT, "the sound is missing from the output")
    _require_length(source, made, profile)
    if profile.longest_seconds is None:
        _require_pictures(source, progress.pictures_seen)


def _require_length(source: MediaFacts, made: MediaFacts, profile: Profile) -> None:
    """Compare picture with picture where the source tells its length, else file with file."""
    promised, got = source.video_seconds, made.video_seconds
    if promised is None or got is None:
        promised, got = source.duration_seconds, made.duration_seconds
    if promised is None or got is None:
        return  # a browser's recording: nothing was promised
    expected = promised if profile.longest_seconds is None else min(promised, profile.longest_seconds)
    pictures_seconds = TOLERATED_PICTURES / source.frames_per_second if source.frames_per_second else 0.0
    if got < expected * (1 - TOLERATED_RATIO) - TOLERATED_SECONDS - pictures_seconds:
        raise VideoFailed(Reason.TRUNCATED, f"{got:.2f} of {expected:.2f} s came out")


def _require_pictures(source: MediaFacts, seen: int) -> None:
    if source.frames is None:
        return
    promised = float(source.frames)
    if source.video_seconds and source.frames_per_second:  # an edit list may show less than is stored
        promised = min(promised, source.video_seconds * source.frames_per_second)
    if seen < promised * (1 - TOLERATED_LOST_RATIO) - TOLERATED_LOST_PICTURES:
        raise VideoFailed(Reason.TRUNCATED, f"{seen} of {promised:.0f} pictures came out")


@lru_cache(maxsize=1)
def ffmpeg_version() -> str:
    """Return ffmpeg's version, or `unknown`."""
    try:
        return _told("ffmpeg", "-version").split()[2]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown"


def require_ffmpeg() -> None:
    """Raise EnvironmentFault unless ffmpeg and ffprobe answer, are recent enough and can make H.264."""
    for program in ("ffmpeg", "ffprobe"):
        _require_version(program)
    if "libx264" not in _told("ffmpeg", "-encoders"):
        raise EnvironmentFault("ffmpeg", "it cannot make H.264", "install one with libx264", value=ffmpeg_version())


def _require_version(program: str) -> None:
    try:
        version = _told(program, "-version").split()[2]
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise EnvironmentFault(program, f"it does not run: {error}", "install the package ffmpeg") from error
    numbers = re.match(r"n?(\d+)\.(\d+)", version)  # builds from git have no number; they are new enough
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST_FFMPEG:
        raise EnvironmentFault(program, "it is older than 5.1", "install a newer ffmpeg", value=version)


def _told(program: str, question: str) -> str:
    command = [program, question]
    return subprocess.run(command, capture_output=True, text=True, timeout=VERSION_SECONDS, check=True).stdout
