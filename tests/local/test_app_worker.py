"""A worker that ended leaves its last poll open in SQS, and a message that this poll gets is lost for a while."""

import time
from types import SimpleNamespace

import psutil
import pytest

from core.app_file import read_app_file
from core.errors import EnvironmentFault
from core.settings import Settings
from local import app_worker, configuration, stack, supervisor
from local.supervisor import Process
from testing.polling import until
from tests.core.app_file.conftest import team  # noqa: F401 (a fixture)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now, self.slept = 100.0, []

    def monotonic(self):
        return self.now

    def time(self):
        return 1e9 + self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch, tmp_path):
    clock = Clock()
    options = tmp_path / "worker.env"
    options.write_text("one slot")
    monkeypatch.setattr(app_worker, "time", clock)
    monkeypatch.setattr(app_worker, "STOPPED_AT", tmp_path / "run" / "app_worker_stopped_at")
    monkeypatch.setattr(app_worker.configuration, "WORKER_OPTIONS", options)
    monkeypatch.setattr(app_worker.configuration, "app_worker_options", lambda app, slots: f"{slots} slots")
    monkeypatch.setattr(app_worker.readiness, "until", lambda *arguments: None)
    monkeypatch.setattr(app_worker.supervisor, "start", lambda name: None)
    monkeypatch.setattr(app_worker.supervisor, "stop", lambda name: None)
    monkeypatch.setattr(app_worker, "words_of", lambda app, slots: ["celery"])
    monkeypatch.setattr(app_worker, "_run_line", lambda *arguments: None)
    monkeypatch.setattr(app_worker, "_wait", lambda *arguments: clock.sleep(6.0))
    return clock


def app_with(**worker):
    return SimpleNamespace(worker=SimpleNamespace(instrument=False, stop_seconds=10, directory="d", **worker))


def test_a_restarted_worker_gets_no_message_until_the_last_poll_of_the_former_one_has_ended(clock, monkeypatch):
    process = SimpleNamespace(is_running=True, started_at=50.0)
    monkeypatch.setattr(app_worker.supervisor, "processes", lambda: {"worker": process})
    app_worker.run_app_worker(None, app_with(command="celery worker"), 2, 1)
    assert clock.slept == [6.0, 14.0]


def test_a_worker_that_crashed_is_waited_for_too(clock, monkeypatch):
    crashed = SimpleNamespace(is_running=False, started_at=50.0)
    monkeypatch.setattr(app_worker.supervisor, "processes", lambda: {"worker": crashed})
    app_worker.run_app_worker(None, app_with(command="celery worker"), 2, 1)
    assert clock.slept == [6.0, 14.0]


def test_the_first_start_of_a_worker_does_not_wait(clock, monkeypatch):
    never = SimpleNamespace(is_running=False, started_at=0.0)
    monkeypatch.setattr(app_worker.supervisor, "processes", lambda: {"worker": never})
    app_worker.run_app_worker(None, app_with(command="celery worker"), 2, 1)
    assert clock.slept == [6.0]


@pytest.mark.parametrize(
    ("earlier", "slept"), [([1], [6.0, 20.0]), ([2, 2], [6.0, 20.0]), ([2], [6.0]), ([], [6.0, 20.0])]
)
def test_after_scale_only_workers_that_are_known_to_be_unchanged_are_not_waited_for(clock, monkeypatch, earlier, slept):
    monkeypatch.setattr(app_worker, "app_slots", lambda settings, app: earlier)
    app = app_with(command=None, scale="scale")
    app.worker.instrument = True
    app_worker.run_app_worker(None, app, 2, 1)
    assert clock.slept == slept


def start_after(clock, monkeypatch, seconds):
    """Start the worker in a new stack this many seconds later. Return how long each step has slept."""
    clock.now += seconds
    never = SimpleNamespace(is_running=False, started_at=0.0)
    monkeypatch.setattr(app_worker.supervisor, "processes", lambda: {"worker": never})
    app_worker.run_app_worker(None, app_with(command="celery worker"), 2, 1)
    return clock.slept


@pytest.mark.parametrize(("seconds", "slept"), [(0.0, [6.0, 14.0]), (9.0, [6.0, 5.0]), (14.0, [6.0]), (3600.0, [6.0])])
def test_a_worker_in_a_new_stack_waits_for_the_rest_of_the_last_poll(clock, monkeypatch, seconds, slept):
    app_worker.record_stop()
    assert start_after(clock, monkeypatch, seconds) == slept


def test_a_clock_that_was_set_back_makes_no_start_wait_for_longer_than_a_poll(clock, monkeypatch):
    app_worker.record_stop()
    assert start_after(clock, monkeypatch, -3600.0) == [6.0, 20.0]


