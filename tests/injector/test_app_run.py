"""A run of an app that cannot work is refused before anything is sent, and leaves nothing."""

import sqlite3
import sys

import pytest

from core.app_file import read_app_file
from core.errors import AforoError, UsageError
from core.ffmpeg.profiles import PROFILES
from core.run import Mode
from core.settings import Settings
from injector.app_run import prepare_app_run
from injector.injection import Request
from tests.core.app_file.conftest import CREATE, team  # noqa: F401 (a fixture)

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
