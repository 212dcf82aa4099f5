"""Without a run id, the newest run of the own queue is meant."""

from __future__ import annotations

from capacity.runs.recorded_run import find_run, newest_run_id
from tests.capacity.store import open_store, run_row


def test_the_newest_run_of_a_queue_is_found_beside_newer_ones_of_others(tmp_path):
    sessions = open_store(tmp_path / "a.db")
    with sessions.begin() as session:
        for number, queue in enumerate(("video", "video", "audio")):
            session.add(run_row(f"r{number}", count=1, created_at=1000.0 + number))
            session.flush()
            find_run(session, f"r{number}").environment = {"queue": queue}
    with sessions() as session:
        assert newest_run_id(session, "video") == "r1"
        assert newest_run_id(session, "audio") == "r2"
        assert newest_run_id(session, "other") is None
        assert find_run(session, newest_run_id(session, "other")).id == "r2"


def test_a_run_of_an_unknown_queue_counts_for_each(tmp_path):
    sessions = open_store(tmp_path / "a.db")
    with sessions.begin() as session:
        session.add(run_row("old", count=1))
        session.flush()
        find_run(session, "old").environment = {}
    with sessions() as session:
        assert newest_run_id(session, "video") == "old"
