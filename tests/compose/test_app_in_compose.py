"""The example app's workers in containers of their own, set by `scale`, with folders under another path."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest

from testing import emulator
from testing.native_stack import ROOT, copied_stack
from testing.ports import free_port

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1200)]
APP = ROOT / "examples/own_app"
SELECT = """
SELECT count(*) * 60.0 / ((max(julianday(updated_at)) - min(julianday(uploaded_at))) * 86400),
       avg((julianday(updated_at) - julianday(uploaded_at)) * 86400)
FROM videos WHERE status = 'done'"""


def run(*command, cwd, timeout=900, **environment):
    """Run a command of the team, without our settings. Return its output."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "AFORO_", "COMPOSE_", "MAKE"))}
    ended = subprocess.run(
        command, cwd=cwd, env=inherited | environment, capture_output=True, text=True, check=False, timeout=timeout
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    return ended.stdout


@pytest.fixture
def gateway():
    """Return the address of this machine that containers and the machine itself reach."""
    if shutil.which("docker") is None:
        pytest.skip("there is no Docker engine with Compose v2")
    form = "{{(index .IPAM.Config 0).Gateway}}"
    shown = subprocess.run(
        ["docker", "network", "inspect", "bridge", "-f", form], capture_output=True, text=True, check=False
    )
    if shown.returncode != 0:
        pytest.skip("there is no Docker engine with Compose v2")
    return shown.stdout.strip()


@pytest.fixture
def team(tmp_path, gateway):
    """Return the team's folder with its image, its database and its queue's address, and a stack of ours beside it."""
    folder, first = tmp_path / "service", free_port()
    shutil.copytree(APP, folder, ignore=shutil.ignore_patterns(".venv", "*.db", "uploads", "processed", ".env"))
    wheel = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder / "dist", "."]
    subprocess.run([sys.executable, *wheel], cwd=ROOT, check=True, timeout=300)
    stack = copied_stack(tmp_path / "stack")
    del stack.environment["AWS_ENDPOINT_URL"]
    file = folder / "aforo.compose.toml"
    file.write_text(file.read_text().replace("9101-9110", f"{first}-{first + 3}"))
    own = {"COMPOSE_PROJECT_NAME": f"own-app-{os.getpid()}", "METRICS_PORTS": f"{first}-{first + 3}"}
    base = os.environ.get("BASE_IMAGE", "lab/python:3.11")  # a stand-in where no image registry is reached
    if subprocess.run(["docker", "image", "inspect", base], capture_output=True, check=False).returncode == 0:
        own |= {"BASE_IMAGE": base, "BUILD_NETWORK": "host"}
    with emulator.running_emulator(str(emulator.program()), host=gateway) as endpoint:
        settings = (APP / ".env.example").read_text().replace("http://127.0.0.1:4566", endpoint)
        (folder / ".env").write_text(settings + "".join(f"{name}={value}\n" for name, value in own.items()))
        (folder / "data").mkdir()
        run("docker", "compose", "build", "-q", cwd=folder)
        run("docker", "compose", "run", "--rm", "-T", "worker", "python", "-m", "core.create_tables", cwd=folder)
        stack.environment.update(AFORO_APP_FILE=str(file), STACK="native", CONCURRENCY="1", WORKERS="2", YES="1")
        try:
            yield folder, stack
        finally:
            verb(stack, "local", "down")
            run("docker", "compose", "down", "--rmi", "local", "-t", "5", cwd=folder)


def verb(stack, *words):
    command = [sys.executable, "-m", *words]
    return subprocess.run(
        command, cwd=stack.folder, env=stack.environment, capture_output=True, text=True, timeout=400, check=False
    )


def test_two_workers_in_containers_give_a_row_with_x_and_s_of_their_table(team):
    folder, stack = team
    steps = [("local", "up"), ("injector", "--count", "8", "--size", "1MB", "--monitor"), ("capacity", "wait")]
    for step in steps:
        ended = verb(stack, *step)
        assert ended.returncode == 0, (step, ended.stderr)
    (row,) = json.loads(verb(stack, "capacity", "table", "--json").stdout)["rows"]
    assert (row["app"], row["nodes"], row["concurrency"], row["done"]) == ("own-app-compose", 2, 1, 8)
    assert row["x_sat_source"] == "slots"
    with sqlite3.connect(folder / "data/service.db") as connection:
        x, s = connection.execute(SELECT).fetchone()
    assert row["x_per_minute"] == pytest.approx(x, rel=0.001)
    assert row["s_seconds"] == pytest.approx(s, rel=0.001)
    assert len(list((folder / "data/processed").glob("*.mp4"))) == 8
    (source,) = (folder / "uploads").glob("*.mp4")  # the app has deleted its inputs, which were copies of this one
    assert not any(run_id in source.name for run_id in row["runs"])
    assert verb(stack, "local", "restore").returncode == 0
    assert run("docker", "compose", "ps", "-q", cwd=folder) == ""
