"""A checkout in `josé con espacio`, with a password in each URL: it is set up, it measures, and no password is seen.

This installs every package into the checkout, which takes minutes.
"""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from core.promql import scrape
from testing.native_stack import copied_stack
from testing.polling import until
from testing.ports import free_port

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
PASSWORD = "hunter2"
#: a name of this machine that the settings do not take for it, so that the stack starts no Redis of its own
OTHER_HOST = "127.0.0.2"


@contextmanager
def redis_with_password(folder):
    """Run a Redis that requires PASSWORD, which it reads from its standard input. Yield its port."""
    port = free_port()
    command = ["redis-server", "-"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=folder)
    server.stdin.write(f"bind {OTHER_HOST}\nport {port}\nrequirepass {PASSWORD}\nsave ''\n".encode())
    server.stdin.close()
    try:
        yield port
    finally:
        server.kill()
        server.wait()


@contextmanager
def command_lines_watched():
    """Collect every command line of this machine that shows PASSWORD while the block runs."""
    seen, ended = set(), threading.Event()

    def watch():
        while not ended.is_set():
            for process in psutil.process_iter(["cmdline"]):
                line = " ".join(process.info["cmdline"] or ())
                if PASSWORD in line:
                    seen.add(line)
            time.sleep(0.5)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def short_folder():
    """Return a folder whose path leaves room for that of a socket in it, which has at most 107 bytes."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="a") as folder:
        yield Path(folder)


def files_with_password(folder):
    """Return the files under the folder that hold PASSWORD, without what was copied or installed."""
    made = [path for name in (".local", "results") for path in (folder / name).rglob("*")]
    return [path for path in made if path.is_file() and PASSWORD.encode() in path.read_bytes()]


def test_a_checkout_with_blank_and_accent_is_set_up_and_measures_and_shows_no_password(tmp_path, short_folder):
    for program in ("prometheus", "redis-server", "ffmpeg"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; `make setup` installs it")
    folder = short_folder / "josé con espacio" / "aforo"
    folder.mkdir(parents=True)
    stack = copied_stack(folder)
    (folder / ".tools").unlink()  # the installed tools of this repository
    with redis_with_password(tmp_path) as port, command_lines_watched() as seen:
        url = f"redis://:{PASSWORD}@{OTHER_HOST}:{port}/0"
        environment = stack.environment | {"AFORO_EVENTS_REDIS_URL": url}

        def make(*words):
            done = subprocess.run(
                ["make", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            assert PASSWORD not in done.stdout + done.stderr
            assert done.returncode == 0, done.stderr + done.stdout
            return done.stdout

        try:
            make("run-burst", "SIZE=0.5MB", "COUNT=2", "CONCURRENCY=1")
            metrics = scrape("127.0.0.1", int(environment["AFORO_WORKER_METRICS_PORT"]))
            assert metrics["aforo_worker_slots"][0].value == 1
            assert "| 500 KB | 1 |" in make("table")
            exporter = int(environment["AFORO_CELERY_EXPORTER_PORT"])
            until(lambda: "celery_task_succeeded" in (scrape("127.0.0.1", exporter) or {}), "the events arrive")
        finally:
            subprocess.run(["make", "down"], cwd=folder, env=environment, capture_output=True, check=False)
    assert seen == set()
    assert files_with_password(folder) == []


@pytest.mark.parametrize(
    "command",
    [
        *("capacity table", "capacity wait --queue", "exporters db", "collector serve"),
        *("provision", "local doctor", "injector", "worker"),
    ],
)
@pytest.mark.parametrize("url", ["postgresql://u@127.0.0.1:1/x?password={}", "postgresql://u:{}@127.0.0.1:1/x"])
def test_no_program_shows_the_password_of_a_database_that_does_not_answer(tmp_path, command, url, emulator):
    root = Path(__file__).parents[2]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AFORO_", "AWS_"))}
    environment = kept | {
        "PYTHONPATH": str(root),
        "AFORO_DATABASE_URL": url.format(PASSWORD),
        "AWS_ENDPOINT_URL": emulator,
        "AFORO_PROMETHEUS_URL": "http://127.0.0.1:9",
    }
    output = tmp_path / "output"
    with command_lines_watched() as seen, output.open("wb") as file:
        program = subprocess.Popen(
            [root / ".venv/bin/python", "-m", *command.split()], cwd=tmp_path, env=environment, stdout=file, stderr=file
        )
        try:
            program.wait(timeout=15)
        except subprocess.TimeoutExpired:  # an exporter and the collector wait for the database
            program.terminate()
            program.wait(10)
    assert PASSWORD not in output.read_text()
    assert "Traceback" not in output.read_text()
    assert seen == set()
