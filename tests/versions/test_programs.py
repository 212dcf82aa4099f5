"""The pure tests of the programs on each supported Python: formulas, verdicts, plans and settings."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from testing.celery_versions import ENVIRONMENTS, Pair
from testing.emulator import ROOT

pytestmark = [pytest.mark.versions, pytest.mark.timeout(1200)]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PURE = (
    *(f"tests/capacity/{folder}" for folder in ("estimators", "diagnosis", "audit", "sizing")),
    *(f"tests/core/test_{name}.py" for name in ("rate", "run_options", "settings", "size", "metrics")),
    "tests/injector/test_schedule.py",
)


@pytest.mark.parametrize("python", PYTHONS)
def test_the_pure_tests_pass(python):
    interpreter = Pair("", "", "", python).interpreter
    if interpreter is None:
        pytest.skip(f"not run: there is no Python {python} on this machine")
    command = [_environment(interpreter, python), "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *PURE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout


def _environment(interpreter, python):
    """Make the environment of this Python with all locked requirements, if it is missing. Return its interpreter."""
    folder = ENVIRONMENTS / f"programs-python-{python}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([interpreter, "-m", "venv", str(folder)], check=True)
        install = ["-m", "pip", "install", "-q", "--require-hashes", "-r", "requirements/dev.txt"]
        subprocess.run([str(folder / "bin/python"), *install], cwd=ROOT, check=True)
        (folder / "complete").touch()
    return str(folder / "bin/python")
