from io import StringIO

import pytest
from rich.console import Console
from sqlalchemy import update

from core import lost_videos
from core.database import open_engine, open_sessions, upgrade_schema
from core.errors import RunFailed
from core.lost_videos import Look, LossWatch
from core.models import RunRow, VideoRow
from injector import monitor
from injector.monitor import Display, RunProgress, StallWarning, follow
from testing.rows import run_row, video_row

NO_LOSS = LossWatch(lambda: None, 0)


@pytest.fixture
def sessions(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/a.db")
    upgrade_schema(engine)
    sessions = open_sessions(engine)
    with sessions.begin() as session:
        session.add(run_row(count=2))
        session.flush()
        session.add_all(video_row(id=f"v{k}", sequence=k) for k in range(2))
    return sessions


def settle(sessions, **values):
    with sessions.begin() as session:
        session.execute(update(VideoRow).values(state="done"))
        session.execute(update(RunRow).values(**values)) if values else None


def test_the_monitor_ends_with_the_last_video_and_prints_lines_without_a_terminal(sessions, capsys):
    settle(sessions)
    follow(sessions, "r", NO_LOSS)
    assert capsys.readouterr().err == "r: terminados 2/2\n"


def test_the_monitor_ends_when_the_run_was_ended(sessions):
    with sessions.begin() as session:
        session.execute(update(RunRow).values(status="interrupted"))
    with pytest.raises(RunFailed, match="2 of 2 videos open"):
        follow(sessions, "r", NO_LOSS)


def test_the_monitor_ends_when_the_queue_has_lost_the_videos(sessions, monkeypatch):
    monkeypatch.setattr(lost_videos, "SHORTEST_SILENCE_SECONDS", 0)
    monkeypatch.setattr(lost_videos, "LOOK_SECONDS", 0)
    losses = LossWatch(lambda: Look(messages=0, dead_letters=0, open_videos=2, live_claims=0), 0)
    with pytest.raises(RunFailed, match="2 of 2 videos were lost by the queue"):
        follow(sessions, "r", losses)


def test_videos_that_an_app_never_ends_end_the_run_as_interrupted(sessions, capsys):
    with sessions.begin() as session:
        session.execute(update(VideoRow).where(VideoRow.id == "v0").values(state="done"))
    follow(sessions, "r", stuck_seconds=0)
    with sessions() as session:
        assert session.get_one(RunRow, "r").status == "interrupted"
    assert "1 videos never ended" in capsys.readouterr().err


def test_while_a_shared_queue_holds_messages_the_loss_is_unknown_and_the_run_ends_as_interrupted(sessions, capsys):
    losses = LossWatch(lambda: Look(messages=9, dead_letters=0, open_videos=2, live_claims=0), 0)
    follow(sessions, "r", losses, stuck_seconds=0)
    with sessions() as session:
        assert session.get_one(RunRow, "r").status == "interrupted"
    assert "2 videos never ended, and whether the queue lost them is unknown" in capsys.readouterr().err


def test_an_unreachable_database_is_a_note_and_is_waited_for(sessions, monkeypatch):
    settle(sessions)
    notes, broken = [], [True]

    class Flaky:
        def begin(self):
            return open_sessions(open_engine("sqlite://" if broken.pop() else "")).begin()

    assert monitor._run_progress(Flaky(), "r", notes.append) is None
    assert notes == ["note: the database does not answer (OperationalError); the videos continue"]
    assert monitor._run_progress(sessions, "r", notes.append) == RunProgress({"done": 2}, 2, "running", 1)


def test_a_stall_is_reported_after_half_a_minute_and_then_at_growing_intervals():
    now, notes = [0.0], []
    stall_warning = StallWarning(notes.append, clock=lambda: now[0])
    for now[0] in range(200):
        stall_warning.update({"uploaded": 8})
    why = "it may be down, busy with other messages, or rejected by SQS; see `make status` and `make logs`"
    assert [line.split(" for ")[1] for line in notes] == [f"{seconds} s (8 wait): {why}" for seconds in (30, 60, 120)]


def test_a_long_video_is_no_stall():
    now, notes = [0.0], []
    stall_warning = StallWarning(notes.append, clock=lambda: now[0])
    for now[0] in range(500):
        stall_warning.update({"uploaded": 7, "processing": 1})
    assert notes == []


def test_one_line_is_printed_per_ten_percent(capsys):
    with Display("r") as display:
        for done in (0, 1, 2, 3, 30):
            display.show(RunProgress({"done": done, "uploaded": 30 - done}, 30))
    assert capsys.readouterr().err == "r: terminados 3/30 · 27 en cola\nr: terminados 30/30\n"


def test_on_80_columns_the_progress_line_has_bar_time_left_queue_and_busy_slots():
    console = Console(file=StringIO(), force_terminal=True, width=80, color_system=None)
    counts = {"done": 12, "uploaded": 980, "processing": 4, "failed": 4}
    with Display("20261127-051550-sustained-100mb-c4", "es", console) as display:
        display.show(RunProgress(counts, 1000, slots=4))
    name, *_, last = console.file.getvalue().replace("\r", "\n").splitlines()
    assert name == "20261127-051550-sustained-100mb-c4"
    lines = [line for line in console.file.getvalue().split("\n") if "980 en cola" in line]
    assert lines, last
    assert "16/1000" in lines[-1] and "quedan -:--:--" in lines[-1]
    assert lines[-1].rstrip().endswith("980 en cola · slots 4/4 · 4 fallidos")


def test_a_stalled_run_is_reported_on_the_terminal(capsys, monkeypatch):
    monkeypatch.setattr(monitor, "FIRST_WARNING_SECONDS", 0.0)
    with Display("r") as display:
        for _ in range(3):
            display.show(RunProgress({"uploaded": 8}, 8))
    assert capsys.readouterr().err.count("note: no worker has taken a video for 0 s (8 wait)") == 1
