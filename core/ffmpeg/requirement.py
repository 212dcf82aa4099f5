"""Check that ffmpeg and ffprobe are installed, recent enough, and have the encoders of the profiles."""

from __future__ import annotations

import re
import subprocess
from functools import lru_cache

from core.errors import EnvironmentFault

ANSWER_SECONDS = 10.0
OLDEST_VERSION = (5, 1)  # the first with -fps_mode
ENCODERS = ("libx264", "aac")


def require_ffmpeg() -> None:
    """Raise EnvironmentFault unless ffmpeg and ffprobe can process videos here.

    Both must run and have version 5.1 or later. ffmpeg must have the encoders libx264 and aac.
    """
    for program in ("ffmpeg", "ffprobe"):
        _require_version(program)
    available = _names("-encoders")
    for encoder in ENCODERS:
        if encoder not in available:
            raise EnvironmentFault("ffmpeg", f"it has no {encoder} encoder", "install Debian's or Ubuntu's own ffmpeg")


@lru_cache(maxsize=64)
def has_filter(name: str) -> bool:
    """Return True if the installed ffmpeg has the filter `name`.

    ffmpeg is run only on the first call for a name.
    """
    return name in _names("-filters")


def _names(option: str) -> set[str]:
    """Return the names in a list that ffmpeg prints: the second word of each line."""
    lines = [line.split() for line in _output("ffmpeg", option).splitlines()]
    return {words[1] for words in lines if len(words) > 1}


def _require_version(program: str) -> None:
    try:
        version = _version(program)
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise EnvironmentFault(program, f"it does not run: {error}", "install the package ffmpeg") from error
    numbers = re.match(r"n?(\d+)\.(\d+)", version)  # builds from git have no number; they are new enough
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST_VERSION:
        raise EnvironmentFault(program, "it is older than 5.1", "install a newer ffmpeg", value=version)


def _version(program: str) -> str:
    return _output(program, "-version").split()[2]


def _output(program: str, option: str) -> str:
    return subprocess.run(
        [program, option],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=ANSWER_SECONDS,
        check=True,
    ).stdout
