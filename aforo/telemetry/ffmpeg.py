"""Find the version of the ffmpeg in PATH, one of the conditions that a worker reports."""

from __future__ import annotations

import subprocess

TIMEOUT_SECONDS = 10


def ffmpeg_version() -> str:
    """Run the ffmpeg in PATH and return its version. Return `unknown` if that fails."""
    try:
        return _output("ffmpeg", "-version").split()[2]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown"


def _output(*command: str) -> str:
    completed = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)
    return completed.stdout
