"""The wheel holds the library alone. It measures an app whose top-level packages have the names of ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from contextlib import suppress

import pytest

import aforo
from core.promql import scrape
from testing.emulator import ROOT
from testing.polling import until
from testing.ports import free_port

MAIN = """
from celery import Celery
from collector import LEAST
from core import NAME
from pipeline.names import TASK
from worker import BROKER

app = Celery(NAME, broker="filesystem://")
app.conf.update(task_ignore_result=True, worker_enable_remote_control=False, broker_transport_options=BROKER)

@app.task(name=TASK)
def process_video(number):
    if number >= LEAST:
        raise ValueError(number)
"""
FILES = {
    "pipeline/names.py": 'TASK = "own.process_video"\n',
    "core/__init__.py": 'NAME = "own"\n',
    "collector/__init__.py": "LEAST = 5\n",
}
BROKER = """
from pathlib import Path
FOLDER = Path(__file__).parents[1] / "queue"
FOLDER.mkdir(exist_ok=True)
BROKER = {"data_folder_in": str(FOLDER), "data_folder_out": str(FOLDER), "control_folder": str(FOLDER / "control")}
"""
SEND = "import main; [main.process_video.delay(number) for number in range(7)]"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = ["pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(ROOT)]
    subprocess.run([sys.executable, "-m", *command], check=True, timeout=100)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def binaries(wheel, tmp_path_factory):
    """Return the commands of an environment with the wheel.

    The wheel's dependencies are those of this environment.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    site = sysconfig.get_path("purelib", vars={"base": str(folder)})
    command = ["pip", "--python", str(folder), "install", "-q", "--no-index", "--no-deps", str(wheel)]
    subprocess.run([sys.executable, "-m", *command], check=True, timeout=100)
    with open(f"{site}/dependencies.pth", "w", encoding="utf-8") as file:
        file.write(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.fixture
def own_app(tmp_path):
    for name, text in {"main.py": MAIN, "worker/__init__.py": BROKER, **FILES}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(binaries, *command, cwd, **environment):
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AFORO_", "PYTHON", "AWS_"))}
    return subprocess.Popen(
        [str(binaries / command[0]), *command[1:]],
        cwd=cwd,
        env=inherited | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def output(binaries, *command, cwd):
    process = run(binaries, *command, cwd=cwd)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 0, text
    return text


def total(port, family, **labels):
    families = scrape("127.0.0.1", port) or {}
    return sum(s.value for s in families.get(family, []) if labels.items() <= s.labels.items())


def test_the_wheel_holds_the_library_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    folder = f"aforo-{aforo.__version__}.dist-info/"
    assert {name.split("/")[0] + "/" for name in names} == {"aforo/", folder}
    assert "aforo/py.typed" in names
    metadata = zipfile.ZipFile(wheel).read(folder + "METADATA").decode()
    assert "Requires-Python: >=3.10" in metadata
    required = {
        line.split()[1] for line in metadata.splitlines() if line.startswith("Requires-Dist") and ";" not in line
    }
    assert {name.split(">")[0] for name in required} == {"celery", "prometheus-client", "psutil"}


def test_the_installed_library_reports_its_version(binaries, tmp_path):
    assert output(binaries, "python", "-m", "aforo", "version", cwd=tmp_path) == f"{aforo.__version__}\n"


def test_celery_has_a_command_that_prints_what_is_measured(binaries, own_app):
    text = output(binaries, "python", "-m", "celery", "-A", "main", "aforo", cwd=own_app)
    assert f"aforo {aforo.__version__}; measuring at start: off, set AFORO_INSTRUMENT=1" in text
    assert "aforo_worker_tasks_total: Tasks that ended, by outcome." in text


FROM_CODE = {
    "app.worker_main": ("main.app.worker_main(['worker', '--pool', 'solo'])", True),
    "app.Worker": ("main.app.Worker(pool='solo').start()", False),
    "app.Worker after aforo.instrument": (
        "import aforo; aforo.instrument(main.app); main.app.Worker(pool='solo').start()",
        True,
    ),
}


@pytest.mark.parametrize(("code", "is_measured"), FROM_CODE.values(), ids=FROM_CODE)
def test_a_worker_that_is_started_from_code_runs_and_is_measured_where_aforo_is_loaded(
    binaries, own_app, code, is_measured
):
    port = free_port()
    output(binaries, "python", "-c", SEND, cwd=own_app)
    environment = {"AFORO_INSTRUMENT": "1", "AFORO_METRICS_PORT": str(port)}
    process = run(binaries, "python", "-c", f"import main; {code}", cwd=own_app, **environment)
    try:
        until(lambda: not list((own_app / "queue").glob("*.msg")), "seven messages were received", seconds=40)
        if is_measured:
            until(lambda: total(port, "aforo_worker_tasks") == 7, "the end of seven tasks", seconds=40)
        else:
            assert scrape("127.0.0.1", port) is None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_an_app_without_a_line_of_aforo_is_measured_exactly(binaries, own_app, pool):
    port = free_port()
    output(binaries, "python", "-c", SEND, cwd=own_app)
    celery = [str(binaries / "python"), "-m", "celery"]
    worker = [*celery, "-A", "main", "worker", "--pool", pool, "--concurrency", "2", "--loglevel", "INFO"]
    process = run(binaries, "aforo-instrument", *worker, cwd=own_app, AFORO_METRICS_PORT=str(port))
    try:
        ended = lambda: total(port, "aforo_worker_tasks") == 7  # noqa: E731
        until(ended, "the end of seven tasks", seconds=40)
        assert total(port, "aforo_worker_tasks", task="own.process_video", outcome="succeeded") == 5
        assert total(port, "aforo_worker_failures", task="own.process_video", reason="internal") == 2
        assert total(port, "aforo_worker_tasks_started", task="own.process_video") == 7
        assert total(port, "aforo_worker_telemetry_events_lost") == 0
        assert total(port, "aforo_worker_slots") == (1 if pool == "solo" else 2)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_command_that_does_not_exist_is_one_line(binaries, tmp_path):
    process = run(binaries, "aforo-instrument", "no-such-program", cwd=tmp_path)
    text, _ = process.communicate(timeout=60)
    assert text == "error: no-such-program; No such file or directory; name a program in PATH\n"
    assert process.returncode == 127
