"""A spool keeps the newest records, counts the lost ones, and survives its process and its disk."""

import json
import os
import subprocess
import sys

import pytest

from aforo.executions import folder, segment
from aforo.executions.page import ExecutionsPage
from aforo.executions.spool import Spool
from testing.emulator import ROOT

OWNER = {"node": "celery@host"}


def filled(path, count, **options):
    spool = Spool(path, **options)
    for number in range(1, count + 1):
        spool.append({"task_id": f"t{number}"})
    spool.write_waiting()
    return spool


def ids(lines):
    return [json.loads(line)["task_id"] for line in lines]


def answer(page, query):
    status = []
    body = b"".join(page({"QUERY_STRING": query}, lambda code, _headers: status.append(code)))
    return json.loads(body) if status == ["200 OK"] else (status[0], body)


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_full_spool_keeps_exactly_the_newest_records_and_counts_the_others_as_lost(tmp_path, on_disk):
    lost = []
    spool = filled(tmp_path if on_disk else None, 1000, max_records=100, on_lost=lost.append)
    kept = spool.after(0, 1 << 20)
    assert (kept.oldest, kept.newest, sum(lost)) == (901, 1000, 900)
    assert ids(kept.lines) == [f"t{number}" for number in range(901, 1001)]
    assert not on_disk or len(list(tmp_path.iterdir())) <= 10


def test_a_record_that_somebody_has_read_is_not_lost(tmp_path):
    lost = []
    spool = filled(tmp_path, 60, max_records=100, on_lost=lost.append)
    assert len(spool.after(0, 1 << 20).lines) == 60
    for number in range(61, 201):
        spool.append({"task_id": f"t{number}"})
    spool.write_waiting()
    assert sum(lost) == 40  # 61 to 100


def test_a_spool_that_is_full_of_bytes_drops_its_oldest_records(tmp_path):
    lost = []
    spool = Spool(tmp_path, max_bytes=80_000, on_lost=lost.append)
    for _ in range(100):
        spool.append({"stages": "x" * 2000})
    spool.write_waiting()
    kept = spool.after(0, 1 << 30)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 80_000
    assert sum(lost) == kept.oldest - 1 == 100 - len(kept.lines) > 50


@pytest.mark.parametrize("page_bytes", [1, 100, 1000, 1 << 20])
def test_pages_of_any_size_give_every_record_once(tmp_path, page_bytes):
    spool, read, last = filled(tmp_path, 90, max_records=1000), [], 0
    while (piece := spool.after(last, page_bytes)).lines:
        assert len(piece.lines) == 1 or sum(map(len, piece.lines)) <= page_bytes
        read += ids(piece.lines)
        last = json.loads(piece.lines[-1])["number"]
    assert read == [f"t{number}" for number in range(1, 91)]


def test_records_that_the_disk_does_not_take_stay_in_memory(tmp_path, monkeypatch):
    errors = []
    spool = filled(tmp_path, 5, on_disk_error=lambda: errors.append(1))

    class FullDisk(segment.io.FileIO):
        def write(self, line):
            return super().write(line[:7])

    monkeypatch.setattr(spool._segments[-1], "_file", FullDisk(spool._segments[-1]._path, "r+"))
    spool.append({"task_id": "t6"})
    spool.append({"task_id": "t7"})
    spool.write_waiting()
    assert ids(spool.after(0, 1 << 20).lines) == [f"t{number}" for number in range(1, 8)]
    assert errors == [1]


def test_the_writing_thread_writes_what_is_appended(tmp_path):
    from testing.polling import until  # noqa: PLC0415

    spool = Spool(tmp_path)
    spool.start()
    spool.append({"task_id": "t1"})
    assert until(lambda: ids(spool.after(0, 1000).lines), "the record on disk") == ["t1"]


def test_a_page_names_its_spool_and_begins_anew_for_another_id(tmp_path):
    page = ExecutionsPage("a1", OWNER, filled(tmp_path, 4), None, clock=lambda: 7.0)
    first = answer(page, "spool=a1&after=2")
    head = {
        "spool": "a1",
        "served_by": "a1",
        "node": "celery@host",
        "oldest": 1,
        "newest": 4,
        "clock": 7.0,
        "dead_spools": [],
    }
    assert {key: first[key] for key in head} == head
    assert [record["number"] for record in first["records"]] == [3, 4]
    assert [record["number"] for record in answer(page, "spool=gone&after=3")["records"]] == [1, 2, 3, 4]
    assert answer(page, "spool=a1&after=4")["records"] == []
    assert answer(page, "after=-1") == ("400 Bad Request", b"after is the number of a record\n")


def test_the_largest_page_is_not_larger_than_one_mebibyte(tmp_path):
    spool = Spool(tmp_path)
    for _ in range(3000):
        spool.append({"stages": "x" * 1000})
    spool.write_waiting()
    body = b"".join(ExecutionsPage("a1", OWNER, spool, None)({"QUERY_STRING": ""}, lambda *_: None))
    assert 900_000 < len(body) <= 1 << 20


KILLED = """
import os, signal, sys
from pathlib import Path
from aforo.executions.folder import claim
from aforo.executions.spool import Spool
spool = Spool(claim(Path(sys.argv[1]), "dead", {"node": "celery@dead"}), max_records=20)
for number in range(1, 31):
    spool.append({"task_id": f"t{number}"})
spool.write_waiting()
open(spool._segments[-1]._path, "ab").write(b'{"number":31,"task')
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
print(flush=True)
sys.stdin.read()
"""


def test_the_spool_of_a_killed_process_is_served_by_another_worker(tmp_path):
    base = tmp_path / "spools"
    subprocess.run([sys.executable, "-c", KILLED, str(base), "killed"], cwd=ROOT, check=False)
    own = folder.claim(base, "own", OWNER)
    page = ExecutionsPage("own", OWNER, filled(own, 2), base)
    assert answer(page, "spool=own&after=2")["dead_spools"] == ["dead"]
    dead = answer(page, "spool=dead&after=25")
    assert (dead["spool"], dead["served_by"], dead["node"]) == ("dead", "own", "celery@dead")
    assert (dead["oldest"], dead["newest"]) == (11, 30)
    assert [record["number"] for record in dead["records"]] == [26, 27, 28, 29, 30]
    os.utime(base / "dead" / "lock", (1, 1))
    for file in (base / "dead").iterdir():
        os.utime(file, (1, 1))
    folder.claim(base, "next", OWNER)
    assert not (base / "dead").exists()  # older than a day


def test_the_spool_of_a_living_process_is_its_own(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path / "spools"), "lives"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert folder.dead_spools(tmp_path / "spools", "own") == []
        process.stdin.close()
    assert [spool.id for spool in folder.dead_spools(tmp_path / "spools", "own")] == ["dead"]


def test_a_folder_that_others_may_write_is_not_used(tmp_path):
    base = tmp_path / "spools"
    base.mkdir()
    base.chmod(0o777)
    assert folder.claim(base, "own", OWNER) is None
