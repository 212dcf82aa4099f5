"""The locked requirements have wheels for arm64 and for each Python: images and machines of Graviton get them.

pip asks the registry and installs nothing.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from testing.emulator import ROOT

pytestmark = [pytest.mark.versions, pytest.mark.timeout(600)]
#: tags of wheels that run on Debian 12, oldest first
GLIBC = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")
LOCKS = ("services", "app", "celery-exporter", "emulator")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def resolved(lock, machine, python, folder):
    platforms = [word for tag in GLIBC for word in ("--platform", f"{tag}_{machine}")]
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
    command += ["--require-hashes", "--only-binary=:all:", "--python-version", python, "--target", str(folder)]
    command += [*platforms, "-r", f"requirements/{lock}.txt"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("lock", LOCKS)
def test_the_images_resolve_on_arm64(lock, tmp_path):
    done = resolved(lock, "aarch64", "3.11", tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("python", PYTHONS[1:])
def test_the_programs_resolve_on_later_versions_of_python(python, tmp_path):
    done = resolved("app", "x86_64", python, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_machine_without_wheels_is_noticed(tmp_path):
    assert "No matching distribution found" in resolved("services", "sparc64", "3.11", tmp_path).stderr
