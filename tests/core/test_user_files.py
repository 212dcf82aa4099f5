"""Paths that a user gives: each problem is one line, and nothing waits for a device or a pipe."""

import os
from pathlib import Path

import pytest

from core import user_files
from core.errors import EnvironmentFault, UsageError
from core.plain_number import plain_number
from core.settings import Settings


@pytest.fixture
def unusual(tmp_path):
    """A folder, a pipe and a file, by name."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    return tmp_path


@pytest.mark.parametrize("name", ["folder", "pipe", "missing", "file/x", "a" * 300, "a\0b", "/dev/zero", "x/" * 3000])
def test_what_is_not_a_readable_file_is_refused_at_once(unusual, name):
    with pytest.raises(UsageError, match=r"^FILE \(.*\); (it|there) .*; give another$"):
        user_files.require_file("FILE", str(unusual / name) if name[0] != "/" else name, "give another")
    assert user_files.require_file("FILE", str(unusual / "file"), "-") == unusual / "file"


@pytest.mark.parametrize("text", ["a" * 5000, "a\0b", "\ud800"])
def test_a_text_that_cannot_be_a_path_is_no_folder(text):
    assert not user_files.is_folder(text)


@pytest.mark.parametrize(
    "folder", ["/proc/nope", "/proc/1/x", "/dev/null", "{tmp}/file", "{tmp}/file/x", "{tmp}/" + "a" * 300]
)
def test_a_folder_that_cannot_hold_files_is_refused(unusual, folder):
    with pytest.raises(EnvironmentFault, match=r"^results folder \(.*; choose another AFORO_RESULTS_PATH"):
        user_files.require_usable_folder("results folder", Path(folder.format(tmp=unusual)), "AFORO_RESULTS_PATH")


def test_a_full_folder_is_refused(tmp_path):
    assert user_files.require_usable_folder("results folder", tmp_path / "new", "X").startswith(str(tmp_path / "new"))
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(EnvironmentFault, match="MB are free; choose another X"):
        user_files.require_usable_folder("results folder", tmp_path, "X", least_free_bytes=10**18)


@pytest.mark.parametrize("value", ["~nouser/x", "a\nb", "a\0b"])
def test_a_setting_that_cannot_be_a_path_is_refused(value):
    with pytest.raises(UsageError, match="UPLOAD_PATH"):
        Settings.from_env({"UPLOAD_PATH": value})


@pytest.mark.parametrize(
    "text", ["nan", "inf", "1_0", "٣", "５", "1e999", "1e400", "9" * 400, "", "0x1", "1 0", "--1", "1,5"]
)
def test_a_text_that_is_no_plain_number_is_refused(text):
    with pytest.raises(ValueError, match="a finite number"):
        plain_number(text)


def test_plain_numbers_are_read():
    assert [plain_number(text) for text in ("1", " 2.5 ", "-.5", "1e3", "+4.")] == [1, 2.5, -0.5, 1000, 4]


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///:memory:",
        "sqlite://",
        "sqlite:///",
        "sqlite+pysqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
    ],
)
def test_a_database_in_memory_is_refused_because_each_program_would_have_its_own(url):
    with pytest.raises(UsageError, match="a memory of its own"):
        Settings.from_env({"AFORO_DATABASE_URL": url})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AFORO_WORKER_DEADLINE_SECONDS", "9" * 5000),
        ("AFORO_WORKER_DEADLINE_SECONDS", "６０"),
        ("AFORO_EXPORTER_BUSY_SECONDS", "1_0"),
        ("AFORO_PLAN_WAIT_P95", "６０s"),
        ("AFORO_PLAN_WAIT_P95", "9" * 400 + "s"),
    ],
)
def test_the_error_of_a_number_says_what_is_allowed(name, value):
    with pytest.raises(
        UsageError, match=rf"^{name} \(.*; it must be a (whole number from|number from|duration such as)"
    ):
        Settings.from_env({name: value})
