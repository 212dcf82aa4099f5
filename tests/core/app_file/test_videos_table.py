import datetime
import sqlite3
import uuid

import psycopg
import pytest

from core.app_file import read_app_file
from core.app_file.videos_table import VideosTable
from core.errors import AforoError
from testing import postgresql
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
def test_postgresql_with_a_serial_key_an_enum_a_uuid_and_a_zone(team, tmp_path):
    if postgresql.binaries() is None:
        pytest.skip("no PostgreSQL")
    (tmp_path / "pg").mkdir()
    with postgresql.running_server(tmp_path / "pg") as url:
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
