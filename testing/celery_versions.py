"""Install the package `aforo` in virtual environments with different versions of Celery and Python.

Each tested pair of a Celery version and a Python version has its own virtual environment. `python -m
testing.celery_versions` prints the names of the oldest and the newest pair for pytest's option `-k`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from testing.emulator import ROOT

ENVIRONMENTS = ROOT / ".tools/versions"
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"


@dataclass(frozen=True)
class Pair:
    """A Celery version and a Python version that are tested together.

    `kombu` and `billiard` are the versions of these libraries that are installed with this Celery.
    """

    celery: str
    kombu: str
    billiard: str
    python: str

    @property
    def name(self) -> str:
        """Return the name of the pair, such as `celery-5.3-python-3.10`."""
        return f"celery-{self.celery.rpartition('.')[0]}-python-{self.python}"

    @property
    def interpreter(self) -> str | None:
        """Return the path of the pair's Python interpreter, or None if this machine does not have it."""
        if sys.version_info[:2] == tuple(map(int, self.python.split("."))):
            return sys.executable
        installed = sorted(PYENV.glob(f"{self.python}.*/bin/python{self.python}"))
        return str(installed[-1]) if installed else shutil.which(f"python{self.python}")


#: What kombu needs for SQS, and the library. kombu 5.2 names a pycurl that has no wheel.
OTHERS = ("boto3", "pycurl", "urllib3", "prometheus-client", "psutil")
CELERY_5_7 = ("5.7.0", "5.7.0", "4.3.2")
PAIRS = (
    Pair("5.3.6", "5.3.7", "4.2.1", "3.10"),
    Pair("5.4.0", "5.4.2", "4.2.1", "3.11"),
    Pair("5.5.3", "5.5.4", "4.2.4", "3.12"),
    Pair("5.6.3", "5.6.2", "4.2.4", "3.13"),
    *(Pair(*CELERY_5_7, python) for python in ("3.11", "3.12", "3.13")),
)


def oldest_and_newest() -> tuple[Pair, Pair]:
    """Return the oldest and the newest pair whose Python interpreter this machine has."""
    present = [pair for pair in PAIRS if pair.interpreter is not None]
    return present[0], present[-1]


def environment(pair: Pair, wheel: Path) -> Path:
    """Install the package `aforo` in the virtual environment of one pair of Celery and Python versions.

    Return the folder of the virtual environment. It is created if it is missing. `wheel` is the wheel file of the
    package.
    """
    folder = ENVIRONMENTS / pair.name
    python = folder / "bin/python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([str(pair.interpreter), "-m", "venv", str(folder)], check=True)
        pins = (f"celery=={pair.celery}", f"kombu=={pair.kombu}", f"billiard=={pair.billiard}")
        _pip(python, *pins, *OTHERS)
        (folder / "complete").touch()
    _pip(python, "--no-deps", "--force-reinstall", str(wheel))
    return folder


def build_wheel(folder: Path) -> Path:
    """Build the wheel of the library `aforo` in `folder` and return its path."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True)
    return next(folder.glob("aforo-*.whl"))


def _pip(python: Path, *words: str) -> None:
    subprocess.run([str(python), "-m", "pip", "install", "-q", *words], check=True)


if __name__ == "__main__":
    print(" or ".join(pair.name for pair in oldest_and_newest()))
