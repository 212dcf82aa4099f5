"""Archives with a wrong value: one line names the file, the field and the value, and nothing is analysed."""

import csv
import json
import os

import numpy as np
import pytest

from capacity.analysis.load_and_analyse import analyse_archive
from capacity.runs.archive_reader import archived_figures
from capacity.runs.resource_samples import Resources
from capacity.runs.run_files import write_archive
from core.errors import UsageError
from core.models import RunRow
from tests.capacity.golden import ENDED, SLOT, STARTED
from tests.capacity.store import add_run, open_store, run_row

WORKER = {"worker": "mesa|1|2", "slots": 2, "cores": "2", "memory_bytes": "8e9", "ffmpeg": "5.1"}


@pytest.fixture
def folder(tmp_path):
    """Return the archive of a run of ten videos, whose environment has every part that the analysis reads."""
    environment = {
        "host": {"name": "mesa", "cpu_count": 2, "memory_bytes": 8e9},
        "workers": {"start": [WORKER], "end": [WORKER]},
        "messages": {"in_queue": 0, "dead_lettered": 0, "at": 2000.0},
        "app": {"name": "shop", "version": "1", "observed_ends": 0, "disagreements": 0, "instrumented": True},
        "other_work": {"executions": 0, "seconds": 0.0},
        "ceilings": {"disk_read": 1e9},
        "canary_before_seconds": 0.5,
    }
    sessions = open_store(tmp_path / "a.db")
    with sessions.begin() as session:
        add_run(session, run_row(count=10, environment=environment), STARTED, ENDED, slot=SLOT)
    with sessions() as session:
        resources = Resources(np.array([1000.0, 1001.0]), {"cores": np.array([2.0, np.nan])})
        write_archive(session, session.get_one(RunRow, "r1"), resources, tmp_path / "r1")
    return tmp_path / "r1"


def set_field(folder, name, value):
    """Replace the field with this dotted name in run.json."""
    run = json.loads((folder / "run.json").read_text())
    *parents, last = name.split(".")
    target = run
    for parent in parents:
        target = target[int(parent) if parent.isdigit() else parent]
    target[last] = value
    (folder / "run.json").write_text(json.dumps(run))


def set_cell(file, column, value, line=3):
    """Replace a cell of a CSV file. Line 1 is the header."""
    lines = [text.split(",") for text in file.read_text().splitlines()]
    lines[line - 1][lines[0].index(column)] = value
    file.write_text("\n".join(map(",".join, lines)) + "\n")


def test_the_unchanged_archive_is_analysed(folder):
    assert analyse_archive(folder).row.done == 10


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("mode", "evil", "burst or sustained"),
        ("mode", None, "burst or sustained"),
        ("status", "evil", "preparing"),
        ("slots", 0, "a whole number from 1"),
        ("slots", "x", "a whole number from 1"),
        ("slots", True, "a whole number from 1"),
        ("slots", 2.5, "a whole number from 1"),
        ("slots", 10**30, "a whole number from 1"),
        ("concurrency", -1, "a whole number from 1"),
        ("nodes", [], "a whole number from 1"),
        ("count", -3, "a whole number from 0"),
        ("size_label", "big", "a size such as 50MB"),
        ("size_bytes", "5", "a whole number from 0"),
        ("created_at", float("inf"), "seconds since 1970"),
        ("created_at", "yesterday", "seconds since 1970"),
        ("finished_at", -5.0, "seconds since 1970"),
        ("rate_per_minute", 0, "a number over 0"),
        ("window_seconds", float("nan"), "a number over 0"),
        ("source_seconds", {}, "a number over 0"),
        ("source_sha256", 5, "a text"),
        ("id", None, "a text"),
        ("profile", ["full"], "a text"),
        ("environment", None, "an object"),
        ("environment", [], "an object"),
        ("environment.host", "mesa", "an object"),
        ("environment.host.cpu_count", "two", "a number"),
        ("environment.workers", [], "an object"),
        ("environment.workers.start", {}, "a list of objects"),
        ("environment.workers.start.0.slots", "x", "a whole number from 1"),
        ("environment.workers.start.0.cores", "x", "a number as text"),
        ("environment.workers.start.0.memory_bytes", "1e400", "a number as text"),
        ("environment.workers.start.0.ffmpeg", ["5.1"], "a text"),
        ("environment.messages.at", "x", "seconds since 1970"),
        ("environment.messages.in_queue", -1, "a whole number from 0"),
        ("environment.app", "shop", "an object"),
        ("environment.app.observed_ends", "x", "a whole number from 0"),
        ("environment.other_work.executions", "x", "a whole number from 0"),
        ("environment.other_work.seconds", None, "a number from 0"),
        ("environment.ceilings.disk_read", "x", "a number from 0"),
        ("environment.canary_before_seconds", "x", "a number from 0"),
        ("executions_missed", "x", "a whole number from 0"),
        ("validity", 7, "a text"),
    ],
)
def test_a_wrong_field_of_run_json_is_named_with_its_value(folder, name, value, allowed):
    set_field(folder, name, value)
    with pytest.raises(UsageError, match=r"results/runs/RUN_ID as `report` wrote it$") as caught:
        analyse_archive(folder)
    assert f"{folder / 'run.json'}: {name} (" in str(caught.value)
    assert allowed in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_time_beyond_all_numbers_is_refused(folder):
    text = (folder / "run.json").read_text().replace('"created_at": 1000.0', '"created_at": 1e400')
    (folder / "run.json").write_text(text)
    with pytest.raises(UsageError, match=r"run\.json: created_at \(inf\); it must be seconds since 1970"):
        analyse_archive(folder)


