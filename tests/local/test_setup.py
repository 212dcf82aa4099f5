"""Setup on a machine with missing programs, without a real installation."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BASICS = ("bash", "basename", "cat", "chmod", "cmp", "cp", "dirname", "env", "flock", "mkdir", "readlink", "rm", "tee")


class Machine:
    """A minimal machine. Its apt-get records its arguments and fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in BASICS:
            (self.bin / name).symlink_to(shutil.which(name))
        (folder / "local").mkdir()
        shutil.copy2("local/setup.sh", folder / "local")

    def install(self, name: str, script: str) -> None:
        file = self.bin / name
        file.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
        file.chmod(0o755)

    def setup(self) -> subprocess.CompletedProcess[str]:
        command = [self.bin / "bash", "local/setup.sh", "run"]
        environment = {"PATH": str(self.bin), "POLICY_RC_D": str(self.folder / "policy-rc.d")}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    machine.install("python3", f'exec {sys.executable} "$@"')
    machine.install("apt-get", 'echo "$@" >> calls; exit 1')
    machine.install("id", "echo 0")
    return machine


def test_missing_packages_are_installed_without_recommended_ones(machine):
    (machine.bin / "redis-server").symlink_to("/bin/true")
    machine.install("apt-get", 'echo "$@" >> calls; [ "${*: -1}" = update ]')
    refused = machine.setup()
    calls = (machine.folder / "calls").read_text(encoding="utf-8").splitlines()
    assert calls[-1].endswith("install -y --no-install-recommends ffmpeg prometheus")
    assert refused.stdout == "installing system packages: ffmpeg prometheus\n"
    assert refused.stderr.startswith("error: system packages (ffmpeg prometheus); apt-get failed")
    assert refused.returncode == 3


def test_an_installation_starts_no_service_and_the_policy_is_removed(machine):
    machine.install("apt-get", "cat policy-rc.d >> seen; exit 1")
    machine.setup()
    assert "exit 101" in (machine.folder / "seen").read_text(encoding="utf-8")
    assert not (machine.folder / "policy-rc.d").exists()


def test_an_existing_policy_stays(machine):
    (machine.folder / "policy-rc.d").write_text("theirs", encoding="utf-8")
    machine.setup()
    assert (machine.folder / "policy-rc.d").read_text(encoding="utf-8") == "theirs"


def test_without_the_right_to_install_the_error_shows_the_command(machine):
    machine.install("id", "echo 1000")
    refused = machine.setup()
    assert refused.stderr == (
        "error: system packages (ffmpeg prometheus redis-server); they are missing and this user may not install them; "
        "sudo apt-get install --no-install-recommends ffmpeg prometheus redis-server\n"
    )
    assert refused.returncode == 3
    assert not (machine.folder / "calls").exists()


def test_without_apt_the_error_names_the_missing_packages(machine):
    (machine.bin / "apt-get").unlink()
    refused = machine.setup()
    assert refused.stderr.startswith("error: programs (of Debian's packages ffmpeg prometheus redis-server);")
    assert refused.returncode == 3


def test_a_python_that_is_too_old_is_an_error(machine):
    machine.install("python3", "exit 1")
    refused = machine.setup()
    assert refused.stderr.startswith("error: Python (none of 3.11 or newer found);")
    assert refused.returncode == 3


def test_an_environment_whose_installation_was_interrupted_is_made_again(machine):
    for name in ("ffmpeg", "ffprobe", "prometheus", "promtool", "redis-server"):
        (machine.bin / name).symlink_to("/bin/true")
    (machine.folder / "requirements").mkdir()
    for lock in ("app", "emulator", "celery-exporter"):
        (machine.folder / f"requirements/{lock}.txt").write_text("", encoding="utf-8")
    environment = machine.folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    assert not (environment / "bin/pip").exists()
    machine.setup()
    assert (environment / "bin/pip").exists()
