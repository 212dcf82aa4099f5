"""Generate small real videos for the tests, with the installed ffmpeg."""

import subprocess
from pathlib import Path

import pytest

from core.ffmpeg.sandbox import Limits

LIMITS = Limits(deadline_seconds=60, stall_seconds=20, memory_bytes=3 << 30)
PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2")
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:duration=2")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac")
KEY = "76a6c65c5ea762046bd749a2e632ccbb"


def make(path: Path, *arguments: str) -> Path:
    """Run ffmpeg with `arguments` so that it writes the file `path`. Return `path`."""
    subprocess.run(["ffmpeg", "-nostdin", "-y", "-v", "error", *arguments, str(path)], check=True)
    return path


def good_mp4(folder: Path) -> Path:
    """Generate an MP4 of two seconds: 50 pictures, H.264 and AAC, index at the front. Return its path."""
    return make(folder / "good.mp4", *PICTURE, *SOUND, *H264, *AAC, "-movflags", "+faststart")


def with_apac(folder: Path, *second_sound: str) -> Path:
    """Generate a QuickTime file whose first audio stream is `apac`, which no ffmpeg can decode.

    By default, there is no second audio stream. `second_sound` has the ffmpeg options that add one. Return the path of
    the file.
    """
    plain = make(folder / "plain.mov", *PICTURE, *SOUND, *second_sound, *_maps(bool(second_sound)), *H264, *AAC)
    apac = folder / "apac.mov"
    # the three names of the codec in the sample entry, and the box that states AAC a second time
    apac.write_bytes(plain.read_bytes().replace(b"mp4a", b"apac", 3).replace(b"esds", b"dapa", 1))
    return apac


def _maps(has_second_sound: bool) -> tuple[str, ...]:
    return ("-map", "0", "-map", "1", *(("-map", "2") if has_second_sound else ()))


def interlaced(path: Path, size: str = "720x576", *codec: str) -> Path:
    """Generate one second of interlaced video: 25 pictures, each of two fields from different moments.

    `codec` are ffmpeg options that replace H.264. Return the path of the file.
    """
    fields = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=50:duration=1", "-vf", "tinterlace=interleave_top")
    flags = ("-flags", "+ildct+ilme", "-top", "1")
    return make(path, *fields, *flags, *(codec or (*H264, "-x264opts", "tff=1")))


def high_dynamic_range(path: Path, transfer: str, *picture: str) -> Path:
    """Write a 10-bit HEVC video with BT.2020 colours, like a phone's HDR video. Return its path.

    `path` is the file to write. `transfer` is ffmpeg's name of the transfer function. `picture` has ffmpeg's input
    options, by default for a test picture.
    """
    tags = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc", "-color_range", "tv")
    codec = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p10le")
    return make(path, *(picture or PICTURE), *codec, *tags)


def cut(source: Path, ratio: float) -> Path:
    """Write a truncated copy of a file into the same folder, and return the path of the copy.

    `ratio` (0 to 1) is the share of the file's bytes that the copy keeps.
    """
    content = source.read_bytes()
    target = source.with_name(f"cut-{source.name}")
    target.write_bytes(content[: round(len(content) * ratio)])
    return target


def overwrite(source: Path, at: float, count: int = 400) -> Path:
    """Write a damaged copy of a file into the same folder, and return the path of the copy.

    `count` bytes are overwritten. `at` (0 to 1) says where they start: 0.5 is the middle of the file.
    """
    content = bytearray(source.read_bytes())
    start = round(len(content) * at)
    content[start : start + count] = bytes((37 * i + 11) % 256 for i in range(count))
    target = source.with_name(f"overwritten-{source.name}")
    target.write_bytes(content)
    return target


def put_fake_ffmpeg(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace ffmpeg by the shell script `script` for the running test.

    The script is written into `folder`, which is put in front of PATH.
    """
    fake = folder / "ffmpeg"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
