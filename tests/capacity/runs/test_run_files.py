import csv
import json

import numpy as np
import pytest
from sqlalchemy import select

from capacity.analysis.load_and_analyse import load_and_analyse
from capacity.analysis.measured_run import measure
from capacity.report.written_files import write_results
from capacity.runs.archive_reader import read_archive
from capacity.runs.recorded_run import load_run
from capacity.runs.resource_samples import Resources
from capacity.runs.run_files import is_archived, write_archive
from capacity.runs.sessions import reading
from core.errors import UsageError
from core.models import ExecutionRow, RunRow
from core.results_folder import run_folder
from core.run import RunStatus
from testing import postgresql
from tests.capacity.golden import ENDED, SLOT, STARTED
from tests.capacity.store import add_run, finish, open_store, open_url, run_row, waiting

RESOURCES = Resources(np.array([1000.0, 1001.0]), {"cores": np.array([2.0, np.nan]), "cpu.user": np.array([1.5, 3.25])})


@pytest.fixture
def folder(tmp_path):
    sessions = open_store(tmp_path / "a.db")
    with sessions.begin() as session:
        add_run(session, run_row(count=10), STARTED, ENDED, slot=SLOT)
    with sessions() as session:
        run = session.get_one(RunRow, "r1")
        write_archive(session, run, RESOURCES, tmp_path / "r1")
        return tmp_path / "r1", measure(load_run(session, run)).row


def test_the_files_alone_give_the_row_that_the_database_gave(folder):
    path, row = folder
    recorded, _resources = read_archive(path)
    assert is_archived(path)
    assert measure(recorded).row == row
    assert row.x_sat_per_minute == pytest.approx(3.913043, abs=1e-6)


def test_resource_samples_are_restored_with_their_unknown_values(folder):
    _recorded, resources = read_archive(folder[0])
    np.testing.assert_array_equal(resources.times, RESOURCES.times)
    assert resources.samples.keys() == RESOURCES.samples.keys()
    np.testing.assert_array_equal(resources.samples["cores"], RESOURCES.samples["cores"])


def test_a_run_without_samples_has_an_empty_file_that_reads_as_none(folder, tmp_path):
    with open_store(tmp_path / "a.db")() as session:
        write_archive(session, session.get_one(RunRow, "r1"), Resources(np.empty(0)), tmp_path / "bare")
    assert read_archive(tmp_path / "bare")[1].times.size == 0


FILES = ("run.json", "videos.csv", "executions.csv", "resources.csv")
DAMAGES = (lambda f: f.unlink(), lambda f: f.write_text(""), lambda f: f.write_text("x,y\n"))


@pytest.mark.parametrize(
    ("name", "damage"),
    # a resources.csv with a header and no samples is valid: see the next test
    [(name, damage) for name in FILES for damage in DAMAGES if (name, damage) != ("resources.csv", DAMAGES[2])],
)
def test_a_missing_or_damaged_file_is_reported_in_one_line(folder, name, damage):
    path = folder[0]
    damage(path / name)
    with pytest.raises(UsageError, match="results/runs/RUN_ID") as caught:
        read_archive(path)
    assert "\n" not in str(caught.value)


def test_a_resource_file_without_samples_reads_as_no_samples(folder):
    (folder[0] / "resources.csv").write_text("x,y\n")
    assert read_archive(folder[0])[1].times.size == 0


def test_an_old_archive_with_attempts_csv_gives_the_same_row_and_is_final(folder):
    path, row = folder
    (path / "executions.csv").rename(path / "attempts.csv")
    assert is_archived(path)
    assert measure(read_archive(path)[0]).row == row


