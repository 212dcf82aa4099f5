"""One message cannot end the collector: a value that no database can store is replaced, counted, and read past."""

import json

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from collector.executions_file import import_file
from collector.metrics import CollectorMetrics
from collector.page import InvalidPage, parse
from collector.reading import Reading
from collector.round import Round
from collector.store import position
from core.errors import UsageError
from core.models import ExecutionRow, OtherExecutionRow
from testing.rows import video_row
from tests.collector.lab import active_run
from tests.collector.records import page, record

HEAD = {"spool": "s", "served_by": "s", "node": "n", "oldest": 1, "newest": 2, "clock": 1.0, "dead_spools": []}
#: what a message can set in the record of its execution, and how it is stored
HOSTILE = {
    "shadow with a surrogate": ({"task": "\ud800"}, {"task": "\ufffd"}),
    "shadow with NUL": ({"task": "a\0b"}, {"task": "a\ufffdb"}),
    "long shadow": ({"task": "x" * 300}, {"task": "x" * 255}),
    "retries beyond 64 bits": ({"retries": 10**30}, {"retries": 2**31 - 1}),
    "retries beyond 32 bits": ({"retries": -(2**40)}, {"retries": 1 - 2**31}),
    "receive count": ({"receive_count": 10**30}, {"receive_count": 2**31 - 1}),
    "slot": ({"slot": 10**30}, {"slot": 2**31 - 1}),
    "long reason": ({"outcome": "failed", "reason": "y" * 99}, {"reason": "y" * 32}),
    "reason with NUL": ({"reason": "\0"}, {"reason": "\ufffd"}),
    "infinite wait": ({"queue_wait_seconds": float("inf")}, {"queue_wait_seconds": None}),
    "huge wait": ({"queue_wait_seconds": 10**400}, {"queue_wait_seconds": None}),
    "no CPU time": ({"cpu_seconds": float("nan")}, {"cpu_seconds": None}),
    "stages": ({"stages": {"\ud800": 1, "a": "x", "b": float("nan")}}, {"stage_seconds": {"\ufffd": 1.0}}),
    "known stage of text": ({"stages": {"fetch": "x"}}, {"stage_seconds": {}, "fetch_seconds": None}),
    "ids of sent messages": ({"sent": ["\ud800", {}, None, "t1"]}, {"sent_task_ids": ["\ufffd", "t1"]}),
}
ROOTS = {"surrogate": ("\ud800", "\ufffd"), "NUL": ("\0", "\ufffd"), "long": ("r" * 10_000, "r" * 255)}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def sessions(request, tmp_path):
    url = f"sqlite:///{tmp_path}/aforo.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    with active_run(url) as opened:
        with opened.begin() as session:
            session.add(video_row(id="v1", task_id="t1", uploaded_at=100.0))
        yield opened


def run_round(sessions, *records):
    """Read the records from a worker, as the collector does. Return the registry of its metrics."""
    registry = CollectorRegistry()
    body = json.dumps({**HEAD, "records": records, "newest": len(records)}).encode()
    reading = Round(sessions, CollectorMetrics(registry), lambda *_: Reading(parse(body), 150.0, 0.01))
    reading.run(["a"], now=150.0)
    return registry


def assert_all_stored(sessions, registry, altered=1):
    with sessions() as session:
        assert position(session, "s") == 2
    assert registry.get_sample_value("aforo_collector_executions_total") == 2
    assert registry.get_sample_value("aforo_collector_executions_altered_total") == altered
    assert registry.get_sample_value("aforo_collector_last_success_timestamp_seconds") == 150.0


@pytest.mark.parametrize("case", HOSTILE)
def test_an_execution_of_a_video_is_stored_without_what_no_database_can_store(case, sessions):
    changes, expected = HOSTILE[case]
    registry = run_round(sessions, record(1, task_id="t1", root_id="t1", **changes), record(2))
    assert_all_stored(sessions, registry)
    with sessions() as session:
        row = session.scalars(select(ExecutionRow)).one()
        assert {name: getattr(row, name) for name in expected} == expected


@pytest.mark.parametrize("root", ROOTS)
def test_an_execution_with_an_impossible_root_waits_under_a_root_that_can_be_stored(root, sessions):
    sent, stored = ROOTS[root]
    registry = run_round(sessions, record(1, root_id=sent, task_id="u"), record(2))
    assert_all_stored(sessions, registry)
    with sessions() as session:
        assert session.get(OtherExecutionRow, ("s", 1)).root_id == stored


def test_a_record_that_an_older_collector_stored_as_it_came_is_assigned_too(sessions):
    with sessions.begin() as session:
        hostile = record(1, task_id="t1", root_id="t1", retries=10**30, task="\ud800", run=None)
        session.add(
            OtherExecutionRow(
                spool="old", number=1, root_id="t1", record=hostile, node="n", slot=0, started_at=101.0, ended_at=102.0
            )
        )
    run_round(sessions, record(1, root_id="u"), record(2))
    with sessions() as session:
        assert session.scalars(select(ExecutionRow)).one().retries == 2**31 - 1


def test_records_that_every_database_can_store_are_not_altered(sessions):
    assert_all_stored(sessions, run_round(sessions, record(1), record(2)), altered=0)


@pytest.mark.parametrize(
    "head",
    [
        {"spool": "\ud800"},
        {"node": "a\0"},
        {"dead_spools": ["\0"]},
        {"newest": 10**30},
        {"oldest": -1},
        {"clock": float("nan")},
        {"newest": float("inf")},
        {"records": [record(2**63)]},
        {"records": [record(1, started_at=10**400)]},
        {"records": [record(1, ended_at=float("nan"))]},
    ],
)
def test_a_page_with_an_impossible_head_number_or_time_is_refused(head):
    with pytest.raises(InvalidPage):
        parse(json.dumps({**HEAD, "records": [], **head}).encode())


def test_a_deeply_nested_answer_is_refused():
    with pytest.raises(InvalidPage, match="RecursionError"):
        parse(b"[" * 100_000)


@pytest.mark.parametrize("error", [UnicodeError("u"), OverflowError("o"), TypeError("t"), KeyError("k")])
def test_an_unexpected_value_of_one_worker_does_not_keep_the_others_from_being_read(error, sessions):
    def read(address, *_):
        if address == "bad":
            raise error
        return Reading(page(record(1)), 150.0, 0.01)

    registry = CollectorRegistry()
    Round(sessions, CollectorMetrics(registry), read).run(["bad", "good"], now=150.0)
    assert registry.get_sample_value("aforo_collector_errors_total", {"reason": "invalid"}) == 1
    assert registry.get_sample_value("aforo_collector_executions_total") == 1


def test_a_file_with_impossible_values_is_imported_and_one_of_an_impossible_worker_is_refused(sessions, tmp_path):
    file = tmp_path / "executions.jsonl"
    hostile = record(1, task_id="t1", root_id="t1", task="\ud800", retries=10**30)
    file.write_text(json.dumps(hostile | {"spool": "s", "node": "n"}) + "\n")
    assert import_file(sessions, file).added == 1
    file.write_text(json.dumps(record(1) | {"spool": "s", "node": "\ud800"}) + "\n")
    with pytest.raises(UsageError, match="line 1"):
        import_file(sessions, file)
