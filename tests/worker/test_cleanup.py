"""Clean-up after a killed worker: what cannot be deleted is logged and counted once."""

from __future__ import annotations

import os

import pytest

from aforo.telemetry import event_channel
from worker import cleanup


class Channel:
    def __init__(self):
        self.events = []

    def send(self, event):
        self.events.append(event)


@pytest.fixture
def channel():
    channel = Channel()
    event_channel.use(channel)
    yield channel
    event_channel.use(None)


def fill(folder):
    for name in ("4000001", "4000002"):  # above the largest process id
        (folder / name).mkdir()
        (folder / name / "input.mp4").write_bytes(b"half")
    (folder / cleanup.LOCK).touch()


@pytest.mark.parametrize("clean_up", [cleanup.clean_up_work_folder, cleanup.clean_up_dead_slots])
def test_the_work_files_of_a_killed_worker_are_deleted(clean_up, tmp_path, channel, caplog):
    fill(tmp_path)
    clean_up(tmp_path)
    assert os.listdir(tmp_path) == [cleanup.LOCK]
    assert (channel.events, caplog.messages) == ([], [])


@pytest.mark.parametrize("clean_up", [cleanup.clean_up_work_folder, cleanup.clean_up_dead_slots])
def test_work_files_that_cannot_be_deleted_are_logged_and_counted_once(
    clean_up, tmp_path, channel, caplog, monkeypatch
):
    fill(tmp_path)
    monkeypatch.setattr(cleanup.shutil, "rmtree", lambda _folder, ignore_errors: None)
    clean_up(tmp_path)
    assert channel.events == [{"kind": "handled_error", "operation": "clean_up"}]
    (line,) = caplog.messages
    assert line.startswith(f"could not delete 2 leftovers of a killed process, such as {tmp_path}/400000")
