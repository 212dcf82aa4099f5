"""Copy the example of a team's app (`examples/own_app`) into a folder, and install and configure it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testing.native_stack import ROOT, Stack

APP = ROOT / "examples/own_app"
NOT_COPIED = (".venv", ".env", "*.db", "uploads", "processed")


@dataclass(frozen=True)
class ExampleApp:
    """A copy of the example app in `folder`. The app's queue is in the SQS emulator at `endpoint_url`."""

    folder: Path
    endpoint_url: str

    def configure(self, settings: Mapping[str, str]) -> None:
        """Write the file `.env` of the app.

        It has the lines of `.env.example`, but with the URL of the SQS emulator and the values in `settings`.
        """
        example = (APP / ".env.example").read_text(encoding="utf-8")
        changed = {"AWS_ENDPOINT_URL": self.endpoint_url, **settings}
        unchanged = [line for line in example.splitlines() if line.partition("=")[0] not in changed]
        text = "\n".join([*unchanged, *(f"{name}={value}" for name, value in changed.items())])
        (self.folder / ".env").write_text(f"{text}\n", encoding="utf-8")

    def python(self, *arguments: str) -> None:
        """Run the Python of the app's virtual environment in the app's folder.

        The variables AWS_*, AFORO_* and PYTHON* of this process are not passed on. Raise CalledProcessError if Python
        fails.
        """
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "AFORO_", "PYTHON"))}
        subprocess.run([self.folder / ".venv/bin/python", *arguments], cwd=self.folder, env=inherited, check=True)


def copied_example(folder: Path, stack: Stack) -> ExampleApp:
    """Copy the example app to `folder`, create its tables, and let the programs of `stack` measure it.

    `stack.environment` is changed: AFORO_APP_FILE is set to the app's aforo.toml, and AWS_ENDPOINT_URL is moved into
    the app's `.env`.
    """
    shutil.copytree(APP, folder, ignore=shutil.ignore_patterns(*NOT_COPIED))
    app = ExampleApp(folder, stack.environment.pop("AWS_ENDPOINT_URL"))
    app.configure({})
    (folder / ".venv").symlink_to(_environment())
    app.python("-m", "core.create_tables")
    stack.environment.update(AFORO_APP_FILE=str(folder / "aforo.toml"), STACK="native")
    return app


def install_aforo(folder: Path) -> None:
    """Build Aforo's wheel in `folder`, and install it into the environment of the example app."""
    options = ["--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", *options, "."], cwd=ROOT, check=True, timeout=300)
    wheel, pip = str(next(folder.glob("aforo-*.whl"))), [str(_environment() / "bin/pip"), "install", "-q"]
    subprocess.run([*pip, wheel], check=True, timeout=300)
    subprocess.run([*pip, "--no-deps", "--force-reinstall", wheel], check=True, timeout=120)


def _environment() -> Path:
    """Return a virtual environment with the app's own requirements, made once per requirements."""
    requirements = APP / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = ROOT / ".local" / f"own-app-{digest}"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
        subprocess.run([folder / "bin/pip", "install", "-q", "-r", str(requirements)], check=True, timeout=600)
        (folder / "ready").touch()
    return folder
