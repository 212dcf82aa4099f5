"""A worker that ended leaves its last poll open in SQS, and a message that this poll gets is lost for a while."""

from types import SimpleNamespace

import pytest

from local import app_worker


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now, self.slept = 100.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch, tmp_path):
    clock = Clock()
    options = tmp_path / "worker.env"
    options.write_text("one slot")
    monkeypatch.setattr(app_worker, "time", clock)
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


def test_the_line_that_tells_when_a_worker_is_ready_is_printed_once_without_its_secrets(monkeypatch, capsys):
    answers = iter([False, False, True])
    monkeypatch.setattr(app_worker, "_is_ready", lambda *arguments: next(answers))
    monkeypatch.setattr(app_worker, "POLL_SECONDS", 0)
    app = app_with(command=None, ready="TOKEN_A=s3cret ./ready.sh", ready_seconds=10)
    app_worker._wait(None, app, 1, 1, 0)
    assert capsys.readouterr().err == "worker.ready: TOKEN_A=*** ./ready.sh\n"
