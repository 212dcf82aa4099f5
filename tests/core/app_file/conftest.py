"""A team's folder with an aforo.toml that is right, for tests that break one line of it."""

import sys

import pytest

from core.app_file import read_app_file

GOOD = """\
[app]
name = "mi-app"
task = "app.tasks.process_video"
args = ["{row.id}", "{path}"]
queue = "videos"
env_file = ".env"

[worker]
directory = "."
python = "python"
command = "celery -A app.main worker --concurrency={concurrency}"

[videos]
url = "env:DATABASE_URL"
table = "videos"
id = "id"
status = { column = "state", done = ["done"], failed = ["failed"] }
uploaded_at = "uploaded_at"
updated_at = "updated_at"
insert = { title = "Load test {n}", state = "uploaded", source_path = "{path}", owner_id = "{user_id}" }

[input]
folder = "uploads"
per_video = "copy"
"""
CREATE = """
CREATE TABLE videos (
    id INTEGER PRIMARY KEY, title VARCHAR(80) NOT NULL, state VARCHAR(16) NOT NULL, source_path TEXT NOT NULL,
    owner_id INTEGER NOT NULL, task_id VARCHAR(36), uploaded_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at DATETIME
)"""


@pytest.fixture
def team(tmp_path):
    """Return a function that writes the file, with `old` replaced by `new`, and reads it."""
    (tmp_path / "python").symlink_to(sys.executable)
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite+aiosqlite:///app.db\nAWS_ENDPOINT_URL=http://127.0.0.1:1\n")

    def write(old="", new="", more=""):
        assert old in GOOD
        path = tmp_path / "aforo.toml"
        path.write_text(GOOD.replace(old, new, 1) + more)
        path.chmod(0o644)
        read_app_file.cache_clear()
        return path

    return write
