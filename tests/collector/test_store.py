"""Each execution is stored once and with its video; what was missed is counted; a video ends with its last message."""

import pytest
from sqlalchemy import func, select

from collector.assignment import assign_waiting
from collector.store import Source, position, store
from core.models import ExecutionRow, OtherExecutionRow, RunRow, SpoolRow, VideoRow
from core.run import END_OF_VIDEO, EndOfVideo
from tests.collector.records import page, record


def add(sessions, one_page, at=150.0):
    with sessions.begin() as session:
        return store(session, one_page, Source("w:9101", at))


def stored(sessions):
    with sessions() as session:
        rows = session.scalars(select(ExecutionRow).order_by(ExecutionRow.spool_number))
        return [(row.video_id, row.spool_number, row.outcome) for row in rows]


def video(sessions, video_id="v1"):
    with sessions() as session:
        row = session.get(VideoRow, video_id)
        return row.state, row.started_at, row.updated_at


def test_an_execution_is_stored_with_its_video_its_slot_and_its_times(sessions):
    assert add(sessions, page(record(1, slot=3))).added == 1
    with sessions() as session:
        row = session.scalars(select(ExecutionRow)).one()
    assert (row.run_id, row.video_id, row.worker, row.node, row.slot) == ("r", "v1", "s", "celery@w", 3)
    assert (row.started_at, row.ended_at, row.outcome, row.task, row.task_id) == (
        101.0,
        101.5,
        "done",
        "app.process",
        "t1",
    )
    assert (row.queue_wait_seconds, row.cpu_seconds, row.stage_seconds) == (0.25, 0.4, {"ffmpeg": 0.3})
    assert video(sessions) == ("done", 101.0, 101.5)


def test_a_collector_that_ends_in_the_middle_of_a_page_reads_it_again_and_adds_each_record_once(sessions):
    whole = page(record(1), record(2), record(3))
    with pytest.raises(KeyboardInterrupt), sessions.begin() as session:
        store(session, whole, Source("w:9101", 150.0))
        session.flush()
        raise KeyboardInterrupt
    with sessions() as session:
        assert position(session, "s") == 0
    assert add(sessions, whole).added == 3
    assert [number for _, number, _ in stored(sessions)] == [1, 2, 3]


def test_stages_with_our_names_or_their_usual_ones_fill_the_columns_of_the_report(sessions):
    add(sessions, page(record(1, stages={"download": 1.0, "fetch": 0.5, "transcode": 3.0, "thumbnail": 0.25})))
    with sessions() as session:
        row = session.scalars(select(ExecutionRow)).one()
    assert (row.fetch_seconds, row.transcode_seconds, row.probe_seconds, row.publish_seconds) == (1.5, 3.0, None, None)


def test_a_page_that_is_read_again_adds_nothing(sessions):
    first = page(record(1), record(2))
    assert (add(sessions, first).added, add(sessions, first).added) == (2, 0)
    assert add(sessions, page(record(2), record(3))).added == 1
    assert [number for _, number, _ in stored(sessions)] == [1, 2, 3]


def test_a_collector_that_dies_in_the_middle_of_a_page_stores_it_once_after_its_restart(sessions):
    class Killed(Exception):
        pass

    with pytest.raises(Killed), sessions.begin() as session:
        store(session, page(record(1), record(2)), Source("w", 150.0))
        session.flush()
        raise Killed
    assert stored(sessions) == []
    add(sessions, page(record(1), record(2)))
    assert [number for _, number, _ in stored(sessions)] == [1, 2]


def test_records_that_left_the_full_spool_are_missed_by_the_active_run(sessions):
    result = add(
        sessions, page(*(record(number, root_id="t1", task_id="t1") for number in range(901, 1001)), oldest=901)
    )
    assert (result.added, result.missed) == (100, 900)
    with sessions() as session:
        assert session.get(RunRow, "r").executions_missed == 900
        assert (session.get(SpoolRow, "s").missed, position(session, "s")) == (900, 1000)
    assert add(sessions, page(oldest=1011, newest=1010)).missed == 10


def test_a_number_that_no_page_has_is_missed(sessions):
    assert add(sessions, page(record(1), record(3))).missed == 1


def test_a_run_that_ended_before_misses_nothing(sessions):
    with sessions.begin() as session:
        row = session.get(RunRow, "r")
        row.status, row.finished_at = "finished", 120.0
    add(sessions, page(record(9, ended_at=130.0), oldest=9))
    with sessions() as session:
        assert session.get(RunRow, "r").executions_missed == 0


