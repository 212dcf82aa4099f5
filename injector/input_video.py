"""Generate input videos of an exact size: real MP4 files with a moving picture and sound.

A segment of some seconds is encoded once and then repeated without encoding. A `free` box, which players skip, fills
the file to the exact byte.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from core.errors import EnvironmentFault, UsageError, printable
from core.ffmpeg.probe import probe
from core.ffmpeg.progress import Progress
from core.ffmpeg.sandbox import Limits, run_sandboxed
from core.size import LARGEST_BYTES, size_label
from core.storage import describe
from core.user_files import require_file
from core.video import VideoFailed

#: The deadline only ends an ffmpeg that hangs: copying 20 GB takes minutes. Files may exceed the largest SIZE a little.
LIMITS = Limits(deadline_seconds=6 * 3600, stall_seconds=None, memory_bytes=4 << 30, file_bytes=2 * LARGEST_BYTES)
SEGMENT_SECONDS = 8.0  # 240 pictures at 30 per second and 375 AAC frames at 48 kHz: both end at the same moment
TRIES = 12
PICTURES_PER_SECOND = 30
#: The `free` box is at most 1 % of the file and 200 kB, more than any picture. In a tiny file it is at most 2 kB.
PADDING_RATIO = 0.01
LARGEST_PADDING_BYTES = 200_000
SMALLEST_PADDING_BYTES = 2000
BOX_HEADER_BYTES = 8

Say = Callable[[str], None]
#: receives the completed part of the work, from 0 to 1
OnProgress = Callable[[float], None]


@dataclass(frozen=True)
class Recipe:
    """Parameters of a generated video.

    `width` and `height` are in pixels, and the bit rates of picture and sound in bit/s.
    """

    width: int
    height: int
    video_rate: int
    audio_rate: int

    @property
    def rate(self) -> int:
        """Return the bit rate of the whole generated file, in bit/s."""
        return self.video_rate + self.audio_rate


#: Uploads of a camera, a phone and a messenger app, each with the smallest file in which its pictures are small parts.
RECIPES = (
    (5_000_000, Recipe(1920, 1080, 7_870_000, 128_000)),
    (1_000_000, Recipe(1280, 720, 2_400_000, 96_000)),
    (0, Recipe(640, 360, 440_000, 64_000)),
)


@dataclass(frozen=True)
class MediaFile:
    """A local video file with its size in bytes and SHA-256.

    `duration_seconds` is None if the container does not state the duration.
    """

    path: Path
    size_bytes: int
    sha256: str
    duration_seconds: float | None


def recipe_for(size_bytes: int) -> Recipe:
    """Return the picture size and bit rates for a generated video of `size_bytes`."""
    return next(recipe for smallest_bytes, recipe in RECIPES if size_bytes >= smallest_bytes)


def make_video(size_bytes: int, folder: Path, say: Say, on_progress: OnProgress = lambda _: None) -> MediaFile:
    """Return a video of exactly `size_bytes` in `folder`. Generate the video if it is missing.

    While another process generates a video in `folder`, wait. `say` prints a line of text for the user. `on_progress`
    is called with the completed part of the work, from 0 to 1. Raise EnvironmentFault if ffmpeg fails, if the disk has
    too little space, or if the folder cannot be written.
    """
    recipe = recipe_for(size_bytes)
    path = folder / f"{size_bytes}-{_fingerprint(recipe)}.mp4"
    with _one_line_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _exclusive(folder):
            video = _stored_video(path)
            if video is None:
                _require_space(folder, size_bytes, recipe)
                say(f"making a {size_label(size_bytes)} video (once)")
                video = _make(size_bytes, recipe, path, _forward_only(on_progress))
    return video


def inspect_file(path: Path) -> MediaFile:
    """Check a user's own video file. Return it as a MediaFile, with size, SHA-256 and duration.

    Raise UsageError for a file that the worker would not accept.
    """
    remedy = "give the path of a video"
    if require_file("FILE", str(path), remedy).stat().st_size == 0:
        raise UsageError("FILE", "it is empty", remedy, value=path)
    try:
        facts = probe(path.absolute(), LIMITS)
    except VideoFailed as failure:
        why = f"it is no video that the worker accepts: {printable(failure, limit=200)}"
        raise UsageError("FILE", why, "give an MP4, MKV, AVI or TS video", value=path) from failure
    stored = describe(path, path.name)
    return MediaFile(path, stored.size_bytes, stored.sha256, facts.duration_seconds)


def _make(size_bytes: int, recipe: Recipe, path: Path, on_progress: OnProgress) -> MediaFile:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as scratch:
        segment, whole = Path(scratch, "segment.mp4"), Path(scratch, "whole.mp4")
        segment_bytes = recipe.rate * SEGMENT_SECONDS / 8
        _run_ffmpeg(_segment_command(recipe, segment), lambda size: on_progress(0.5 * _ratio(size, segment_bytes)))
        _repeat_to_size(segment, whole, size_bytes, lambda part: on_progress(0.5 + 0.5 * part))
        video = replace(inspect_file(whole), path=path)
        whole.replace(path)
    _write_sidecar(video)
    on_progress(1.0)
    return video


def _ratio(size_bytes: int, whole_bytes: float) -> float:
    return min(1.0, size_bytes / whole_bytes)


def _forward_only(on_progress: OnProgress) -> OnProgress:
    """Return a callback that ignores decreasing progress, because each attempt starts from 0 again."""
    furthest = 0.0

    def advance(part: float) -> None:
        nonlocal furthest
        if part > furthest:
            furthest = part
            on_progress(part)

    return advance


def _repeat_to_size(segment: Path, whole: Path, size_bytes: int, on_progress: OnProgress) -> None:
    """Repeat the encoded segment until the file almost has the size, then pad the file to the exact byte.

    Each attempt corrects the length by the bytes that the previous attempt missed. The video can only end between two
    pictures.
    """
    bytes_per_second = segment.stat().st_size / SEGMENT_SECONDS
    allowed = max(SMALLEST_PADDING_BYTES, min(round(size_bytes * PADDING_RATIO), LARGEST_PADDING_BYTES))
    seconds = size_bytes / bytes_per_second
    for _ in range(TRIES):
        _run_ffmpeg(_repeat_command(segment, seconds, whole), lambda size: on_progress(_ratio(size, size_bytes)))
        missing = size_bytes - whole.stat().st_size
        if missing == 0 or BOX_HEADER_BYTES <= missing <= allowed:
            _pad(whole, missing)
            return
        seconds += (missing - allowed / 2) / bytes_per_second
    raise EnvironmentFault(
        "video", f"ffmpeg misses the size by {missing} bytes", "try another SIZE", value=size_label(size_bytes)
    )


def _pad(file: Path, missing: int) -> None:
    """Append a `free` box (ISO/IEC 14496-12, 8.1.2) of `missing` bytes, or nothing for 0."""
    if missing:
        with file.open("ab") as sink:
            sink.write(missing.to_bytes(4, "big") + b"free" + bytes(missing - BOX_HEADER_BYTES))


def _segment_command(recipe: Recipe, segment: Path) -> list[str]:
    """Return the ffmpeg command that encodes the segment, a few seconds of moving test picture.

    The segment has no B-frames, so that it can be repeated and cut without artefacts. A rate buffer of a twelfth of a
    second limits the key frame to the size of three pictures. Because all pictures are small, every file size can be
    approached.

    The same ffmpeg makes the same bytes each time, because the noise is seeded, the muxing is bit-exact, and there is
    one thread. With several threads, x264's rate control with `-maxrate` depends on the timing of the threads.
    """
    noise = "noise=all_seed=1:alls=14:allf=t:threads=1"
    picture = f"testsrc2=size={recipe.width}x{recipe.height}:rate={PICTURES_PER_SECOND},{noise}"
    rate, buffer = str(recipe.video_rate), str(recipe.video_rate // 12)
    return [
        *("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=frequency=440:beep_factor=4:sample_rate=48000"),
        *("-t", f"{SEGMENT_SECONDS:g}", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
        *("-threads", "1", "-bf", "0", "-g", "240", "-b:v", rate, "-maxrate", rate, "-bufsize", buffer),
        *("-c:a", "aac", "-b:a", str(recipe.audio_rate), "-fflags", "+bitexact", "-flags", "+bitexact"),
        *("-f", "mp4", str(segment)),
    ]


def _repeat_command(segment: Path, seconds: float, whole: Path) -> list[str]:
    loop = ["-stream_loop", "-1", "-i", str(segment), "-t", f"{max(seconds, 0.1):.4f}"]
    return [*loop, "-c", "copy", "-fflags", "+bitexact", "-f", "mp4", str(whole)]


def _run_ffmpeg(arguments: Sequence[str], on_bytes: Callable[[int], None]) -> None:
    """Run ffmpeg and report the number of bytes written so far.

    Raise EnvironmentFault when ffmpeg is missing or fails.
    """
    progress = Progress()

    def read(chunk: bytes) -> None:
        progress.feed(chunk)
        on_bytes(progress.bytes_written)

    command = ["ffmpeg", "-nostdin", "-y", "-loglevel", "error", "-progress", "pipe:1", *arguments]
    finished = run_sandboxed(command, LIMITS, on_stdout=read)
    if not finished.succeeded:
        raise _fault_of(finished.stderr_tail)


def _fault_of(stderr: str) -> EnvironmentFault:
    if "Unknown encoder" in stderr:
        return EnvironmentFault("ffmpeg", "it cannot make H.264 and AAC", "install one with libx264")
    if "No space left" in stderr:
        return EnvironmentFault("disk", "it became full while the video was made", "free some or set UPLOAD_PATH")
    last = printable(stderr.rpartition("\n")[2], limit=200)
    return EnvironmentFault(
        "ffmpeg", f"it failed: {last or 'without a message'}", "run `ffmpeg -version` to see if it works"
    )


def _stored_video(path: Path) -> MediaFile | None:
    """Return the video in the folder if it still matches its sidecar file."""
    try:
        sidecar = json.loads(_sidecar(path).read_text(encoding="utf-8"))
        stored = describe(path, path.name)
        video = MediaFile(path, stored.size_bytes, stored.sha256, sidecar["duration_seconds"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return video if (sidecar.get("size_bytes"), sidecar.get("sha256")) == (video.size_bytes, video.sha256) else None


def _write_sidecar(video: MediaFile) -> None:
    sidecar = _sidecar(video.path)
    facts = {"size_bytes": video.size_bytes, "sha256": video.sha256, "duration_seconds": video.duration_seconds}
    partial = sidecar.with_name(f".{sidecar.name}.{uuid.uuid4().hex}.part")
    partial.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    partial.replace(sidecar)


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".json")


def _fingerprint(recipe: Recipe) -> str:
    """Return a digest of the ffmpeg commands, so that a changed recipe reuses no file of the old recipe."""
    arguments = [*_segment_command(recipe, Path("segment")), *_repeat_command(Path("segment"), 1.0, Path("whole"))]
    return hashlib.sha256(repr((asdict(recipe), arguments)).encode()).hexdigest()[:8]


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Lock the folder, so that a second injector waits and then reuses the video of the first injector."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _one_line_os_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentFault(
            "media folder",
            f"{error.strerror or error}",
            "free space or set UPLOAD_PATH to a folder that can be written",
            value=folder,
        ) from error


def _require_space(folder: Path, size_bytes: int, recipe: Recipe) -> None:
    """Raise EnvironmentFault unless the disk has room for three files.

    The files are the video, its copy in the storage, and the segment from which the video is made.
    """
    free_bytes = shutil.disk_usage(folder).free
    needed_bytes = 2 * size_bytes + round(recipe.rate * SEGMENT_SECONDS / 8 * 1.2)
    if free_bytes < needed_bytes:
        raise EnvironmentFault(
            "disk",
            f"{size_label(needed_bytes)} are needed",
            "free some, set UPLOAD_PATH or give a smaller SIZE",
            value=f"{size_label(free_bytes)} free",
        )
