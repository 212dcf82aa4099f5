"""How a stack comes up over what an earlier command left, with a supervisord that is a fake."""

from pathlib import Path

import pytest

from core.settings import Settings
from local import configuration, stack
from local.programs import Program
from local.supervisor import Process

WORKER = Program("worker", 9101, "AFORO_WORKER_METRICS_PORT")


class Supervisord:
    """Ends a worker that was asked to stop after it has been looked at three times; refuses to start one before."""

    def __init__(self, state):
        self.state, self.looks, self.asked = state, 0, []

    def processes(self):
        if self.state == "STOPPING":
            self.looks += 1
            self.state = "STOPPED" if self.looks > 3 else "STOPPING"
        return {"worker": Process("worker", self.state, 7 * (self.state != "STOPPED"), 0.0)}

    def start(self, name):
        self.asked.append(f"start {name}")
        self.state = "RUNNING" if self.state == "STOPPED" else self.state

    def stop(self, name):
        self.asked.append(f"stop {name}")
        self.state = "STOPPING"


@pytest.fixture
def run_worker(tmp_path, monkeypatch):
    """What the worker's state is before, and its options; then bring it up with two slots; return the fake."""

    def run(state, told):
        fake = Supervisord(state)
        monkeypatch.setattr(configuration, "WORKER_OPTIONS", tmp_path / "worker.env")
        Path(tmp_path / "worker.env").write_text(told)
        monkeypatch.setattr(stack, "supervisor", fake)
        monkeypatch.setattr(stack, "WORKER_SECONDS", 1.0)
        monkeypatch.setattr(stack.readiness, "worker_slots", lambda _worker: 2 if fake.state == "RUNNING" else None)
        stack._run_worker(WORKER, Settings(), stack.WorkerOptions(2, "full", 0))
        return fake

    return run


OTHER, SAME = configuration.worker_options(1, "full", 0), configuration.worker_options(2, "full", 0)


@pytest.mark.parametrize(
    ("state", "told", "asked"),
    [
        ("RUNNING", SAME, []),
        ("RUNNING", OTHER, ["stop worker", "start worker"]),
        ("STOPPED", OTHER, ["start worker"]),
    ],
)
def test_a_worker_is_restarted_only_for_other_options(run_worker, state, told, asked):
    assert run_worker(state, told).asked == asked


@pytest.mark.parametrize("told", [SAME, OTHER])
def test_a_worker_that_a_killed_command_was_stopping_is_started_when_it_has_ended(run_worker, told):
    assert run_worker("STOPPING", told).asked == ["start worker"]
