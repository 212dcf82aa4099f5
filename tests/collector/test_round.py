"""A round reads every worker to its newest record, whatever the other workers do."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from collector.metrics import CollectorMetrics
from collector.page import InvalidPage, parse
from collector.reading import NotRecorded, Reading, Unreachable, read
from collector.round import Round
from core.models import ExecutionRow, RunRow
from testing.ports import free_port
from tests.collector.records import page, record

HEAD = {"spool": "s", "served_by": "s", "node": "n", "oldest": 1, "newest": 2, "clock": 1.0, "dead_spools": []}


class Workers:
    """Fake workers: pages by address and spool, or an exception to raise."""

    def __init__(self, page_size=2):
        self.spools, self.current, self.asked, self.page_size = {}, {}, [], page_size

    def answer(self, address, spool, *records, **head):
        self.spools[address, spool] = (records, head)
        self.current[address] = spool

    def __call__(self, address, spool, after):
        self.asked.append((address, spool, after))
        if isinstance(self.current[address], Exception):
            raise self.current[address]
        if (address, spool) not in self.spools:
            spool, after = self.current[address], 0
        records, head = self.spools[address, spool]
        newest = records[-1]["number"] if records else 0
        some = [each for each in records if each["number"] > after][: self.page_size]
        return Reading(page(*some, spool=spool, served_by=self.current[address], newest=newest, **head), 150.0, 0.01)


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def workers():
    return Workers()


@pytest.fixture
def reading(sessions, registry, workers):
    return Round(sessions, CollectorMetrics(registry), workers)


def count(sessions):
    with sessions() as session:
        return session.scalar(select(func.count()).select_from(ExecutionRow))


def errors(registry, reason):
    return registry.get_sample_value("aforo_collector_errors_total", {"reason": reason})


def own(*numbers):
    return [record(number, task_id="t1", root_id="t1") for number in numbers]


def test_all_pages_of_all_workers_are_read_and_then_only_what_is_new(sessions, registry, workers, reading):
    workers.answer("a", "sa", *own(1, 2, 3, 4, 5))
    workers.answer("b", "sb", *own(1))
    reading.run(["a", "b"], now=150.0)
    assert count(sessions) == 6
    workers.answer("a", "sa", *own(1, 2, 3, 4, 5, 6))
    workers.asked.clear()
    reading.run(["a", "b"], now=151.0)
    assert count(sessions) == 7
    assert sorted(workers.asked) == [("a", "sa", 5), ("b", "sb", 1)]
    assert registry.get_sample_value("aforo_collector_workers") == 2
    assert registry.get_sample_value("aforo_collector_executions_total") == 7
    assert registry.get_sample_value("aforo_collector_last_success_timestamp_seconds") == 151.0


def test_a_collector_that_starts_again_reads_on(sessions, registry, workers, reading):
    workers.answer("a", "sa", *own(1, 2, 3))
    reading.run(["a"], now=150.0)
    workers.asked.clear()
    Round(sessions, CollectorMetrics(CollectorRegistry()), workers).run(["a"], now=151.0)
    assert workers.asked == [("a", "sa", 3)]
    assert count(sessions) == 3


def test_a_restarted_worker_is_read_from_its_oldest_record_and_so_is_its_dead_process(sessions, workers, reading):
    workers.answer("a", "old", *own(1, 2))
    reading.run(["a"], now=150.0)
    workers.answer("a", "old", *own(1, 2, 3, 4))  # two more ended before it was killed
    workers.answer("a", "new", *own(1), dead_spools=["old"])
    reading.run(["a"], now=151.0)
    assert count(sessions) == 5
    workers.asked.clear()
    reading.run(["a"], now=152.0)
    assert workers.asked == [("a", "new", 1)]


def test_an_address_behind_which_workers_take_turns_is_refused(sessions, registry, workers, reading):
    for spool in ("s1", "s2", "s1"):
        workers.spools.clear()
        workers.answer("balanced", spool, *own(1))
        reading.run(["balanced"], now=150.0)
    assert errors(registry, "balanced") == 1


def test_a_worker_that_does_not_answer_or_records_nothing_delays_no_other(sessions, registry, workers, reading, caplog):
    workers.answer("good", "s", *own(1))
    workers.current |= {"gone": Unreachable("gone"), "ours": NotRecorded(), "odd": InvalidPage("odd")}
    for now in (150.0, 151.0):
        reading.run(["gone", "ours", "odd", "good"], now=now)
    assert count(sessions) == 1
    assert (errors(registry, "unreachable"), errors(registry, "invalid")) == (2, 2)
    assert registry.get_sample_value("aforo_collector_workers") == 1
    assert len([r for r in caplog.records if r.levelname == "WARNING"]) == 2  # once each, not once per round


def test_while_the_database_is_gone_nothing_is_lost(sessions, registry, workers, reading, monkeypatch):
    workers.answer("a", "sa", *own(1, 2, 3))
    begin = reading._sessions.begin

    def refuse():
        raise OperationalError("BEGIN", {}, Exception("no connection"))

    monkeypatch.setattr(reading._sessions, "begin", refuse)
    reading.run(["a"], now=150.0)
    assert errors(registry, "database") == 2  # the worker's page, and the assignment
    monkeypatch.setattr(reading._sessions, "begin", begin)
    reading.run(["a"], now=151.0)
    assert count(sessions) == 3


def test_what_the_worker_could_not_keep_is_counted(sessions, registry, workers, reading):
    workers.answer("a", "sa", *own(901, 902, 903), oldest=901)
    reading.run(["a"], now=150.0)
    assert registry.get_sample_value("aforo_collector_executions_missed_total") == 900
    with sessions() as session:
        assert session.get(RunRow, "r").executions_missed == 900


@pytest.mark.parametrize(
    "body",
    [b"", b"# HELP", b"[]", b"{}", b'{"spool": 1}', json.dumps({**HEAD, "records": [{"number": 1}]}).encode()],
)
def test_an_answer_that_is_no_page_is_refused(body):
    with pytest.raises(InvalidPage):
        parse(body)


def test_numbers_that_do_not_increase_are_refused():
    with pytest.raises(InvalidPage, match="increase"):
        parse(json.dumps({**HEAD, "records": [record(2), record(2)]}).encode())


@pytest.fixture
def server():
    """An HTTP server that answers every path with `server.answer`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = self.server.answer
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    http_server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http_server.serve_forever, daemon=True).start()
    yield http_server
    http_server.shutdown()
    http_server.server_close()


def test_the_client_tells_a_worker_without_records_from_one_that_is_gone(server):
    address = f"127.0.0.1:{server.server_port}"
    server.answer = 404, b""
    with pytest.raises(NotRecorded):
        read(address, "", 0)
    server.answer = 500, b""
    with pytest.raises(InvalidPage, match="500"):
        read(address, "", 0)
    with pytest.raises(Unreachable):
        read(f"127.0.0.1:{free_port()}", "", 0)
    server.answer = 200, json.dumps(vars(page(record(1)))).encode()
    assert read(address, "", 0).page.records[0]["task_id"] == "t1"