def test_a_chain_belongs_to_the_video_of_its_root_and_ends_with_its_last_message(sessions):
    add(sessions, page(record(1, sent=["t1b", "t1c"])))
    assert video(sessions)[0] == "processing"
    add(sessions, page(record(2, task_id="t1b", root_id="t1"), spool="other"))
    assert video(sessions)[0] == "processing"
    add(sessions, page(record(2, task_id="t1c", root_id="t1", ended_at=140.0)))
    assert video(sessions) == ("done", 101.0, 140.0)


def test_a_chain_that_arrives_with_its_last_part_first_ends_when_its_first_part_arrives(sessions):
    add(sessions, page(record(1, task_id="t1b", root_id="t1", started_at=110.0, ended_at=120.0), spool="fast"))
    assert video(sessions)[0] == "processing"
    add(sessions, page(record(1, sent=["t1b"], started_at=101.0, ended_at=105.0)))
    assert video(sessions) == ("done", 101.0, 120.0)


def test_a_retry_by_the_app_belongs_to_the_same_video_whose_end_is_the_last(sessions):
    add(sessions, page(record(1, outcome="retried", sent=["t1"])))
    assert video(sessions)[0] == "processing"
    assert video(sessions)[1] == 101.0
    add(sessions, page(record(2, task_id="t1", root_id="t1", retries=1)))
    assert video(sessions) == ("done", 102.0, 102.5)


@pytest.mark.parametrize(("outcome", "state"), [("failed", "failed"), ("rejected", "failed"), ("lost", "processing")])
def test_the_end_of_an_execution_decides_the_state(sessions, outcome, state):
    add(sessions, page(record(1, outcome=outcome, reason="timeout")))
    assert video(sessions)[0] == state


def test_the_table_of_the_app_decides_where_it_is_declared(sessions):
    with sessions.begin() as session:
        session.get(RunRow, "r").environment = {END_OF_VIDEO: EndOfVideo.TABLE}
    add(sessions, page(record(1)))
    assert video(sessions) == ("uploaded", 101.0, 1.0)


def test_an_execution_whose_video_is_recorded_later_is_assigned_then(sessions):
    add(sessions, page(record(1, task_id="late", root_id="late")))
    assert stored(sessions) == []
    with sessions.begin() as session:
        session.get(VideoRow, "v2").task_id = "late"
    with sessions.begin() as session:
        assign_waiting(session, 160.0)
    assert stored(sessions) == [("v2", 1, "done")]
    assert video(sessions, "v2") == ("done", 101.0, 101.5)
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(OtherExecutionRow)) == 0


def test_work_of_others_keeps_no_identity_after_the_run(sessions):
    add(sessions, page(record(1, task_id="theirs", root_id="theirs")))
    with sessions.begin() as session:
        assign_waiting(session, 160.0)
    with sessions.begin() as session:
        assert session.get(OtherExecutionRow, ("s", 1)).root_id == "theirs"  # the run is active
        row = session.get(RunRow, "r")
        row.status, row.finished_at = "finished", 170.0
    with sessions.begin() as session:
        assign_waiting(session, 201.0)
    with sessions() as session:
        other = session.get(OtherExecutionRow, ("s", 1))
    assert (other.run_id, other.root_id, other.record) == ("r", None, None)
    assert (other.slot, other.started_at, other.ended_at) == (0, 101.0, 101.5)


def test_executions_outside_of_every_run_are_forgotten_after_an_hour(sessions):
    add(sessions, page(record(1, root_id="x", started_at=10.0, ended_at=20.0)))
    with sessions.begin() as session:
        assign_waiting(session, 3619.0)
        assert session.get(OtherExecutionRow, ("s", 1))
        assign_waiting(session, 3621.0)
    with sessions() as session:
        assert session.get(OtherExecutionRow, ("s", 1)) is None


def test_the_clock_of_a_worker_is_that_of_the_shortest_round_trip(sessions):
    with sessions.begin() as session:
        for offset, round_trip in ((2.0, 0.5), (1.5, 0.01), (9.0, 0.3)):
            store(session, page(), Source("w:9101", 150.0, offset, round_trip))
    with sessions() as session:
        spool = session.get(SpoolRow, "s")
    assert (spool.clock_offset_seconds, spool.complete_at) == (1.5, 150.0)