@pytest.mark.parametrize(
    "text", [b"[]", b"null", b"5", b"{", b"[" * 100_000, b'{"id": ' + b"9" * 5000 + b"}", b"\xed\xa0\x80"]
)
def test_a_run_json_that_is_no_object_is_refused(folder, text):
    (folder / "run.json").write_bytes(text)
    with pytest.raises(UsageError, match=r"run\.json") as caught:
        analyse_archive(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [lambda run: run.pop("slots"), lambda run: run.update(colour="red")])
def test_a_missing_or_unknown_field_is_named(folder, change):
    run = json.loads((folder / "run.json").read_text())
    change(run)
    (folder / "run.json").write_text(json.dumps(run))
    with pytest.raises(UsageError, match=r"run\.json: (slots|colour); (it is missing|this version does not know it)"):
        analyse_archive(folder)


@pytest.mark.parametrize(
    ("name", "column", "value", "allowed"),
    [
        ("videos.csv", "updated_at", "1e400", "a number from 0"),
        ("videos.csv", "uploaded_at", "nan", "a number from 0"),
        ("videos.csv", "uploaded_at", "", "a number from 0"),
        ("videos.csv", "started_at", "soon", "a number from 0"),
        ("videos.csv", "sent_at", "1_000", "a number from 0"),
        ("videos.csv", "intended_at", "-1", "a number from 0"),
        ("videos.csv", "state", "evil", "uploaded, processing, done or failed"),
        ("videos.csv", "state", "", "uploaded, processing, done or failed"),
        ("executions.csv", "slot", "x", "a number from -1"),
        ("executions.csv", "slot", "1e30", "a number from -1"),
        ("executions.csv", "started_at", "", "a number from 0"),
        ("executions.csv", "ended_at", "1e400", "a number from 0"),
        ("executions.csv", "transcode_seconds", "-1e9", "a number from 0"),
        ("executions.csv", "ffmpeg_cpu_seconds", "１", "a number from 0"),
        ("executions.csv", "outcome", "evil", "done"),
        ("resources.csv", "time", "x", "a number from 0"),
        ("resources.csv", "cores", "1e400", "a finite number"),
    ],
)
def test_a_wrong_cell_is_named_with_its_line_and_value(folder, name, column, value, allowed):
    set_cell(folder / name, column, value)
    with pytest.raises(UsageError) as caught:
        analyse_archive(folder)
    assert f"{folder / name} line 3: {column} ({value})" in str(caught.value)
    assert allowed in str(caught.value)


@pytest.mark.parametrize("name", ["videos.csv", "executions.csv", "resources.csv"])
@pytest.mark.parametrize("text", ["1,2,3\n", "x" * 200_000 + "\n", "\0\n", '"open\n'])
def test_a_line_that_is_no_line_of_the_file_is_named(folder, name, text):
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write(text)
    with pytest.raises(UsageError, match=rf"{name} line \d+") as caught:
        analyse_archive(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["run.json", "videos.csv", "executions.csv", "resources.csv"])
def test_a_pipe_in_an_archive_is_not_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(UsageError, match="it is not a regular file"):
        analyse_archive(folder)


def without_columns(file, *names):
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [name for name in rows[0] if name not in names], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("name", ["worker", "node"])
def test_an_execution_names_its_worker_or_its_node(folder, name):
    without_columns(folder / "executions.csv", name)
    assert analyse_archive(folder).recorded.executions.ended_at.size == 10
    without_columns(folder / "executions.csv", "worker", "node")
    with pytest.raises(UsageError, match=r"executions.csv; it has no column worker; give results/runs"):
        analyse_archive(folder)


def test_an_unknown_slot_of_a_collected_execution_stays_unknown(folder):
    set_cell(folder / "executions.csv", "slot", "-1")
    assert analyse_archive(folder).recorded.executions.slot is None


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"x_per_minute": "12", "s_seconds": 3}', "x_per_minute"),
        ('{"x_per_minute": 1, "s_seconds": -3}', "s_seconds"),
        ('{"x_per_minute": 1e400, "s_seconds": 3}', "x_per_minute"),
        ('{"x_per_minute": 1}', "s_seconds"),
        ("[]", "row.json"),
        ("", "row.json"),
    ],
)
def test_wrong_figures_in_row_json_are_named(tmp_path, text, field):
    (tmp_path / "row.json").write_text(text)
    with pytest.raises(UsageError, match=rf"row\.json.*{field}|{field}"):
        archived_figures(tmp_path)


def test_figures_are_unknown_only_without_a_row_json(tmp_path):
    assert archived_figures(tmp_path) == (None, None)
    (tmp_path / "row.json").write_text('{"x_per_minute": 12.5, "s_seconds": null}')
    assert archived_figures(tmp_path) == (12.5, None)
