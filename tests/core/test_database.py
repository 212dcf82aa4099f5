import multiprocessing
import os
import re
import sqlite3
import threading
from contextlib import closing

import click
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, select, text

from capacity.runs.column_reader import read_columns
from core import cli
from core.database import open_engine, open_sessions, require_sound, upgrade_schema
from core.errors import EnvironmentFault, UsageError
from core.models import Base, RunRow


def _increment(url, times):
    sessions = open_sessions(open_engine(url))
    for _ in range(times):
        with sessions.begin() as session:
            value = session.scalar(text("SELECT value FROM counter"))
            session.execute(text("UPDATE counter SET value = :value"), {"value": value + 1})


def test_read_then_write_from_many_processes_loses_no_update(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    with open_engine(url).begin() as connection:
        connection.execute(text("CREATE TABLE counter (value INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))
    workers = [multiprocessing.get_context("spawn").Process(target=_increment, args=(url, 50)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with open_engine(url).begin() as connection:
        assert connection.scalar(text("SELECT value FROM counter")) == 200


def test_a_new_file_to_which_another_process_writes_is_waited_for(tmp_path):
    writer = sqlite3.connect(tmp_path / "a.db", isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    end_of_write = threading.Timer(0.3, lambda: writer.execute("COMMIT"))
    end_of_write.start()
    with closing(writer), open_engine(f"sqlite:///{tmp_path}/a.db").begin() as connection:
        end_of_write.join()
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"


@pytest.mark.parametrize("interrupted", ["BEGIN", "SELECT", "UPDATE"])
def test_an_interrupted_transaction_is_rolled_back_and_does_not_keep_the_write_lock(tmp_path, interrupted):
    engine, other = (open_engine(f"sqlite:///{tmp_path}/a.db", forks=forks) for forks in (False, True))
    with other.begin() as connection:
        connection.execute(text("CREATE TABLE counter AS SELECT 7 AS value"))

    @event.listens_for(engine, "do_execute")
    def press_ctrl_c(cursor, statement, parameters, _context):
        cursor.execute(statement, parameters)
        if statement.startswith(interrupted):
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt) as interruption, open_sessions(engine).begin() as session:
        session.execute(text("UPDATE counter SET value = 8"))
        session.scalar(text("SELECT value FROM counter"))
    with other.begin() as connection:  # while the traceback of `interruption` still holds the cursor
        assert connection.scalar(text("SELECT value FROM counter")) == 7, interruption
        connection.execute(text("UPDATE counter SET value = 9"))


def test_the_migrations_create_the_tables_of_the_models(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/a.db")
    upgrade_schema(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def _upgrade(url, start, failures):
    start.wait()
    try:
        upgrade_schema(open_engine(url))
    except EnvironmentFault as failure:
        failures.put(str(failure))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_programs_that_start_at_the_same_time_on_an_empty_database_all_find_its_tables(database, tmp_path, request):
    url = f"sqlite:///{tmp_path}/a.db" if database == "sqlite" else request.getfixturevalue("postgresql_url")
    fork = multiprocessing.get_context("fork")
    start, failures = fork.Barrier(6), fork.SimpleQueue()
    programs = [fork.Process(target=_upgrade, args=(url, start, failures)) for _ in range(6)]
    for program in programs:
        program.start()
    for program in programs:
        program.join()
    assert failures.empty(), failures.get()
    assert all(program.exitcode == 0 for program in programs)


def test_a_file_that_is_not_a_database_is_one_line(tmp_path):
    (tmp_path / "a.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(EnvironmentFault, match="the file is damaged \\(file is not a database\\); restore it"):
        upgrade_schema(open_engine(f"sqlite:///{tmp_path}/a.db"))


@pytest.mark.parametrize("url", ["oracle9://u:hunter2@host/x", "postgresql://u:hunter2@host:port/x", "://hunter2@"])
def test_an_invalid_url_is_an_error_that_hides_the_password(url):
    with pytest.raises(UsageError, match=r"^AFORO_DATABASE_URL \(") as refusal:
        open_engine(url)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("revision", "line"),
    [
        ("9999", r"a newer Aforo has changed its tables \(version 9999, this one knows \d{4}\); update Aforo"),
        ("ae1027a6acf", r"its history is not that of Aforo \(alembic version ae1027a6acf\); give"),
    ],
)
def test_tables_of_a_newer_version_or_another_application_are_refused_and_left_alone(tmp_path, revision, line):
    engine = open_engine(f"sqlite:///{tmp_path}/x.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})
    with pytest.raises(EnvironmentFault, match=rf"^AFORO_DATABASE_URL \(sqlite:///.*/x\.db\); {line}"):
        upgrade_schema(engine)
    with engine.begin() as connection:
        tables = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
    assert tables == ["alembic_version"]


def test_a_damaged_file_is_one_line_that_names_it(tmp_path):
    (tmp_path / "x.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(EnvironmentFault, match=r"^database \(sqlite:///.*/x\.db\); the file is damaged"):
        upgrade_schema(open_engine(f"sqlite:///{tmp_path}/x.db"))


def test_a_database_of_another_app_is_refused_in_one_line_and_stays_as_it_was(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/theirs.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE users (id INTEGER)")
    with pytest.raises(
        EnvironmentFault, match="it holds tables of another app \\(users\\); give Aforo a database of its"
    ):
        upgrade_schema(engine)
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars().all() == ["users"]


@pytest.fixture
def half_damaged(tmp_path):
    """Return the URL of a database whose version is readable, and whose table of runs is not."""
    file = tmp_path / "x.db"
    engine = open_engine(f"sqlite:///{file}")
    upgrade_schema(engine)
    engine.dispose()
    with closing(sqlite3.connect(file)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs'").fetchone()
        (page,) = connection.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as content:
        content.seek((root - 1) * page)
        content.write(b"\x63" * page)
    return f"sqlite:///{file}"


DAMAGED = r"^database \(sqlite:///.*/x\.db\); the file is damaged \(.*malformed.*\); restore it"


def test_a_file_with_a_damaged_page_is_found_before_anything_starts(half_damaged, tmp_path):
    with pytest.raises(EnvironmentFault, match=r"^database \(sqlite:///.*/x\.db\); the file is damaged"):
        require_sound(half_damaged)
    require_sound(f"sqlite:///{tmp_path}/missing.db")
    assert not (tmp_path / "missing.db").exists()
    os.mkfifo(tmp_path / "pipe.db")
    with pytest.raises(EnvironmentFault, match=r"^database \(sqlite:.*\); it is not a regular file"):
        require_sound(f"sqlite:///{tmp_path}/pipe.db")


def test_a_damage_that_is_met_in_the_work_names_the_file(half_damaged, capsys):
    @click.command()
    def read():
        with open_sessions(open_engine(half_damaged))() as session:
            session.scalars(select(RunRow)).all()

    with pytest.raises(SystemExit) as ended:
        cli.run(read, "read", [])
    assert ended.value.code == 3
    assert re.match(DAMAGED.replace("^", "^error: "), capsys.readouterr().err)


def test_a_damage_that_the_driver_meets_names_the_file(half_damaged):
    with open_sessions(open_engine(half_damaged))() as session, pytest.raises(EnvironmentFault, match=DAMAGED):
        read_columns(session, select(RunRow.finished_at))
