"""Replace ffmpeg by a script that transcodes in real time, with ffmpeg's option `-re`.

A video of ten seconds takes ten seconds and little CPU.
"""

from __future__ import annotations

import shutil
from pathlib import Path

SCRIPT = '#!/bin/sh\ncase "$*" in *-progress*) exec {real} -re "$@";; esac\nexec {real} "$@"\n'


def slow_ffmpeg(folder: Path) -> Path:
    """Write a script named `ffmpeg`, which transcodes in real time, into `folder`/bin. Return `folder`/bin.

    The caller puts the returned folder first in PATH.
    """
    programs = folder / "bin"
    programs.mkdir()
    (programs / "ffmpeg").write_text(SCRIPT.format(real=shutil.which("ffmpeg")))
    (programs / "ffmpeg").chmod(0o755)
    return programs
