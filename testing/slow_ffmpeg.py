"""ffmpeg that reads its input at its own speed: a video of ten seconds takes ten seconds and almost no CPU."""

from __future__ import annotations

import shutil
from pathlib import Path

SCRIPT = '#!/bin/sh\ncase "$*" in *-progress*) exec {real} -re "$@";; esac\nexec {real} "$@"\n'


def slow_ffmpeg(folder: Path) -> Path:
    """Write the program `ffmpeg` into `folder`/bin. Return that folder, which belongs at the front of PATH."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "ffmpeg").write_text(SCRIPT.format(real=shutil.which("ffmpeg")))
    (programs / "ffmpeg").chmod(0o755)
    return programs
