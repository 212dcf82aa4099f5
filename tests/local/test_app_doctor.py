"""The doctor of an app's aforo.toml: what it says of queue and worker, and when it sends a video."""

from __future__ import annotations

import socket
import sys
import time

import pytest
from click.testing import CliRunner

from core.app_file import read_app_file
from core.errors import EnvironmentFault
from core.promql import Sample
from core.queue_contract import Finding, Level
from core.settings import Settings
from local import __main__ as verbs
from local import app_doctor, app_worker
from local.app_doctor import CONTAINER_LINES, _no_queue, _worker
from local.app_trial import try_worker
from local.app_worker import require_aforo
from testing.emulator import ROOT
from testing.ports import free_port
from tests.core.app_file.conftest import team  # noqa: F401 (a fixture)

FAULT = EnvironmentFault("queue", "it did not answer", "check AWS_ENDPOINT_URL")


@pytest.mark.parametrize(("listens", "stack", "level"), [(False, "native", "warn"), (True, "native", "error")])
def test_an_emulator_that_is_not_started_yet_is_no_error(listens, stack, level):
    port = free_port()
    with socket.socket() as other:
        if listens:
            other.bind(("127.0.0.1", port))
            other.listen()
        settings = Settings.from_env({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "STACK": stack})
        finding = _no_queue(settings, FAULT)
    assert finding.level == level
    assert ("`make up APP=…` starts an emulator" in finding.line) is not listens


def test_a_queue_that_aforos_emulator_does_not_have_yet_is_no_error(monkeypatch):
    monkeypatch.setattr(app_doctor.supervisor, "processes", lambda: {"emulator": None})
    with socket.socket() as emulator:
        emulator.bind(("127.0.0.1", 0))
        emulator.listen()
        endpoint = f"http://127.0.0.1:{emulator.getsockname()[1]}"
        finding = _no_queue(Settings.from_env({"AWS_ENDPOINT_URL": endpoint}), FAULT)
    assert (finding.level, finding.line) == (
        "warn",
        "Aforo's emulator does not have it; `make up APP=…` creates it",
    )


def test_a_queue_of_aws_that_does_not_answer_is_an_error():
    assert _no_queue(Settings.from_env({"STACK": "aws"}), FAULT).level == "error"


def test_the_ports_that_a_container_needs_are_those_of_the_page():
    page = (ROOT / "docs/your-own-worker.md").read_text(encoding="utf-8")
    assert CONTAINER_LINES[-1] == "ports 9101-9110:9101"
    assert 'ports: ["9101-9110:9101"]' in page


WORKER = """#!/bin/sh
# A worker as far as its output and its signals show.
trap 'touch stopped; exit 0' TERM
echo "$1"
[ "$1" = dies ] && exit 1
while true; do sleep 0.05; done
"""


@pytest.fixture
def app_of(team, tmp_path):  # noqa: F811
    """Return a function that reads the file of an app whose worker prints a word, with these lines in its section."""
    (tmp_path / "worker.sh").write_text(WORKER)
    (tmp_path / "worker.sh").chmod(0o755)
    command = 'command = "celery -A app.main worker --concurrency={concurrency}"'

    def read(word, *lines):
        started = f'command = "./worker.sh {word} {{concurrency}}"'
        return read_app_file(team(command, "\n".join([started, *lines])))

    return read


def elsewhere(team, tmp_path, *lines):  # noqa: F811
    """Return what the doctor says of a worker that a shell line starts, by subject."""
    module = "from celery import Celery\napp = Celery()\n@app.task(name='app.tasks.process_video')\ndef process(): ..."
    (tmp_path / "their_app.py").write_text(module)
    started = 'python = "python"\ncommand = "celery -A app.main worker --concurrency={concurrency}"'
    ours = [f'python = "{sys.executable}"', 'scale = "./up.sh {concurrency}"', *lines]
    app = read_app_file(team(started, "\n".join(ours)))
    return {finding.subject: finding for finding in _worker(app)}


def test_the_task_of_a_worker_elsewhere_is_checked_in_the_app_that_the_file_names(team, tmp_path):  # noqa: F811
    found = elsewhere(team, tmp_path, 'app = "their_app"')
    assert list(found) == ["worker", "container", "task", "acknowledgement"]
    assert found["task"].detail.startswith("app.tasks.process_video, Celery ")
    wrong = elsewhere(team, tmp_path, 'app = "no_app"')["task"]
    assert (wrong.level, "worker.app (no_app); it cannot be imported" in wrong.line) == ("error", True)


def test_a_worker_elsewhere_whose_app_is_unknown_is_one_warning_about_the_name_of_its_queue(team, tmp_path):  # noqa: F811
    found = elsewhere(team, tmp_path)
    assert list(found) == ["worker", "container", "queue, name in Celery"]
    assert (found["queue, name in Celery"].level, found["queue, name in Celery"].line) == (
        "warn",
        "its name in Celery is unknown: kombu deletes no message if a prefix or predefined_queues makes it differ; "
        "give worker.app and worker.python in that case",
    )


@pytest.mark.parametrize(
    ("lines", "warns"),
    [(["instrument = false"], True), (["instrument = false", 'ready = "./is_up.sh"'], False), ([], False)],
)
def test_a_worker_elsewhere_that_counts_as_ready_at_once_is_a_warning(team, tmp_path, lines, warns):  # noqa: F811
    found = elsewhere(team, tmp_path, *lines)
    assert [finding.level for subject, finding in found.items() if subject == "ready"] == ["warn"] * warns


