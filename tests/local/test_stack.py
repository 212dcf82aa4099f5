"""Start of the worker from every state that an earlier command can leave. Supervisord is a fake."""

from pathlib import Path

import pytest

from core.settings import Settings
from local import configuration, stack
from local.programs import Program
from local.supervisor import Process

WORKER = Program("worker", 9101, "AFORO_WORKER_METRICS_PORT")


class Supervisord:
    """Fake supervisord.

    A stopping worker ends after three calls of `processes`. It cannot be started before.
    """

    def __init__(self, state):
        self.state, self.polls, self.calls = state, 0, []

    def processes(self):
        if self.state == "STOPPING":
            self.polls += 1
            self.state = "STOPPED" if self.polls > 3 else "STOPPING"
        return {"worker": Process("worker", self.state, 7 * (self.state != "STOPPED"), 0.0)}

    def start(self, name):
        self.calls.append(f"start {name}")
        self.state = "RUNNING" if self.state == "STOPPED" else self.state

    def stop(self, name):
        self.calls.append(f"stop {name}")
        self.state = "STOPPING"


@pytest.fixture
def run_worker(tmp_path, monkeypatch):
    """Start the worker with two slots from a state and its current options. Return the fake."""

    def run(state, options):
        fake = Supervisord(state)
        monkeypatch.setattr(configuration, "WORKER_OPTIONS", tmp_path / "worker.env")
        Path(tmp_path / "worker.env").write_text(options)
        monkeypatch.setattr(stack, "supervisor", fake)
        monkeypatch.setattr(stack, "WORKER_SECONDS", 1.0)
        monkeypatch.setattr(stack.readiness, "worker_slots", lambda _worker: 2 if fake.state == "RUNNING" else None)
        stack._run_worker(WORKER, Settings(), stack.WorkerOptions(2, "full", 0))
        return fake

    return run


OTHER, SAME = configuration.worker_options(1, "full", 0), configuration.worker_options(2, "full", 0)


@pytest.mark.parametrize(
    ("state", "options", "calls"),
    [
        ("RUNNING", SAME, []),
        ("RUNNING", OTHER, ["stop worker", "start worker"]),
        ("STOPPED", OTHER, ["start worker"]),
    ],
)
def test_a_worker_is_restarted_only_for_other_options(run_worker, state, options, calls):
    assert run_worker(state, options).calls == calls


@pytest.mark.parametrize("options", [SAME, OTHER])
def test_a_worker_that_is_still_stopping_is_started_after_its_end(run_worker, options):
    assert run_worker("STOPPING", options).calls == ["start worker"]
