"""Files that a user names to any program: no device, pipe, folder or huge file is read, waited for or replaced."""

import os
from pathlib import Path

import click
import pytest

from aforo.executions.export_file import ExportFile
from capacity.commands.audit import audit
from capacity.commands.document import document
from capacity.commands.goals import WritableFile
from capacity.commands.import_run import id_lines
from collector.executions_file import import_file
from core.errors import AforoError, EnvironmentFault, ExitCode, UsageError
from core.ffmpeg.profiles import read_profile
from core.user_files import require_writable
from grafana import bundle
from injector.arrivals import read_trace
from testing.polling import until

READERS = {
    "ids": id_lines,
    "trace": read_trace,
    "profile": read_profile,
    "executions": lambda path: import_file(None, path),
    "table": lambda path: audit.main([str(path)], standalone_mode=False),
}


@pytest.fixture
def unusual(tmp_path):
    """Return a function that returns the path of an unusual file by its kind."""
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)  # a hole, which takes no space
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00" * 100)
    return {"folder": tmp_path, "device": Path("/dev/zero")}.get, tmp_path


@pytest.mark.timeout(20)  # a reader that waits for a pipe or reads a device ends here
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["folder", "device", "pipe", "huge", "binary", "missing"])
def test_what_is_no_small_text_file_is_refused_in_one_line(unusual, reader, kind):
    special, folder = unusual
    path = special(kind) or folder / kind
    with pytest.raises(AforoError) as refusal:
        READERS[reader](path)
    assert refusal.value.exit_code in {ExitCode.USAGE, ExitCode.ENVIRONMENT}
    assert str(path)[:40] in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["/proc/x", "/proc/1/x", "{tmp}/pipe", "{tmp}", "{tmp}/file/x", "/dev/full"])
def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path, name, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    path = Path(name.format(tmp=tmp_path))
    for make_folder in (False, True):
        with pytest.raises(AforoError, match=r"; give another path$"):
            require_writable("file", path, "give another path", make_folder=make_folder)
    with pytest.raises(AforoError, match=r"^--junit"):
        WritableFile().convert(str(path), click.Option(["--junit"]), None)
    monkeypatch.setenv("AFORO_DATABASE_URL", f"sqlite:///{tmp_path}/never.db")
    with pytest.raises(AforoError, match=r"^document"):
        document.main(["--output", str(path)], standalone_mode=False)
    assert not (tmp_path / "never.db").exists()


def test_a_file_that_can_be_written_is_not_changed_by_the_check(tmp_path):
    require_writable("file", tmp_path / "new/report.md", "-", make_folder=True)
    (tmp_path / "old").write_text("x")
    require_writable("file", tmp_path / "old", "-")
    assert (tmp_path / "old").read_text() == "x"
    assert list((tmp_path / "new").iterdir()) == []


def test_the_bundle_replaces_only_a_bundle(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.jpg").write_text("x")
    with pytest.raises(UsageError, match=r"it holds other files"):
        bundle.write(tmp_path / "photos")
    assert (tmp_path / "photos/cat.jpg").exists()
    (tmp_path / "empty").mkdir()
    for _ in range(2):
        assert bundle.write(tmp_path / "empty")
    with pytest.raises(EnvironmentFault, match=r"^bundle \(/proc/x\)"):
        bundle.write(Path("/proc/x"))


@pytest.mark.timeout(20)
def test_a_worker_does_not_wait_for_a_pipe_that_nobody_reads(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    lost = []
    file = ExportFile(tmp_path / "pipe", {}, lambda: lost.append(1))
    file.start()
    file.append({"x": 1})
    until(lambda: lost == [1], "the record is counted as lost")
