import datetime
import sqlite3
import sys
import time
import uuid

import psycopg
import pytest
from sqlalchemy.engine import make_url

from core.app_file import read_app_file
from core.app_file.videos_table import VideosTable
from core.errors import AforoError
from testing import mariadb, postgresql
from tests.core.app_file.conftest import CREATE

VALUES = {"n": 1, "path": "/in/1.mp4", "user_id": "7"}
NOW = datetime.datetime(2026, 11, 27, 12, tzinfo=datetime.UTC)


@pytest.fixture
def table(team, tmp_path):
    def open_(old="", new="", create=CREATE):
        with sqlite3.connect(tmp_path / "app.db") as connection:
            connection.execute(create)
        return VideosTable.open(read_app_file(team(old, new)))

    return open_


def test_a_row_is_returned_as_the_database_filled_it_and_keeps_its_types(table):
    row = table().insert(VALUES)
    assert (row["id"], row["title"], row["owner_id"], row["updated_at"]) == (1, "Load test 1", 7, None)


def test_states_are_read_by_key_with_times_in_the_zone_of_the_table(table, tmp_path):
    videos = table('updated_at = "updated_at"', 'updated_at = "updated_at"\ntimezone = "America/Bogota"')
    keys = [videos.insert(VALUES)["id"] for _ in range(3)]
    with sqlite3.connect(tmp_path / "app.db") as connection:
        connection.execute("UPDATE videos SET state='done', updated_at='2026-11-27T07:00:00.25' WHERE id=1")
        connection.execute("DELETE FROM videos WHERE id=3")
    found = videos.read(keys)
    assert found[1].status == "done"
    assert found[1].updated_at == NOW.timestamp() + 0.25
    assert (found[2].status, found[2].updated_at) == ("uploaded", None)
    assert 3 not in found


def test_a_row_is_read_by_the_key_that_a_script_gives_as_a_text(table):
    videos = table()
    row = videos.insert(VALUES)
    assert videos.row(str(row["id"])) == row
    assert (videos.row(2), videos.row("x")) == (None, None)


def test_a_trial_insert_leaves_no_row(table):
    videos = table()
    assert videos.try_insert(VALUES)["title"] == "Load test 1"
    assert videos.count() == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            ', owner_id = "{user_id}"',
            "",
            "aforo.toml, line 20: videos.insert; their database says: NOT NULL constraint failed: videos.owner_id;",
        ),
        ("source_path =", "path =", "videos.insert (path); videos has no such column; it has id, title, state, sour"),
        (
            "{row.id}",
            "{row.nosuch}",
            "line 4: app.args ({row.nosuch}); videos has no such column; it has id, title, state",
        ),
        (
            'queue = "videos"',
            'queue = "videos"\nheaders = { owner = "u-{row.owner}" }',
            "line 6: app.headers ({row.owner}); videos has no such column; it has id, title, state, source_path",
        ),
        ('table = "videos"', 'table = "clips"', "videos.table (clips); there is no such table in their database"),
        ("env:DATABASE_URL", "sqlite:///none.db", "none.db); there is no such file; create the app's tables first"),
        ("{user_id}", "me-{user_id}", "the column owner_id needs INTEGER; correct that value"),
    ],
)
def test_what_the_table_does_not_take_names_the_line_and_leaves_nothing(table, old, new, message, tmp_path):
    with pytest.raises(AforoError) as caught:
        table(old, new).insert(VALUES)
    assert message in str(caught.value)
    with sqlite3.connect(tmp_path / "app.db") as connection:
        assert connection.execute("SELECT count(*) FROM videos").fetchone() == (0,)


def test_epoch_milliseconds_and_now(table):
    create = CREATE.replace("DATETIME", "INTEGER").replace("DEFAULT CURRENT_TIMESTAMP NOT NULL", "NOT NULL")
    videos = table(
        'updated_at = "updated_at"\n',
        'updated_at = "updated_at"\ntimes = "epoch_ms"\n',
        create,
    )
    section = videos.section.insert
    section["uploaded_at"] = "{now}"
    row = videos.insert({**VALUES, "now": NOW})
    assert row["uploaded_at"] == NOW.timestamp() * 1000
    assert videos.uploaded_at(row) == NOW.timestamp()


def test_only_the_listed_rows_are_deleted(table):
    videos = table()
    first, second = (videos.insert(VALUES)["id"] for _ in range(2))
    assert videos.delete([first]) == 1
    assert list(videos.read([first, second])) == [second]


