"""The app's worker: its command without a shell, and an environment without our names."""

import pytest

from core.app_file import read_app_file
from core.app_file.child_environment import child_environment, measured
from core.errors import AforoError
from local.app_command import words_of
from local.app_worker import changed_since
from tests.core.app_file.conftest import team  # noqa: F401 (a fixture)


def test_a_bare_name_is_looked_for_beside_python_first(team, tmp_path):  # noqa: F811
    (tmp_path / "celery").write_text("#!/bin/sh\n")
    (tmp_path / "celery").chmod(0o755)
    words = words_of(read_app_file(team()), 4)
    assert words == [f"{tmp_path}/celery", "-A", "app.main", "worker", "--concurrency=4"]


def test_a_program_that_is_not_there_names_the_line(team):  # noqa: F811
    with pytest.raises(AforoError, match=r"line 11: worker\.command \(selery\); there is no such program"):
        words_of(read_app_file(team("celery -A", "selery -A")), 4)


def test_no_name_of_ours_and_none_that_celery_reads_reaches_the_worker(team):  # noqa: F811
    inherited = {
        "HOME": "/home/me", "APP": "x", "CONFIG_MODULE": "x", "LOADER": "x", "AFORO_APP_FILE": "x", "SIZE": "5MB",
        "AFORO_DATABASE_URL": "x", "MAKEFLAGS": "x", "SUPERVISOR_ENABLED": "1", "AWS_ENDPOINT_URL": "http://other",
    }  # fmt: skip
    environment = child_environment(read_app_file(team()), measured(9105), inherited)
    assert environment == {
        "HOME": "/home/me",
        "DATABASE_URL": "sqlite+aiosqlite:///app.db",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AFORO_INSTRUMENT": "1",
        "AFORO_METRICS_HOST": "127.0.0.1",
        "AFORO_METRICS_PORT": "9105",
    }


def test_a_changed_source_file_restarts_the_worker_and_a_written_video_does_not(team, tmp_path):  # noqa: F811
    app = read_app_file(team())
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads/1.mp4").write_bytes(b"")
    newest = max(file.stat().st_mtime for file in tmp_path.iterdir() if file.is_file() and not file.is_symlink())
    (tmp_path / ".#tasks.py").symlink_to("somebody@host.4711")  # as Emacs makes it
    assert not changed_since(app, newest)
    (tmp_path / "tasks.py").write_text("")
    assert changed_since(app, newest - 1)
