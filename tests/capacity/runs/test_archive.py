import json

import numpy as np
import pytest

from capacity.analysis.load_and_analyse import load_and_analyse
from capacity.analysis.result_rows import measure_recorded, reading
from capacity.report.written_files import publish
from capacity.runs.archive import is_archived, read_archive, run_folder, write_archive
from capacity.runs.recorded_run import load_run
from capacity.runs.resource_samples import Resources
from core.errors import UsageError
from core.models import RunRow
from core.run import RunStatus
from core.settings import Settings
from tests import postgresql
from tests.capacity.experiments.test_early_stop import waiting
from tests.capacity.golden import ENDED, SLOT, STARTED
from tests.capacity.store import add_run, finish, open_store, open_url, run_row

RESOURCES = Resources(np.array([1000.0, 1001.0]), {"cores": np.array([2.0, np.nan]), "cpu.user": np.array([1.5, 3.25])})


@pytest.fixture
def folder(tmp_path):
    sessions = open_store(tmp_path / "a.db")
    with sessions.begin() as session:
        add_run(session, run_row(count=10), STARTED, ENDED, slot=SLOT)
    with sessions() as session:
        run = session.get_one(RunRow, "r1")
        write_archive(session, run, RESOURCES, tmp_path / "r1")
        return tmp_path / "r1", measure_recorded(load_run(session, run))


def test_the_files_alone_give_the_row_that_the_database_gave(folder):
    path, row = folder
    recorded, _resources = read_archive(path)
    assert is_archived(path)
    assert measure_recorded(recorded) == row
    assert row.x_sat_per_minute == pytest.approx(3.934426, abs=1e-6)


def test_resource_samples_come_back_with_what_was_unknown(folder):
    _recorded, resources = read_archive(folder[0])
    np.testing.assert_array_equal(resources.times, RESOURCES.times)
    assert resources.samples.keys() == RESOURCES.samples.keys()
    np.testing.assert_array_equal(resources.samples["cores"], RESOURCES.samples["cores"])


def test_a_run_without_samples_has_an_empty_file_that_reads_as_none(folder, tmp_path):
    with open_store(tmp_path / "a.db")() as session:
        write_archive(session, session.get_one(RunRow, "r1"), Resources(np.empty(0)), tmp_path / "bare")
    assert read_archive(tmp_path / "bare")[1].times.size == 0


@pytest.mark.parametrize("name", ["run.json", "videos.csv", "executions.csv", "resources.csv"])
@pytest.mark.parametrize("damage", [lambda f: f.unlink(), lambda f: f.write_text(""), lambda f: f.write_text("x,y\n")])
def test_a_missing_or_damaged_file_is_told_in_one_line(folder, name, damage):
    path = folder[0]
    damage(path / name)
    if name == "resources.csv" and (path / name).exists() and (path / name).read_text() == "x,y\n":
        return  # a header without samples is how "none were recorded" is written
    with pytest.raises(UsageError, match="results/runs/RUN_ID") as caught:
        read_archive(path)
    assert "\n" not in str(caught.value)


@pytest.fixture
def interrupted(tmp_path):
    """Return the sessions and settings of a burst that was broken off with three of eight videos done."""
    sessions = open_store(tmp_path / "i.db")
    with sessions.begin() as session:
        add_run(session, run_row(count=8, status=RunStatus.INTERRUPTED), [2.0, 3.0, 9.0], [9.0, 9.5, 16.0])
        session.add_all(waiting(k) for k in range(3, 8))
    environment = {"AFORO_RESULTS_PATH": str(tmp_path / "results"), "AFORO_PROMETHEUS_URL": "http://127.0.0.1:9"}
    return sessions, Settings.from_env(environment)


def report(sessions, settings):
    """Publish as every report does; return the run's folder and what its files say."""
    with reading(sessions) as session:
        findings = load_and_analyse(session, settings)
    publish(sessions, settings, findings, "en")
    folder = run_folder(settings.results.path, "r1")
    return folder, read_archive(folder)[0]


def test_what_workers_do_after_an_interruption_reaches_the_files(interrupted):
    folder, early = report(*interrupted)
    assert (early.census.done, early.census.waiting, is_archived(folder)) == (3, 5, False)
    with interrupted[0].begin() as session:
        for k in range(3, 8):
            finish(session, "r1", k, 9.5 + 7 * (k // 2), 16.0 + 7 * (k // 2))
    folder, late = report(*interrupted)
    assert (late.census.done, late.executions.ended_at.size, is_archived(folder)) == (8, 8, True)
    with reading(interrupted[0]) as session:
        assert measure_recorded(late) == measure_recorded(load_run(session, session.get_one(RunRow, "r1")))


def test_files_of_a_run_that_is_over_are_written_once(interrupted):
    with interrupted[0].begin() as session:
        for k in range(3, 8):
            finish(session, "r1", k, 9.5 + 7 * (k // 2), 16.0 + 7 * (k // 2))
    folder, _ = report(*interrupted)
    written_at = (folder / "videos.csv").stat().st_mtime_ns
    report(*interrupted)
    assert (folder / "videos.csv").stat().st_mtime_ns == written_at


def test_samples_that_prometheus_has_forgotten_stay_with_a_run_that_is_still_open(interrupted):
    folder, _ = report(*interrupted)
    with interrupted[0]() as session:
        write_archive(session, session.get_one(RunRow, "r1"), RESOURCES, folder, is_settled=False)
    report(*interrupted)
    np.testing.assert_array_equal(read_archive(folder)[1].times, RESOURCES.times)


def test_run_json_holds_what_the_run_was(folder):
    assert json.loads((folder[0] / "run.json").read_text())["environment"]["host"]["cpu_count"] == 2


@pytest.mark.postgresql
def test_postgresql_gives_the_same_row_and_files_as_sqlite(folder, tmp_path):
    if postgresql.binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    (tmp_path / "server").mkdir()
    with postgresql.running_server(tmp_path / "server") as url:
        sessions = open_url(url)
        with sessions.begin() as session:
            add_run(session, run_row(count=10), STARTED, ENDED, slot=SLOT)
        with reading(sessions) as session:
            run = session.get_one(RunRow, "r1")
            write_archive(session, run, RESOURCES, tmp_path / "files")
            assert measure_recorded(load_run(session, run)) == folder[1]
        sessions.kw["bind"].dispose()
    for name in ("videos.csv", "executions.csv"):
        lines = [sorted((path / name).read_text().splitlines()) for path in (tmp_path / "files", folder[0])]
        assert lines[0] == lines[1]