@pytest.fixture(autouse=True)
def stopped_at(monkeypatch, tmp_path):
    """Return the path of the file with the time of the last stop, which is not that of a stack here."""
    monkeypatch.setattr(app_worker, "STOPPED_AT", tmp_path / "run" / "app_worker_stopped_at")
    return app_worker.STOPPED_AT


def settings():
    return Settings.from_env({"AFORO_WORKER_METRICS_PORT": str(free_port())})


def test_a_worker_that_starts_is_stopped_again(app_of, tmp_path):
    app = app_of("ready.", "instrument = false")
    assert try_worker(settings(), app).startswith("it starts, and is ready after ")
    assert (tmp_path / "stopped").exists()


def test_the_next_start_of_the_worker_waits_for_the_last_poll_of_the_trial(app_of, stopped_at):
    before = time.time()
    try_worker(settings(), app_of("ready.", "instrument = false"))
    assert before < float(stopped_at.read_text()) <= time.time()


def test_a_worker_that_ends_is_one_line_with_its_last_output(app_of):
    with pytest.raises(EnvironmentFault, match=r"worker\.command; it ended at its start: dies; correct the app"):
        try_worker(settings(), app_of("dies", "instrument = false"))


def test_a_worker_that_serves_no_metrics_did_not_load_aforo(app_of, tmp_path):
    app = app_of("ready.", "instrument = true", "ready_seconds = 1")
    with pytest.raises(EnvironmentFault) as fault:
        try_worker(settings(), app)
    assert str(fault.value) == (
        "worker (mi-app); aforo is installed but was not loaded within 1 s; start the worker by Celery's command line "
        "or `app.worker_main`, or call `aforo.instrument(app)`"
    )
    assert (tmp_path / "stopped").exists()


def test_a_python_without_aforo_is_named_with_the_command_that_installs_it(app_of, tmp_path):
    (tmp_path / "python").unlink()
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(EnvironmentFault) as fault:
        require_aforo(app_of("ready."))
    assert "aforo is not installed there: ModuleNotFoundError: No module named 'aforo'" in str(fault.value)
    assert f"run `make wheel` and {tmp_path}/python -m pip install dist/aforo-*.whl" in str(fault.value)


@pytest.fixture
def sent(team, monkeypatch):  # noqa: F811
    """Return the list of what the doctor of an app starts and sends."""
    done = []
    own = {"AFORO_APP_FILE": str(team()), "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    monkeypatch.setattr(verbs.Settings, "from_process", lambda: Settings.from_env(own))
    monkeypatch.setattr(verbs.up, "main", lambda *_, **__: done.append("up"))
    monkeypatch.setattr(verbs, "send_one", lambda settings, app, user_id: done.append(f"a video of user {user_id}"))
    return done


def doctor(*words):
    return CliRunner().invoke(verbs.doctor, words, standalone_mode=False)


def test_an_error_of_a_check_ends_the_doctor_before_anything_is_sent(sent):
    shown = doctor("--send")
    assert shown.exit_code == 3
    assert "error task: aforo.toml, line 11: worker.command (app.main); it cannot be imported: " in shown.stdout
    assert sent == []


def test_without_an_error_one_video_is_sent_after_the_checks_and_the_worker_is_not_tried_first(sent, monkeypatch):
    def findings(settings, app, user_id, *, with_start):
        sent.append(f"checks with a start: {with_start}")
        yield Finding("queue", Level.WARN, "2 are in it", "they are processed first")

    monkeypatch.setattr(app_doctor, "findings", findings)
    shown = doctor("--send", "--user-id", "7")
    assert (shown.exit_code, shown.stdout) == (0, "warn  queue: 2 are in it; they are processed first\n")
    assert sent == ["checks with a start: False", "up", "a video of user 7"]
    sent.clear()
    assert doctor("--user-id", "7").exit_code == 0
    assert sent == ["checks with a start: True"]


@pytest.mark.parametrize(("with_start", "subjects"), [(True, ["stack", "worker"]), (False, ["input", "stack"])])
def test_the_worker_is_tried_unless_it_is_started_anyway(app_of, monkeypatch, with_start, subjects):
    monkeypatch.setattr(app_doctor, "_start", lambda settings, app: Finding("worker", Level.OK, "it starts"))
    found = list(app_doctor.findings(settings(), app_of("ready."), "7", with_start=with_start))
    assert [finding.subject for finding in found][-2:] == subjects


def test_the_doctor_of_an_app_says_how_many_workers_the_collector_reads_or_why_none(sent, monkeypatch):
    """The collector's /metrics are those of a stopped one, of one without workers, and of one with two."""
    failures = [Sample({"reason": "unreachable"}, 3), Sample({"reason": "invalid"}, 0)]
    pages = [
        None,
        {"aforo_collector_workers": [Sample({}, 0)], "aforo_collector_errors": failures},
        {"aforo_collector_workers": [Sample({}, 2)]},
    ]
    monkeypatch.setattr(app_doctor.promql, "scrape", lambda _host, _port: pages.pop(0))
    lines = [[line for line in doctor().stdout.splitlines() if " collector: " in line] for _ in range(3)]
    assert lines[0] == []
    assert lines[1][0].startswith("warn  collector: it reads the executions of no worker (unreachable); ")
    assert lines[2] == ["ok    collector: it reads the executions of 2 workers"]
