"""Message of an app's task, and the check of row and message that a run and the doctor share."""

import base64
import json
import sqlite3

import psycopg
import pytest

from core.app_file import read_app_file
from core.app_file.placeholders import video_values
from core.app_file.video_message import task_message, try_video
from core.app_file.videos_table import VideosTable
from core.broker import make_celery
from core.errors import UsageError
from core.settings import Settings
from core.task_message import encode_task
from local.app_doctor import _row
from tests.core.app_file.conftest import CREATE

QUEUE_URL = "http://127.0.0.1:4566/000000000000/videos"


@pytest.fixture
def theirs(team, tmp_path, postgresql_url):
    """Return a function that opens a table in PostgreSQL, of an app whose arguments are these."""

    def open_(args):
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE videos (id serial PRIMARY KEY, title text, state text, source_path text, owner_id int, "
                "uploaded_at timestamptz NOT NULL DEFAULT '2026-11-27 12:00:00.5Z', "
                "updated_at timestamp DEFAULT '2026-11-27 12:00:00', "
                "tags uuid[] DEFAULT '{f81d4fae-7dec-11d0-a765-00a0c91e6bf6}', "
                "moments timestamp[] DEFAULT '{2026-11-27 12:00:00}')"
            )
        (tmp_path / ".env").write_text(f"DATABASE_URL={postgresql_url}?options=-ctimezone%3DUTC\n")
        return VideosTable.open(read_app_file(team('args = ["{row.id}", "{path}"]', f"args = {args}")))

    return open_


@pytest.mark.postgresql
def test_a_time_in_the_row_is_sent_as_text(theirs):
    table = theirs('["{row.uploaded_at}", "at {row.updated_at}", "{row.moments}", 2026-11-27]')
    values = video_values(1, "t", "/in/1.mp4", "1.mp4", "r", "7")
    message = task_message(table.app, values, table.insert(values), QUEUE_URL, None)
    envelope = json.loads(base64.b64decode(encode_task(make_celery(Settings.from_env({}), QUEUE_URL), message)))
    args, _kwargs, _embed = json.loads(base64.b64decode(envelope["body"]))
    assert args == [
        "2026-11-27T12:00:00.500000+00:00",
        "at 2026-11-27T12:00:00",
        ["2026-11-27T12:00:00"],
        "2026-11-27",
    ]


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "check", [lambda table: try_video(table.app, table, "7"), lambda table: _row(table.app, "7")], ids=["run", "doctor"]
)
def test_a_run_and_the_doctor_refuse_a_value_that_json_does_not_have_with_the_row_of_the_check(theirs, check):
    table = theirs('["{row.tags}"]')
    with pytest.raises(UsageError) as refused:
        check(table)
    assert str(refused.value) == (
        "aforo.toml; args, kwargs or headers cannot be sent: JSON has no UUID; use other columns or values there"
    )
    assert table.count() == 0


@pytest.fixture
def table(tmp_path):
    """Make the app's table in SQLite."""
    with sqlite3.connect(tmp_path / "app.db") as connection:
        connection.execute(CREATE)


@pytest.mark.usefixtures("table")
def test_the_doctor_asks_for_a_user_in_a_header_as_a_run_does(team):
    path = team(', owner_id = "{user_id}"', "")
    path.write_text(path.read_text().replace("[app]", '[app]\nheaders = { tenant = "{user_id}" }'))
    with pytest.raises(UsageError, match=r"USER_ID; aforo\.toml uses \{user_id\}; give USER_ID"):
        _row(read_app_file(path), None)


@pytest.mark.usefixtures("table")
def test_the_doctor_tries_the_row_and_says_what_it_was(team):
    said = _row(read_app_file(team()), "7")
    assert said.startswith(f"taken and rolled back: id=1, title=Load test 1, state=uploaded, source_path={'x' * 40}")
