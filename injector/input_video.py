"""Real MP4 inputs of an asked size: moving picture and sound, made once per size and kept.

A few seconds of noisy test picture are encoded once, then repeated by stream copy until the file has the size; what is
missing to the byte, less than a picture, is a `free` box at the end. So 100 MB take seconds, not minutes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import stat
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import EnvironmentFault, UsageError, printable
from core.size import size_label
from core.storage import describe

PROBE_SECONDS = 60.0
SEGMENT_SECONDS = 8.0  # 240 pictures at 30 a second and 375 AAC frames at 48 kHz: both end at the same moment
TRIES = 12
PICTURES_PER_SECOND = 30
#: The `free` box is at most 1 % of the file and 200 kB, more than any picture has; in a tiny file it is up to 2 kB.
PADDING_RATIO = 0.01
LARGEST_PADDING_BYTES = 200_000
SMALLEST_PADDING_BYTES = 2000
BOX_HEADER_BYTES = 8
#: Formats a user's own file may have; a playlist that calls itself .mp4 would open other files.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts"

Say = Callable[[str], None]
#: takes the part of the work that is done, from 0 to 1
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Recipe:
    """What the picture is like; bit rates in bit/s."""

    width: int
    height: int
    video_rate: int
    audio_rate: int

    @property
    def rate(self) -> int:
        """Return bits per second of the whole file."""
        return self.video_rate + self.audio_rate


#: What a camera, a phone and a messenger upload, each from the size on where its pictures are small beside the file.
RECIPES = (
    (5_000_000, Recipe(1920, 1080, 7_870_000, 128_000)),
    (1_000_000, Recipe(1280, 720, 2_400_000, 96_000)),
    (0, Recipe(640, 360, 440_000, 64_000)),
)


@dataclass(frozen=True)
class MediaFile:
    """A local video that was looked at; `duration_seconds` is None where the container does not tell."""

    path: Path
    size_bytes: int
    sha256: str
    duration_seconds: float | None


def recipe_for(size_bytes: int) -> Recipe:
    """Return what a video of that size looks like."""
    return next(recipe for smallest_bytes, recipe in RECIPES if size_bytes >= smallest_bytes)


def make_video(size_bytes: int, folder: Path, say: Say, progress: Progress = lambda _: None) -> MediaFile:
    """Return a video of exactly `size_bytes`, kept in `folder` or made there, by one maker at a time.

    Raises EnvironmentFault when ffmpeg is missing or fails, the disk is too small or the folder cannot be written.
    """
    recipe = recipe_for(size_bytes)
    path = folder / f"{size_bytes}-{_fingerprint(recipe)}.mp4"
    with _plain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _one_maker(folder):
            kept = _kept(path)
            if kept is None:
                _require_space(folder, size_bytes, recipe)
                say(f"making a {size_label(size_bytes)} video (once)")
                kept = _make(size_bytes, recipe, path, _forward_only(progress))
    return kept


def inspect_file(path: Path) -> MediaFile:
    """Return the facts of a user's file; raise UsageError unless it is a readable file with a moving picture."""
    _require_file(path)
    found = _ffprobe(path)
    streams = found.get("streams", [])
    if all(s.get("codec_type") != "video" or s.get("disposition", {}).get("attached_pic") for s in streams):
        raise UsageError("FILE", "there is no moving picture in it", "give an MP4, MKV, AVI or TS video", value=path)
    duration = found.get("format", {}).get("duration")
    stored = describe(path, path.name)
    return MediaFile(path, stored.size_bytes, stored.sha256, None if duration is None else float(duration))