@pytest.mark.postgresql
def test_postgresql_with_a_serial_key_an_enum_a_uuid_and_a_zone(team, tmp_path, server_folder):
    if postgresql.binaries() is None:
        pytest.skip("no PostgreSQL")
    with postgresql.running_server(server_folder) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TYPE state AS ENUM ('uploaded', 'done', 'failed')")
            connection.execute(
                "CREATE TABLE videos (id serial PRIMARY KEY, title varchar(80) NOT NULL, state state NOT NULL, "
                "source_path text NOT NULL, owner_id uuid NOT NULL, uploaded_at timestamptz NOT NULL DEFAULT now(), "
                "updated_at timestamp, cost numeric(6, 2) DEFAULT 1.5)"
            )
        (tmp_path / ".env").write_text(f"DATABASE_URL={url.replace('://', '+asyncpg://', 1)}\n")
        videos = VideosTable.open(read_app_file(team()))
        owner = str(uuid.uuid4())
        row = videos.insert({**VALUES, "user_id": owner})
        assert (row["id"], row["owner_id"], row["cost"]) == (1, owner, 1.5)
        assert abs(videos.clock_offset_seconds()) < 1
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE videos SET state = 'done', updated_at = '2026-11-27 12:00:00.5'")
        found = videos.read([1])[1]
        assert (found.status, found.updated_at) == ("done", NOW.timestamp() + 0.5)
        with pytest.raises(AforoError, match="the column owner_id needs UUID; correct that value"):
            videos.insert({**VALUES, "user_id": "me"})


@pytest.mark.mysql
def test_mysql_with_a_generated_key_an_enum_and_both_kinds_of_times(team, tmp_path):
    pymysql = pytest.importorskip("pymysql", reason="no pymysql: requirements/mysql.txt")
    if mariadb.binaries() is None:
        pytest.skip("no MariaDB")
    with mariadb.running_server(tmp_path / "data", "--default-time-zone=-05:00") as url:
        server = make_url(url)
        with pymysql.connect(host=server.host, port=server.port, user=server.username, database="app") as connection:
            connection.cursor().execute(
                "CREATE TABLE videos (id INT AUTO_INCREMENT PRIMARY KEY, title VARCHAR(80) NOT NULL, "
                "state ENUM('uploaded', 'done', 'failed') NOT NULL, source_path TEXT NOT NULL, owner_id INT NOT NULL, "
                "uploaded_at TIMESTAMP(6) NOT NULL DEFAULT now(6), updated_at DATETIME(6))"
            )
            connection.commit()
            (tmp_path / ".env").write_text(f"DATABASE_URL={url.replace('mysql://', 'mysql+aiomysql://')}\n")
            videos = VideosTable.open(read_app_file(team()))
            row = videos.insert(VALUES)
            assert (row["id"], row["owner_id"], row["state"]) == (1, 7, "uploaded")
            assert abs(videos.uploaded_at(row) - time.time()) < 60  # the server's zone is hours away
            assert abs(videos.clock_offset_seconds()) < 1
            videos.section.insert["uploaded_at"] = "{now}"
            assert videos.uploaded_at(videos.insert({**VALUES, "now": NOW})) == NOW.timestamp()
            connection.cursor().execute("UPDATE videos SET state='done', updated_at='2026-11-27 12:00:00.5' WHERE id=1")
            connection.commit()
        found = videos.read([1, 2])
        assert (found[1].status, found[1].updated_at) == ("done", NOW.timestamp() + 0.5)
        assert (found[2].uploaded_at, found[2].updated_at) == (NOW.timestamp(), None)
        assert videos.keys_between(NOW.timestamp() - 1, NOW.timestamp() + 1) == [2]
        videos.section.insert["state"] = "new"
        with pytest.raises(AforoError, match=r"their database says: .*Data truncated for column 'state'"):
            videos.insert({**VALUES, "now": NOW})
        assert videos.delete([1]) == 1
        assert videos.count() == 1


def test_a_missing_driver_is_one_line_with_the_command_that_installs_it(team, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymysql", None)
    (tmp_path / ".env").write_text("DATABASE_URL=mysql://u@127.0.0.1/app\n")
    with pytest.raises(AforoError) as caught:
        VideosTable.open(read_app_file(team()))
    message = "the driver pymysql of their database is not installed; run .venv/bin/pip install --require-hashes -r"
    assert message in str(caught.value)
