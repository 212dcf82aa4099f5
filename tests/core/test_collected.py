"""A run is analysed after the collector has read each worker to its newest execution."""

import threading
import time

import pytest

from core import database
from core.collected import wait_until_collected
from core.models import SpoolRow
from testing.rows import run_row


@pytest.fixture
def sessions(tmp_path):
    engine = database.open_engine(f"sqlite:///{tmp_path}/aforo.db")
    database.upgrade_schema(engine)
    opened = database.open_sessions(engine)
    with opened.begin() as session:
        session.add(run_row(executions_missed=0))
    yield opened
    engine.dispose()


def read(sessions, spool_id, read_at, complete_at, address="a:1"):
    with sessions.begin() as session:
        row = SpoolRow(id=spool_id, node="w", address=address, last_number=1, missed=0, read_at=read_at)
        row.complete_at = complete_at
        session.merge(row)


def test_a_worker_that_was_read_before_now_is_waited_for(sessions):
    long_ago, later = time.time() - 3600, time.time() + 3600
    read(sessions, "gone", long_ago, long_ago)
    read(sessions, "dead", time.time() - 2, long_ago)
    read(sessions, "here", time.time(), long_ago)
    read(sessions, "other", later, later, address="b:1")
    assert wait_until_collected(sessions, "r", timeout_seconds=0) is False
    reader = threading.Timer(0.1, read, (sessions, "here", later, later))
    reader.start()
    assert wait_until_collected(sessions, "r") is True
    reader.join()


def test_without_any_worker_read_the_wait_ends_and_says_so(sessions):
    assert wait_until_collected(sessions, "r", timeout_seconds=0) is False


def test_a_run_of_the_reference_worker_needs_no_collector(sessions):
    with sessions.begin() as session:
        session.add(run_row(id="ours"))
    assert wait_until_collected(sessions, "ours", timeout_seconds=0) is True