def _require_file(path: Path) -> None:
    """Raise UsageError unless `path` is a regular, readable file with something in it."""
    try:
        why = _unfit(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = f"it cannot be read: {getattr(error, 'strerror', None) or error}"
    if why:
        raise UsageError("FILE", why, "give the path of a video", value=path)


def _unfit(path: Path) -> str | None:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return "it is a directory"
    if not stat.S_ISREG(mode):
        return "it is no regular file"
    with path.open("rb") as file:
        return None if file.read(1) else "it is empty"


def _ffprobe(path: Path) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-protocol_whitelist", "file", "-format_whitelist", FORMATS]
    entries = ["-show_entries", "stream=codec_type:stream_disposition=attached_pic:format=duration", "-of", "json"]
    try:
        shown = subprocess.run(
            [*command, *entries, f"file:{path.absolute()}"], capture_output=True, timeout=PROBE_SECONDS, check=True
        )
        found: dict[str, Any] = json.loads(shown.stdout)
    except (FileNotFoundError, PermissionError):
        raise _not_installed("ffprobe") from None
    except (subprocess.SubprocessError, ValueError):
        raise UsageError("FILE", "ffprobe finds no video in it", "give an MP4, MKV, AVI or TS", value=path) from None
    return found


def _make(size_bytes: int, recipe: Recipe, path: Path, progress: Progress) -> MediaFile:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as scratch:
        segment, whole = Path(scratch, "segment.mp4"), Path(scratch, "whole.mp4")
        _run_ffmpeg(_segment_command(recipe, segment), lambda told: progress(0.5 * _part(told, recipe)))
        _repeat_to_size(segment, whole, size_bytes, lambda part: progress(0.5 + 0.5 * part))
        made = inspect_file(whole)
        whole.replace(path)
    kept = MediaFile(path, made.size_bytes, made.sha256, made.duration_seconds)
    _write_sidecar(kept)
    progress(1.0)
    return kept


def _forward_only(progress: Progress) -> Progress:
    """Return a `progress` that never goes back, although a second try starts from nothing."""
    furthest = 0.0

    def advance(part: float) -> None:
        nonlocal furthest
        if part > furthest:
            furthest = part
            progress(part)

    return advance


def _repeat_to_size(segment: Path, whole: Path, size_bytes: int, progress: Progress) -> None:
    """Repeat the segment for as long as fits into the size, and fill up to the byte.

    Each try corrects the length by what the last one missed; the end can only fall between two pictures.
    """
    bytes_per_second = segment.stat().st_size / SEGMENT_SECONDS
    allowed = max(SMALLEST_PADDING_BYTES, min(round(size_bytes * PADDING_RATIO), LARGEST_PADDING_BYTES))
    seconds = size_bytes / bytes_per_second
    for _ in range(TRIES):
        _run_ffmpeg(
            _repeat_command(segment, seconds, whole), lambda told: progress(min(1.0, _bytes_told(told) / size_bytes))
        )
        missing = size_bytes - whole.stat().st_size
        if missing == 0 or BOX_HEADER_BYTES <= missing <= allowed:
            _pad(whole, missing)
            return
        seconds += (missing - allowed / 2) / bytes_per_second
    raise EnvironmentFault(
        "video", f"ffmpeg stays {missing} bytes away", "try another SIZE", value=size_label(size_bytes)
    )


def _pad(file: Path, missing: int) -> None:
    """Append a `free` box (ISO/IEC 14496-12, 8.1.2) of `missing` bytes, or nothing for 0."""
    if missing:
        with file.open("ab") as sink:
            sink.write(missing.to_bytes(4, "big") + b"free" + bytes(missing - BOX_HEADER_BYTES))


def _segment_command(recipe: Recipe, segment: Path) -> list[str]:
    """Return the argv of the moving segment: no B-frames, so that it repeats and cuts cleanly, and no large pictures.

    The buffer of a twelfth of a second keeps its one key frame below three pictures, so any size can be met closely.
    The same ffmpeg makes the same bytes each time: seeded noise, bit-exact muxing, and one thread, because x264's rate
    control under a `-maxrate` depends on how its threads happen to meet.
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


def _run_ffmpeg(arguments: Sequence[str], on_told: Callable[[dict[str, str]], None]) -> None:
    """Run ffmpeg, handing on what its `-progress` tells; raise EnvironmentFault when it is missing or fails."""
    command = ["ffmpeg", "-nostdin", "-y", "-loglevel", "error", "-progress", "pipe:1", *arguments]
    with tempfile.TemporaryFile("w+") as errors:
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        except (FileNotFoundError, PermissionError):
            raise _not_installed("ffmpeg") from None
        try:
            _follow(process, on_told)
        except BaseException:
            process.kill()
            raise
        finally:
            process.communicate()
        if process.returncode != 0:
            errors.seek(0)
            raise _refused(errors.read())


def _follow(process: subprocess.Popen[str], on_told: Callable[[dict[str, str]], None]) -> None:
    told: dict[str, str] = {}
    for line in process.stdout or ():
        key, _, value = line.partition("=")
        told[key] = value.strip()
        if key == "progress":
            on_told(told)


def _part(told: dict[str, str], recipe: Recipe) -> float:
    return min(1.0, _bytes_told(told) * 8 / (recipe.rate * SEGMENT_SECONDS))


def _bytes_told(told: dict[str, str]) -> int:
    size = told.get("total_size", "")
    return int(size) if size.isdigit() else 0


def _not_installed(program: str) -> EnvironmentFault:
    return EnvironmentFault(program, "it is not installed or not executable", "install the package ffmpeg")


def _refused(said: str) -> EnvironmentFault:
    if "Unknown encoder" in said:
        return EnvironmentFault("ffmpeg", "it cannot make H.264 and AAC", "install one with libx264")
    if "No space left" in said:
        return EnvironmentFault("disk", "it became full while the video was made", "free some or set UPLOAD_PATH")
    last = printable(said.strip().rpartition("\n")[2], limit=200)
    return EnvironmentFault(
        "ffmpeg", f"it failed: {last or 'without a word'}", "run `ffmpeg -version` to see if it works"
    )


def _kept(path: Path) -> MediaFile | None:
    """Return the kept video if it is still the one its sidecar describes."""
    try:
        noted = json.loads(_sidecar(path).read_text(encoding="utf-8"))
        stored = describe(path, path.name)
        kept = MediaFile(path, stored.size_bytes, stored.sha256, noted["duration_seconds"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return kept if (noted.get("size_bytes"), noted.get("sha256")) == (kept.size_bytes, kept.sha256) else None


def _write_sidecar(video: MediaFile) -> None:
    sidecar = _sidecar(video.path)
    facts = {"size_bytes": video.size_bytes, "sha256": video.sha256, "duration_seconds": video.duration_seconds}
    partial = sidecar.with_name(f".{sidecar.name}.{uuid.uuid4().hex}.part")
    partial.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    partial.replace(sidecar)


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".json")


def _fingerprint(recipe: Recipe) -> str:
    """Return a name for the way the video is made, so that a changed recipe never meets a file of the old one."""
    words = [*_segment_command(recipe, Path("segment")), *_repeat_command(Path("segment"), 1.0, Path("whole"))]
    return hashlib.sha256(repr((asdict(recipe), words)).encode()).hexdigest()[:8]


@contextmanager
def _one_maker(folder: Path) -> Iterator[None]:
    """Let two injectors make videos one after the other; the second finds its own made if it wants the same."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _plain_os_errors(folder: Path) -> Iterator[None]:
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
    """Raise EnvironmentFault unless the video, its copy in the storage and the segment fit."""
    free_bytes = shutil.disk_usage(folder).free
    needed_bytes = 2 * size_bytes + round(recipe.rate * SEGMENT_SECONDS / 8 * 1.2)
    if free_bytes < needed_bytes:
        raise EnvironmentFault(
            "disk",
            f"{size_label(needed_bytes)} are needed",
            "free some, set UPLOAD_PATH or give a smaller SIZE",
            value=f"{size_label(free_bytes)} free",
        )
