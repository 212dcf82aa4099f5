"""A compose stack for one test session.

The stack has its own project name, ports and results folder. It is removed at the end of the session.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from testing.ports import free_port

ROOT = Path(__file__).parents[2]
#: Stand-ins for the third-party images, for a machine that reaches no image registry.
LAB_IMAGES = {
    "PYTHON_IMAGE": "lab/python:3.11",
    "PROMETHEUS_IMAGE": "lab/prometheus:3",
    "POSTGRES_IMAGE": "lab/postgres:15",
    "REDIS_IMAGE": "lab/redis:7",
}


@dataclass(frozen=True)
class ComposeStack:
    """The stack of one test session, run by `make … STACK=compose`."""

    folder: Path
    environment: dict[str, str]

    @property
    def prometheus_url(self) -> str:
        """Return the URL at which the stack publishes Prometheus."""
        return f"http://127.0.0.1:{self.environment['AFORO_COMPOSE_PROMETHEUS_PORT']}"

    def make(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run make in the copy of the source tree."""
        return self._run("make", *words, "STACK=compose")

    def sql(self, query: str) -> list[list[str]]:
        """Return the rows of `query` from PostgreSQL."""
        client = ["exec", "-T", "-e", "PGPASSWORD=aforo", "postgres", "psql", "-h", "127.0.0.1"]
        shown = self._run("docker", "compose", *client, "-U", "aforo", "-d", "aforo", "-At", "-c", query)
        assert shown.returncode == 0, shown.stderr
        return [line.split("|") for line in shown.stdout.splitlines()]

    def containers(self) -> list[dict[str, Any]]:
        """Return the engine's description of all containers of the stack."""
        ids = self._run("docker", "compose", "ps", "--all", "--quiet").stdout.split()
        containers: list[dict[str, Any]] = json.loads(self._run("docker", "inspect", *ids).stdout)
        return containers

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=1500, check=False
        )


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    if not _answers("docker", "info") or not _answers("docker", "compose", "version"):
        pytest.skip("there is no Docker engine with Compose v2")
    running = ComposeStack(_copy_of_the_tree(tmp_path_factory.mktemp("compose")), _environment())
    up = running.make("up", "WORKERS=2", "CONCURRENCY=1")
    try:
        assert up.returncode == 0, up.stderr[-4000:]
        yield running
    finally:
        running.make("clean")


def _answers(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _copy_of_the_tree(folder: Path) -> Path:
    listed = ["git", "ls-files", "-co", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in files.splitlines():
        if not name.startswith("tests/") and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def _environment() -> dict[str, str]:
    """Return an environment without the settings of this machine and without Grafana.

    If stand-in images are present, they are used.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "AFORO_", "MAKE", "COMPOSE_"))}
    own = {
        "COMPOSE_PROJECT_NAME": f"aforo-test-{os.getpid()}",
        "COMPOSE_PROFILES": "emulator",
        "AFORO_IMAGE_TAG": "test",
        "AFORO_COMPOSE_PROMETHEUS_PORT": str(free_port()),
    }
    if _answers("docker", "image", "inspect", *LAB_IMAGES.values()):
        own |= LAB_IMAGES | {"BUILD_NETWORK": "host"}
    return own | inherited | {name: own[name] for name in own if name.startswith(("COMPOSE_", "AFORO_"))}
