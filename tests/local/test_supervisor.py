"""The stack is identified by its running processes, not by files."""

import subprocess
import sys
import xmlrpc.client

import psutil
import pytest
from click.testing import CliRunner

from core.errors import EnvironmentFault
from local import __main__ as program
from local import stack, supervisor


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".local/run").mkdir(parents=True)
    (tmp_path / ".local/log").mkdir()
    return tmp_path


def test_a_socket_without_an_answer_means_that_the_stack_is_down(checkout):
    (checkout / ".local/run/supervisor.sock").touch()
    assert supervisor.processes() is None


def test_processes_of_a_dead_supervisord_are_found_by_their_mark_and_ended(checkout):
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    left = subprocess.Popen(command, env={supervisor.MARK: str(checkout)}, stdout=subprocess.PIPE)
    stranger = subprocess.Popen(command, env={supervisor.MARK: "/elsewhere"}, stdout=subprocess.PIPE)
    with left, stranger:
        left.stdout.readline(), stranger.stdout.readline()
        assert [process.pid for process in supervisor.orphans()] == [left.pid]
        assert supervisor.end_orphans() == 1
        assert not psutil.pid_exists(left.pid)
        assert stranger.poll() is None
        stranger.kill()


def test_crashes_are_counted_since_the_last_start(checkout):
    log = checkout / ".local/log/supervisord.log"
    log.write_text(
        "exited: worker (exit status 1; not expected)\n"
        "supervisord started with pid 7\n"
        "exited: worker (terminated by SIGKILL; not expected)\n"
        "exited: worker-2 (exit status 1; not expected)\n",
        encoding="utf-8",
    )
    assert supervisor.restarts("worker") == 1


@pytest.fixture
def answers(checkout, monkeypatch):
    """Make supervisord answer every call with a fault that has the given code."""
    (checkout / ".local/run/supervisor.sock").touch()

    def refuse(code, text):
        def call(_method, *_arguments):
            raise xmlrpc.client.Fault(code, text)

        monkeypatch.setattr(supervisor, "_call", call)

    return refuse


def test_status_shows_a_stack_that_is_stopping_and_down_waits_until_it_has_stopped(answers, monkeypatch):
    answers(supervisor.SHUTDOWN_STATE, "SHUTDOWN_STATE")
    shown = CliRunner().invoke(program.main, ["status"])
    assert (shown.output, shown.exit_code) == ("stopping; `make down` waits until it has stopped\n", 0)
    left = [["worker"], ["worker"], []]
    monkeypatch.setattr(supervisor, "orphans", lambda: left.pop(0))
    assert stack.down() == 0
    assert left == []


def test_any_other_fault_of_supervisord_is_one_line(answers):
    answers(1, "UNKNOWN_METHOD")
    with pytest.raises(EnvironmentFault, match=r"^supervisord; UNKNOWN_METHOD; see \.local/log/supervisord\.log$"):
        supervisor.processes()
