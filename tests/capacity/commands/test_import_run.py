"""`capacity import`: rows of an app's table become a run with X, S and X_sat from completion times."""

import sqlite3

import pytest

from capacity.analysis.load_and_analyse import load_and_analyse
from capacity.commands.import_run import import_
from capacity.runs.sessions import open_store
from core.errors import UsageError
from core.settings import Settings
from tests.core.app_file.conftest import CREATE, team  # noqa: F401 (a fixture)


@pytest.fixture
def theirs(tmp_path, team, monkeypatch):  # noqa: F811
    """Two slots of 30 s each process twelve videos that were uploaded at 12:00:00. A thirteenth is older."""
    path = team('owner_id = "{user_id}"', 'owner_id = "{user_id}", task_id = "{task_id}"')
    with sqlite3.connect(tmp_path / "app.db") as connection:
        connection.execute(CREATE)
        insert = "INSERT INTO videos VALUES (?, 't', 'done', '', 1, ?, ?, ?)"
        for k in range(12):
            ended = f"2026-11-27 12:{(k // 2 + 1) * 30 // 60:02}:{(k // 2 + 1) * 30 % 60:02}"
            connection.execute(insert, (k + 1, f"t{k}", "2026-11-27 12:00:00", ended))
        connection.execute(insert, (99, "old", "2026-11-26 12:00:00", "2026-11-26 12:00:30"))
    monkeypatch.setenv("AFORO_APP_FILE", str(path))
    monkeypatch.setenv("AFORO_DATABASE_URL", f"sqlite:///{tmp_path}/ours.db")
    monkeypatch.setenv("AFORO_PROMETHEUS_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")  # reading the app's settings exports its own
    (tmp_path / "tasks.log").write_text("".join(f"t{k}\n" for k in range(12)))
    (tmp_path / "ids.txt").write_text("".join(f"{k + 1}\n" for k in range(12)))
    return tmp_path


def imported(*arguments):
    import_.main([*arguments, "--size", "50MB", "--concurrency", "2"], standalone_mode=False)
    settings = Settings.from_process()
    with open_store(settings)() as session:
        return load_and_analyse(session, settings).runs


@pytest.mark.parametrize(
    "way",
    [
        ("--tasks-log", "tasks.log"),
        ("--ids", "ids.txt"),
        ("--from", "2026-11-27T11:00", "--to", "2026-11-27T07:30-05:00"),
    ],
)
def test_x_and_s_are_those_of_the_rows_and_x_sat_is_from_completion_times(theirs, monkeypatch, way):
    monkeypatch.chdir(theirs)
    (run,) = imported(*way)
    assert (run.row.app, run.row.done, run.row.count) == ("mi-app", 12, 12)
    assert run.row.x == pytest.approx(12 / 3)
    assert run.row.s == pytest.approx(105)
    assert (run.row.x_sat_per_minute, run.row.x_sat_source) == (pytest.approx(4.0), "completion_times")
    assert "completion_times" in run.row.validity.reasons


def test_the_same_rows_are_imported_once(theirs, monkeypatch):
    monkeypatch.chdir(theirs)
    imported("--ids", "ids.txt")
    with pytest.raises(UsageError, match="these rows are imported already"):
        imported("--ids", "ids.txt")


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ((), "the rows are not named; give --tasks-log, --ids, or --from and --to"),
        (("--from", "2026-11-27T11:00"), "the rows are not named"),
        (("--from", "noon", "--to", "noon"), "it is not a time"),
        (("--ids", "none.txt"), "there is no such file"),
        (("--from", "2020-01-01", "--to", "2020-01-02"), "no row was found"),
    ],
)
def test_rows_that_cannot_be_named_are_refused_in_one_line(theirs, monkeypatch, way, why):
    monkeypatch.chdir(theirs)
    with pytest.raises(UsageError, match=why):
        imported(*way)
