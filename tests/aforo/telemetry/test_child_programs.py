"""An error of the measurement of a task's programs is logged and counted, and is never an error of the task."""

from __future__ import annotations

from aforo.telemetry import child_programs, event_channel


def test_a_program_that_cannot_be_measured_is_counted_and_the_task_goes_on_also_in_strict_mode(monkeypatch, caplog):
    def fail(*_arguments):
        raise RuntimeError("a defect of the measurement")

    errors, started = [], []
    monkeypatch.setenv("AFORO_STRICT", "1")
    monkeypatch.setattr(event_channel, "handled_error", lambda operation: errors.append(str(operation)))
    monkeypatch.setattr(child_programs, "_note_start", fail)
    child_programs._started_after(lambda _self, arguments: started.append(arguments))(None, ["ffmpeg"])
    assert (started, errors) == ([["ffmpeg"]], ["telemetry_event"])
    assert caplog.messages == ["a program of a task could not be measured"]
