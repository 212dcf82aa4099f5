"""A run of an app that cannot work is refused before anything is sent, and leaves nothing."""

import base64
import json
import sqlite3
import sys
from types import SimpleNamespace

import psycopg
import pytest

from core.app_file import read_app_file
from core.app_file.placeholders import video_values
from core.app_file.videos_table import VideosTable
from core.broker import make_celery
from core.errors import AforoError, UsageError
from core.ffmpeg.profiles import PROFILES
from core.run import Mode
from core.settings import Settings
from injector.app_run import _try_video, prepare_app_run
from injector.app_sender import task_message
from injector.injection import Request
from injector.senders import encode_task
from tests.core.app_file.conftest import CREATE, team  # noqa: F401 (a fixture)

QUEUE_URL = "http://127.0.0.1:4566/000000000000/videos"
REQUEST = Request(1, None, Mode.BURST, None, None, "7", PROFILES["full"], None, "")
WORKER = """python = "python"
command = "celery -A app.main worker --concurrency={concurrency}"
"""
MODULE = """\
from celery import Celery
app = Celery("app", broker="sqs://")
@app.task(name="app.tasks.encode")
def encode(path): ...
"""


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            MODULE,
            "aforo.toml, line 3: app.task (app.tasks.process_video); the app has no such task; it has app.tasks.encode",
        ),
        (
            "import nowhere",
            "aforo.toml, line 11: worker.command (app.main); it cannot be imported: "
            "ModuleNotFoundError: No module named 'nowhere'; correct the app, -A or env_file",
        ),
    ],
)
def test_a_task_that_the_app_does_not_know_is_refused_as_by_doctor_and_nothing_is_left(
    tmp_path,
    team,  # noqa: F811
    module,
    message,
):
    (tmp_path / "app").mkdir()
    (tmp_path / "app/main.py").write_text(module)
    with sqlite3.connect(tmp_path / "app.db") as connection:
        connection.execute(CREATE)
    app = read_app_file(team(WORKER, WORKER.replace('"python"', f'"{sys.executable}"') + "instrument = false\n"))
    ours = {"AFORO_DATABASE_URL": f"sqlite:///{tmp_path}/ours.db", "AFORO_RESULTS_PATH": f"{tmp_path}/results"}
    said = []
    with pytest.raises(AforoError) as refused:
        prepare_app_run(Settings.from_env(ours), app, REQUEST, said.append)
    assert str(refused.value) == message
    assert said == []
    assert [(tmp_path / name).exists() for name in ("ours.db", "results", "uploads")] == [False] * 3
    with sqlite3.connect(tmp_path / "app.db") as connection:
        assert connection.execute("SELECT count(*) FROM videos").fetchone() == (0,)


def test_a_user_in_a_header_is_asked_for(team):  # noqa: F811
    path = team(', owner_id = "{user_id}"', "")
    path.write_text(path.read_text().replace("[app]", '[app]\nheaders = { tenant = "{user_id}" }'))
    request = Request(1, None, Mode.BURST, None, None, None, PROFILES["full"], None, "")
    with pytest.raises(UsageError, match=r"USER_ID; aforo\.toml uses \{user_id\}; give USER_ID"):
        prepare_app_run(Settings.from_env({}), read_app_file(path), request, print)


@pytest.fixture
def theirs(team, tmp_path, postgresql_url):  # noqa: F811
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
def test_a_value_that_json_does_not_have_is_refused_with_the_trial_row(theirs):
    table = theirs('["{row.tags}"]')
    target = SimpleNamespace(table=table, queue=SimpleNamespace(url=QUEUE_URL))
    with pytest.raises(UsageError) as refused:
        _try_video(table.app, target, REQUEST, make_celery(Settings.from_env({}), QUEUE_URL), None)
    assert str(refused.value) == (
        "aforo.toml; args, kwargs or headers cannot be sent: JSON has no UUID; use other columns or values there"
    )
    assert table.count() == 0
