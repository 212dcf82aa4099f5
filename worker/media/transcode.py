"""Transcode a video with a sandboxed ffmpeg and verify the output.

This module does not use Celery, the database or the metrics.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core import settings
from core.ffmpeg import probe as guarded_probe
from core.ffmpeg.failure_reasons import require_success
from core.ffmpeg.filter_graphs import transcode_command
from core.ffmpeg.probe import MediaFacts
from core.ffmpeg.profiles import Profile
from core.ffmpeg.progress import Progress
from core.ffmpeg.sandbox import Finished, Limits, run_sandboxed
from core.video import Reason, VideoFailed
from worker.media.thread_budget import thread_budget

#: Tolerated difference between output length and expected length. An input that lost more is truncated.
#: Half a second: encoder delay, B-frames at the edges and edit lists shift ends by some frames.
#: Two pictures: at low rates the duration of the last picture is a guess.
#: One per cent: clocks are rounded and foreign muxers estimate durations.
TOLERATED_SECONDS = 0.5
TOLERATED_PICTURES = 2
TOLERATED_RATIO = 0.01
#: Tolerated number of missing pictures: those before the first key frame and those that an edit list hides.
TOLERATED_LOST_PICTURES = 5
TOLERATED_LOST_RATIO = 0.02


@dataclass(frozen=True)
class TranscodeResult:
    """Result of a successful transcode: the verified output, and the resource usage of ffmpeg."""

    media: MediaFacts
    finished: Finished

    @property
    def speed(self) -> float:
        """Return the transcoding speed: seconds of output video per second of ffmpeg's running time."""
        return (self.media.duration_seconds or 0.0) / self.finished.wall_seconds

    @property
    def cores_used(self) -> float:
        """Return the mean number of cores that ffmpeg kept busy: CPU seconds per second of its running time."""
        return self.finished.cpu_seconds / self.finished.wall_seconds

    def columns(self) -> dict[str, float]:
        """Return ffmpeg's resource usage by column name of the table `executions`."""
        return _usage(self.finished)

    def figures(self) -> dict[str, float | int]:
        """Return ffmpeg's resource usage under the names that the worker's metrics use."""
        return {
            "speed": round(self.speed, 4),
            "cpu_seconds": round(self.finished.cpu_seconds, 4),
            "cores": round(self.cores_used, 4),
            "max_rss_bytes": self.finished.max_rss_bytes,
        }


@dataclass(frozen=True)
class Transcoder:
    """Probe and transcode videos with the resource limits and ffmpeg threads of one slot."""

    limits: Limits
    threads: int

    @classmethod
    def from_settings(cls, worker: settings.Worker) -> Transcoder:
        """Return the transcoder of one slot with the limits and threads that the settings define."""
        limits = Limits(worker.deadline_seconds, worker.stall_seconds, worker.ffmpeg_memory_mib << 20)
        return cls(limits, thread_budget(worker))

    def probe(self, source: Path) -> MediaFacts:
        """Return the properties of a local video file. Raise VideoFailed if it is not an accepted video."""
        return guarded_probe.probe(source, self.limits)

    def transcode(self, source: Path, target: Path, profile: Profile, media: MediaFacts) -> TranscodeResult:
        """Transcode the file `source` to `target` with this slot's threads and limits, and verify the output."""
        return transcode(source, target, profile, media, threads=self.threads, limits=self.limits)


def transcode(
    source: Path, target: Path, profile: Profile, media: MediaFacts, *, threads: int, limits: Limits
) -> TranscodeResult:
    """Transcode the file `source` to `target` and verify the output. On failure, delete `target`.

    `media` holds the properties of `source`. Raise VideoFailed with the reason if ffmpeg fails, or if its output is not
    complete.
    """
    _require_sound(profile, media)
    progress = Progress()
    argv = transcode_command(source, target, profile, media, threads)
    try:
        finished = run_sandboxed(argv, limits, lambda: progress.mark, on_stdout=progress.feed)
        with _usage_on_failure(finished):
            require_success(finished)
            output = guarded_probe.probe(target, limits)
            require_whole(media, output, progress, profile)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return TranscodeResult(output, finished)


def _require_sound(profile: Profile, media: MediaFacts) -> None:
    """Raise VideoFailed if the profile keeps the sound and no sound of the source can be decoded."""
    if profile.keeps_audio and media.audio_codec == "unknown":
        raise VideoFailed(Reason.UNSUPPORTED, "none of its sounds can be decoded by this ffmpeg")


def _usage(finished: Finished) -> dict[str, float]:
    return {
        "ffmpeg_cpu_seconds": finished.cpu_seconds,
        "ffmpeg_max_rss_bytes": finished.max_rss_bytes,
        "ffmpeg_read_bytes": finished.read_bytes,
        "ffmpeg_written_bytes": finished.written_bytes,
    }


@contextmanager
def _usage_on_failure(finished: Finished) -> Iterator[None]:
    """Add ffmpeg's resource usage to a VideoFailed that the `with` block raises."""
    try:
        yield
    except VideoFailed as failure:
        failure.used = _usage(finished)
        raise


def require_whole(source: MediaFacts, output: MediaFacts, progress: Progress, profile: Profile) -> None:
    """Raise VideoFailed unless the transcoded output is complete.

    The reason is `corrupt` if the sound is missing. The reason is `truncated` if the output is too short, or if ffmpeg
    lost pictures. `progress` has the number of pictures that ffmpeg decoded.
    """
    if profile.keeps_audio and source.has_audio and not output.has_audio:
        raise VideoFailed(Reason.CORRUPT, "the sound is missing from the output")
    _require_length(source, output, profile)
    if profile.longest_seconds is None:
        _require_pictures(source, progress.pictures_seen)


def _require_length(source: MediaFacts, output: MediaFacts, profile: Profile) -> None:
    """Raise VideoFailed if the output is shorter than the source.

    Compare the lengths of the video streams if both are known, else the lengths of the files.
    """
    source_seconds, output_seconds = source.video_seconds, output.video_seconds
    if source_seconds is None or output_seconds is None:
        source_seconds, output_seconds = source.duration_seconds, output.duration_seconds
    if source_seconds is None or output_seconds is None:
        return  # a browser's recording states no length
    expected = profile.expected_seconds(source_seconds)
    pictures_seconds = TOLERATED_PICTURES / source.frames_per_second if source.frames_per_second else 0.0
    if output_seconds < expected * (1 - TOLERATED_RATIO) - TOLERATED_SECONDS - pictures_seconds:
        raise VideoFailed(Reason.TRUNCATED, f"the output has {output_seconds:.2f} of {expected:.2f} s")


def _require_pictures(source: MediaFacts, seen: int) -> None:
    if source.frames is None:
        return
    expected = float(source.frames)
    if source.video_seconds and source.frames_per_second:  # an edit list may show less than is stored
        expected = min(expected, source.video_seconds * source.frames_per_second)
    if seen < expected * (1 - TOLERATED_LOST_RATIO) - TOLERATED_LOST_PICTURES:
        raise VideoFailed(Reason.TRUNCATED, f"{seen} of {expected:.0f} pictures were decoded")