def test_an_old_archive_with_process_ids_as_slots_gives_the_same_row(folder):
    path, row = folder
    with (path / "executions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name != "worker"]
    with (path / "executions.csv").open("w", newline="", encoding="utf-8") as file:
        old = csv.DictWriter(file, names, extrasaction="ignore")
        old.writeheader()
        old.writerows(each | {"slot": 40_000 + int(each["slot"])} for each in rows)
    assert measure(read_archive(path)[0]).row == row


def test_slots_with_one_number_in_two_workers_of_a_node_are_two_slots(folder, tmp_path):
    sessions = open_store(tmp_path / "a.db")
    with sessions.begin() as session:
        executions = list(session.scalars(select(ExecutionRow).order_by(ExecutionRow.id)))
        for execution in executions:
            execution.slot, execution.worker = 0, f"mesa|{execution.slot}|start"
    with sessions() as session:
        run = session.get_one(RunRow, "r1")
        write_archive(session, run, RESOURCES, tmp_path / "two")
        slot = load_run(session, run).executions.slot
    assert (np.unique(slot, return_inverse=True)[1] == SLOT).all()
    archived = read_archive(tmp_path / "two")[0].executions.slot
    assert (np.unique(archived, return_inverse=True)[1] == SLOT).all()


@pytest.fixture
def interrupted(sessions, settings):
    """Return the sessions and settings of an interrupted burst.

    Three of its eight videos are done.
    """
    with sessions.begin() as session:
        add_run(session, run_row(count=8, status=RunStatus.INTERRUPTED), [2.0, 3.0, 9.0], [9.0, 9.5, 16.0])
        session.add_all(waiting(k) for k in range(3, 8))
    return sessions, settings


def report(sessions, settings):
    """Write the results as every report does.

    Return the run's folder and its archived run.
    """
    with reading(sessions) as session:
        analysed = load_and_analyse(session, settings)
    write_results(sessions, settings, analysed, "en")
    folder = run_folder(settings.results.path, "r1")
    return folder, read_archive(folder)[0]


def test_what_workers_do_after_an_interruption_reaches_the_files(interrupted):
    folder, early = report(*interrupted)
    assert (early.video_counts.done, early.video_counts.waiting, is_archived(folder)) == (3, 5, False)
    with interrupted[0].begin() as session:
        for k in range(3, 8):
            finish(session, "r1", k, 9.5 + 7 * (k // 2), 16.0 + 7 * (k // 2))
    folder, late = report(*interrupted)
    assert (late.video_counts.done, late.executions.ended_at.size, is_archived(folder)) == (8, 8, True)
    with reading(interrupted[0]) as session:
        assert measure(late).row == measure(load_run(session, session.get_one(RunRow, "r1"))).row


def test_files_of_a_run_that_is_over_are_written_once(interrupted):
    with interrupted[0].begin() as session:
        for k in range(3, 8):
            finish(session, "r1", k, 9.5 + 7 * (k // 2), 16.0 + 7 * (k // 2))
    folder, _ = report(*interrupted)
    written_at = (folder / "videos.csv").stat().st_mtime_ns
    report(*interrupted)
    assert (folder / "videos.csv").stat().st_mtime_ns == written_at


def test_archived_samples_of_an_open_run_stay_when_prometheus_has_none(interrupted):
    folder, _ = report(*interrupted)
    with interrupted[0]() as session:
        write_archive(session, session.get_one(RunRow, "r1"), RESOURCES, folder, is_settled=False)
    report(*interrupted)
    np.testing.assert_array_equal(read_archive(folder)[1].times, RESOURCES.times)


def test_run_json_holds_the_properties_of_the_run(folder):
    assert json.loads((folder[0] / "run.json").read_text())["environment"]["host"]["cpu_count"] == 2


@pytest.mark.postgresql
def test_postgresql_gives_the_same_row_and_files_as_sqlite(folder, tmp_path, server_folder):
    if postgresql.binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    with postgresql.running_server(server_folder) as url:
        sessions = open_url(url)
        with sessions.begin() as session:
            add_run(session, run_row(count=10), STARTED, ENDED, slot=SLOT)
        with reading(sessions) as session:
            run = session.get_one(RunRow, "r1")
            write_archive(session, run, RESOURCES, tmp_path / "files")
            assert measure(load_run(session, run)).row == folder[1]
        sessions.kw["bind"].dispose()
    for name in ("videos.csv", "executions.csv"):
        lines = [sorted((path / name).read_text().splitlines()) for path in (tmp_path / "files", folder[0])]
        assert lines[0] == lines[1]
