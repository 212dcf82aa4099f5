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
COUNT = 8
MATRIX = ("--sizes", "1MB", "--concurrencies", "1,2", "--modes", "burst,sustained", "--count", str(COUNT))
RATE = 24
#: X and S of a burst, as anybody would ask the app's own database for them
SELECT = """
SELECT count(*) * 60.0 / ((max(julianday(updated_at)) - min(julianday(uploaded_at))) * 86400),
       avg((julianday(updated_at) - julianday(uploaded_at)) * 86400)
FROM videos WHERE status = 'done' AND id IN ({keys})"""
#: videos that ended by a moment, in epoch seconds, and the mean response time of all
SELECT_WINDOW = """
SELECT sum((julianday(updated_at) - 2440587.5) * 86400 <= {until}),
       avg((julianday(updated_at) - julianday(uploaded_at)) * 86400)
FROM videos WHERE status = 'done' AND id IN ({keys})"""


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
        command, cwd=stack.folder, env=stack.environment, capture_output=True, text=True, timeout=600, check=False
    )


def selected(database, statement, *values):
    """Return the first row of a SELECT on a SQLite file."""
    with sqlite3.connect(database) as connection:
        return connection.execute(statement, values).fetchone()


def keys(stack, run_id):
    """Return the ids of a run's videos in the team's table, as a list in SQL."""
    lines = (stack.folder / f"results/runs/{run_id}/injected.jsonl").read_text().splitlines()
    return ",".join(str(json.loads(line)["row"]) for line in lines)


def test_two_workers_in_containers_give_four_rows_with_x_and_s_of_their_table(team):
    folder, stack = team
    ended = verb(stack, "capacity", "matrix", *MATRIX, "--rate", str(RATE), "--json")
    assert ended.returncode == 0, ended.stderr
    rows = {(row["concurrency"], row["mode"]): row for row in json.loads(ended.stdout)["rows"]}
    assert sorted(rows) == [(1, "burst"), (1, "sustained"), (2, "burst"), (2, "sustained")]
    for (_, mode), row in rows.items():
        assert (row["app"], row["nodes"], row["done"], row["failed"]) == ("own-app-compose", 2, COUNT, 0)
        (run_id,) = row["runs"]
        database, videos = folder / "data/service.db", keys(stack, run_id)
        if mode == "burst":
            x, s = selected(database, SELECT.format(keys=videos))
            assert row["x_sat_source"] == "slots"
        else:
            times = "SELECT started_at, window_seconds FROM runs WHERE id = ?"
            started, seconds = selected(stack.folder / ".local/aforo.db", times, run_id)
            count, s = selected(database, SELECT_WINDOW.format(keys=videos, until=started + seconds))
            x = 60 * count / seconds
            assert row["rate_per_minute"] == RATE
        assert row["x_per_minute"] == pytest.approx(x, rel=0.001)
        assert row["s_seconds"] == pytest.approx(s, rel=0.001)
    assert len(list((folder / "data/processed").glob("*.mp4"))) == 4 * COUNT
    (source,) = (folder / "uploads").glob("*.mp4")  # the app has deleted its inputs, which were copies of this one
    assert not any(run_id in source.name for row in rows.values() for run_id in row["runs"])
    assert run("docker", "compose", "ps", "-q", cwd=folder) == ""  # the matrix has run `restore`