def test_a_worker_that_runs_since_an_earlier_start_that_was_killed_in_its_wait_is_waited_for(clock, monkeypatch):
    running = SimpleNamespace(is_running=True, started_at=50.0)
    monkeypatch.setattr(app_worker.supervisor, "processes", lambda: {"worker": running})
    monkeypatch.setattr(app_worker, "changed_since", lambda *arguments: False)
    configuration.WORKER_OPTIONS.write_text("2 slots")
    app_worker.record_stop()
    clock.now += 8.0
    app_worker.run_app_worker(None, app_with(command="celery worker"), 2, 1)
    assert clock.slept == [12.0]


OF_APP, OURS = f"{configuration.OF_APP}\n", configuration.worker_options(2, "full", 0)


@pytest.mark.parametrize(
    ("started_at", "options", "is_stored"), [(50.0, OF_APP, True), (0.0, OF_APP, False), (50.0, OURS, False)]
)
def test_down_stores_when_a_worker_of_an_app_ended(clock, monkeypatch, started_at, options, is_stored):
    configuration.WORKER_OPTIONS.write_text(options)
    process = Process("worker", "RUNNING", 7, started_at)
    monkeypatch.setattr(supervisor, "processes", lambda: {"worker": process})
    monkeypatch.setattr(supervisor, "shut_down", lambda: None)
    stack._stop()
    assert app_worker.STOPPED_AT.exists() is is_stored
    assert start_after(clock, monkeypatch, 0.0) == ([6.0, 14.0] if is_stored else [6.0])


@pytest.mark.parametrize(("ended", "slept"), [(3, [6.0, 14.0]), (0, [6.0])])
def test_a_worker_that_a_dead_supervisord_left_running_is_waited_for(clock, monkeypatch, ended, slept):
    configuration.WORKER_OPTIONS.write_text(OF_APP)
    monkeypatch.setattr(supervisor, "processes", lambda: None)
    monkeypatch.setattr(supervisor, "end_orphans", lambda: ended)
    assert stack._stop() == ended
    assert start_after(clock, monkeypatch, 0.0) == slept


@pytest.fixture
def scaled(team, tmp_path, monkeypatch):  # noqa: F811
    """Return a function that runs an app's `scale` line with more lines in the section of its worker."""
    monkeypatch.setattr(app_worker, "_wait_for_last_poll", lambda ended_at: None)
    monkeypatch.setattr(app_worker, "LOG", tmp_path / "worker.log")
    monkeypatch.setattr(app_worker, "POLL_SECONDS", 0.05)

    def scale(*lines, line="true"):
        command = 'command = "celery -A app.main worker --concurrency={concurrency}"'
        path = team(command, "\n".join([f'scale = "{line} # {{concurrency}}"', "instrument = false", *lines]))
        app_worker.run_app_worker(Settings(), read_app_file(path), 2, 1)

    return scale


def test_workers_are_ready_when_the_line_ready_succeeds(scaled, tmp_path):
    scaled('ready = "echo asked >> asked; [ $(wc -l < asked) = 3 ]"')
    assert (tmp_path / "asked").read_text() == "asked\n" * 3


def test_workers_that_are_never_ready_are_one_line(scaled):
    with pytest.raises(EnvironmentFault) as fault:
        scaled('ready = "false"', "ready_seconds = 1")
    assert str(fault.value).endswith(f"worker.ready; it did not succeed in 1 s; correct it, or see {app_worker.LOG}")


def test_a_line_ready_that_hangs_ends_with_its_children_after_the_time_of_the_file(scaled, tmp_path):
    started = time.monotonic()
    with pytest.raises(EnvironmentFault, match="it did not succeed in 1 s"):
        scaled('ready = "sleep 60 & echo $! > child; sleep 60"', "ready_seconds = 1")
    assert 1.0 <= time.monotonic() - started < 30.0
    child = int((tmp_path / "child").read_text())
    until(lambda: not is_running(child), "the child of the line has ended", seconds=10)


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_scale_gets_the_time_that_a_worker_may_take_to_stop(scaled, tmp_path):
    scaled("stop_seconds = 77", line="echo $AFORO_STOP_SECONDS > seconds")
    assert (tmp_path / "seconds").read_text() == "77\n"


def test_the_line_that_tells_when_a_worker_is_ready_is_printed_once_without_its_secrets(monkeypatch, capsys):
    answers = iter([False, False, True])
    monkeypatch.setattr(app_worker, "is_ready", lambda *arguments: next(answers))
    monkeypatch.setattr(app_worker, "POLL_SECONDS", 0)
    app = app_with(command=None, ready="TOKEN_A=s3cret ./ready.sh", ready_seconds=10)
    app_worker._wait(None, app, 1, 1, 0)
    assert capsys.readouterr().err == "worker.ready: TOKEN_A=*** ./ready.sh\n"
