import sqlite3

import pytest

from core.app_file import read_app_file
from core.errors import UsageError
from local.app_file_wizard import write_app_file

TASKS = """
@app.task(name="video.process", bind=True)
def process(self, video_id: int, path: str): ...

@shared_task
def send_mail(): ...
"""


@pytest.fixture
def app(tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web/tasks.py").write_text(TASKS)
    (tmp_path / "README.md").write_text("Start it: `celery -A web worker -c 4 -l info`\n")
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite+aiosqlite:///a.db\nSQS_QUEUE=videos-prod\n")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to("/bin/true")
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
        connection.execute(
            "CREATE TABLE videos (id INTEGER PRIMARY KEY, state TEXT NOT NULL, user_id INTEGER NOT NULL, "
            "file_path TEXT NOT NULL, note TEXT, uploaded_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "
            "updated_at DATETIME NOT NULL)"
        )
    return tmp_path


def test_the_defaults_are_read_from_the_app_and_the_file_is_one_that_aforo_reads(app):
    asked = []
    path = write_app_file(app, lambda question, default: asked.append(default) or default)
    assert asked == ["celery -A web worker -c 4 -l info", "video.process", "videos-prod", "videos", "uploads"]
    read = read_app_file(path)
    assert read.worker.command == "celery -A web worker --concurrency={concurrency} -l info"
    assert read.videos.status.column == "state"
    insert = {"state": "uploaded", "user_id": "{user_id}", "file_path": "{path}", "updated_at": "{now}"}
    assert read.videos.insert == insert
    assert read.videos.url == f"sqlite:///{app}/a.db"


def test_an_app_without_a_table_ends_its_videos_by_executions(app):
    path = write_app_file(app, lambda question, default: "" if "Table" in question else default)
    assert read_app_file(path).videos is None


def test_a_file_that_exists_is_never_replaced(app):
    (app / "aforo.toml").write_text("mine")
    with pytest.raises(UsageError, match="it exists already"):
        write_app_file(app, lambda question, default: default)
    assert (app / "aforo.toml").read_text() == "mine"
