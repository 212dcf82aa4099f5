"""Small real videos for the tests, encoded by the ffmpeg under test."""

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
    """Run ffmpeg with `arguments`. The output file is `path`."""
    subprocess.run(["ffmpeg", "-nostdin", "-y", "-v", "error", *arguments, str(path)], check=True)
    return path


def good_mp4(folder: Path) -> Path:
    """Encode an MP4 of two seconds: 50 pictures, H.264 and AAC, index at the front."""
    return make(folder / "good.mp4", *PICTURE, *SOUND, *H264, *AAC, "-movflags", "+faststart")


def cut(source: Path, ratio: float) -> Path:
    """Write a copy of a file that ends at `ratio` of its length. Return the path of the copy."""
    content = source.read_bytes()
    target = source.with_name(f"cut-{source.name}")
    target.write_bytes(content[: round(len(content) * ratio)])
    return target


def overwrite(source: Path, at: float, count: int = 400) -> Path:
    """Write a copy of a file with `count` bytes overwritten, from the share `at` of its length (0 to 1)."""
    content = bytearray(source.read_bytes())
    start = round(len(content) * at)
    content[start : start + count] = bytes((37 * i + 11) % 256 for i in range(count))
    target = source.with_name(f"overwritten-{source.name}")
    target.write_bytes(content)
    return target


def put_fake_ffmpeg(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a shell script named ffmpeg in the first folder of PATH."""
    fake = folder / "ffmpeg"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
