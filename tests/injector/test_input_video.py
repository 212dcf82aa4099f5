import json
import os
import shutil
import stat
import subprocess
import threading

import pytest

from core.errors import EnvironmentFault, UsageError
from injector import input_video
from injector.input_video import inspect_file, make_video

SIZE_BYTES = 300_000


def silent(_: object) -> None:
    """Ignore a message or a progress value."""


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return make_video(SIZE_BYTES, tmp_path_factory.mktemp("media"), silent)


def probed(path, entries: str) -> dict:
    command = ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "json", str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def padding_bytes(path) -> int:
    content = path.read_bytes()
    at = content.rfind(b"free") - 4
    return len(content) - at if at + int.from_bytes(content[at : at + 4], "big") == len(content) else 0


def program(folder, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_video_has_exactly_the_requested_size(video):
    assert video.path.stat().st_size == video.size_bytes == SIZE_BYTES


def test_it_is_a_moving_picture_with_sound_of_the_same_length(video):
    streams = probed(video.path, "stream=codec_name,duration,nb_frames")["streams"]
    assert [s["codec_name"] for s in streams] == ["h264", "aac"]
    assert float(streams[0]["duration"]) == pytest.approx(float(streams[1]["duration"]), abs=0.1)
    assert int(streams[0]["nb_frames"]) == pytest.approx(float(streams[0]["duration"]) * 30, abs=1)
    assert video.duration_seconds == pytest.approx(SIZE_BYTES * 8 / input_video.recipe_for(SIZE_BYTES).rate, rel=0.15)


def test_the_pictures_of_a_video_differ(video):
    command = ["ffmpeg", "-v", "error", "-i", str(video.path), "-an", "-f", "framemd5", "-"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    digests = [line.rpartition(",")[2] for line in shown.splitlines() if not line.startswith("#")]
    assert len(set(digests)) == len(digests) > 60


def test_it_decodes_without_a_single_error_across_the_seams(tmp_path):
    long = make_video(900_000, tmp_path, silent)  # 13 s: the segment of 8 s and more than half of it again
    assert (long.duration_seconds or 0) > input_video.SEGMENT_SECONDS
    strict = ["ffmpeg", "-v", "error", "-xerror", "-err_detect", "explode", "-i", str(long.path), "-f", "null", "-"]
    shown = subprocess.run(strict, capture_output=True, check=False)
    assert (shown.returncode, shown.stderr) == (0, b"")


@pytest.mark.parametrize("size_bytes", [100_000, 123_457, 1_000_000, 4_999_999])
def test_the_padding_is_small(tmp_path, size_bytes):
    video = make_video(size_bytes, tmp_path, silent)
    assert video.size_bytes == size_bytes
    assert padding_bytes(video.path) <= max(input_video.SMALLEST_PADDING_BYTES, 0.01 * size_bytes)


def test_from_5_mb_on_it_resembles_the_upload_of_a_camera(tmp_path):
    stream = probed(make_video(5_000_000, tmp_path, silent).path, "stream=width,height,bit_rate")["streams"][0]
    assert (stream["width"], stream["height"]) == (1920, 1080)
    assert int(stream["bit_rate"]) == pytest.approx(7_870_000, rel=0.15)


def test_the_second_call_returns_the_stored_file_without_a_message(video, monkeypatch):
    monkeypatch.setattr(input_video, "_make", None)
    messages: list[str] = []
    assert make_video(SIZE_BYTES, video.path.parent, messages.append) == video
    assert messages == []


@pytest.mark.parametrize("harm", [lambda path: path.write_bytes(b"x"), lambda path: path.with_suffix(".json").unlink()])
def test_a_stored_file_that_differs_from_its_sidecar_is_created_again(video, tmp_path, harm):
    for file in (video.path, video.path.with_suffix(".json")):
        shutil.copy(file, tmp_path)
    harm(tmp_path / video.path.name)
    messages: list[str] = []
    again = make_video(SIZE_BYTES, tmp_path, messages.append)
    assert (again.sha256, messages) == (video.sha256, ["making a 300KB video (once)"])


def test_the_sidecar_holds_size_digest_and_length(video):
    sidecar = json.loads(video.path.with_suffix(".json").read_text())
    assert sidecar == {"size_bytes": SIZE_BYTES, "sha256": video.sha256, "duration_seconds": video.duration_seconds}


def test_only_the_video_its_sidecar_and_the_lock_remain(video):
    names = {video.path.name, video.path.with_suffix(".json").name, ".lock"}
    assert {path.name for path in video.path.parent.iterdir()} == names


def test_concurrent_calls_make_the_video_once(tmp_path):
    messages: list[str] = []
    makers = [threading.Thread(target=make_video, args=(SIZE_BYTES, tmp_path, messages.append)) for _ in range(3)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert messages == ["making a 300KB video (once)"]


def test_progress_goes_forward_to_one(tmp_path):
    values: list[float] = []
    make_video(SIZE_BYTES, tmp_path, silent, values.append)
    assert values == sorted(values)
    assert values[-1] == 1.0


def test_a_disk_that_is_too_small_is_an_error_before_the_work_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(input_video.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    with pytest.raises(EnvironmentFault, match=r"^disk \(1MB free\); 110MB are needed; free some, set UPLOAD_PATH"):
        make_video(50_000_000, tmp_path, silent)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_folder_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match=r"^media folder \(.*/file/media\); Not a directory; free space or set"):
        make_video(SIZE_BYTES, tmp_path / "file" / "media", silent)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo \"Unknown encoder 'libx264'\" >&2; exit 1", "^ffmpeg; it cannot make H.264 and AAC; install one"),
        ("echo 'x: No space left on device' >&2; exit 1", "^disk; it became full while the video was made; free"),
        ("echo first >&2; echo last >&2; exit 3", "^ffmpeg; it failed: last; run `ffmpeg -version` to see"),
    ],
)
def test_an_ffmpeg_that_fails_is_a_one_line_error_and_leaves_no_file(tmp_path, monkeypatch, script, error):
    program(tmp_path, "ffmpeg", script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(EnvironmentFault, match=error):
        make_video(SIZE_BYTES, tmp_path / "media", silent)
    assert [path.name for path in (tmp_path / "media").iterdir()] == [".lock"]


def test_a_missing_ffmpeg_is_a_one_line_error(video, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EnvironmentFault, match=r"^ffmpeg; it is not on PATH or not executable; install the package"):
        make_video(SIZE_BYTES, tmp_path, silent)
    with pytest.raises(EnvironmentFault, match=r"^ffprobe; it is not on PATH or not executable; install the package"):
        inspect_file(video.path)


def test_a_users_file_is_described(video):
    assert inspect_file(video.path) == video


@pytest.mark.parametrize("name", ["-i.mp4", "a|b %d'\".mp4", "concat:x", "línea\n2.mp4"])
def test_any_file_name_is_accepted(video, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copy(video.path, tmp_path / name)
    assert inspect_file((tmp_path / name).relative_to(tmp_path)).sha256 == video.sha256


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty.mp4", b"", "it is empty"),
        ("noise.mp4", bytes(range(256)) * 100, "it is no video that the worker accepts: not_media: .*"),
        ("page.mp4", b"<html>404</html>", "it is no video that the worker accepts: not_media: .*"),
        ("playlist.mp4", b"#EXTM3U\n#EXTINF:1,\nin.mp4\n", "it is no video that the worker accepts: not_media: .*"),
        ("script.mp4", b"ffconcat version 1.0\nfile in.mp4\n", "it is no video that the worker accepts: not_media: .*"),
    ],
)
def test_a_file_that_is_no_video_is_a_one_line_error(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=rf"^FILE \(.*{name}\); {why}; give "):
        inspect_file(tmp_path / name)


def test_a_truncated_file_is_refused_as_the_worker_would(video, tmp_path):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.path.read_bytes()[: SIZE_BYTES // 2])
    with pytest.raises(UsageError, match=r"^FILE \(.*cut.mp4\); it is no video that the worker accepts: truncated: "):
        inspect_file(cut)


def test_a_file_with_sound_only_is_refused(video, tmp_path):
    sound = tmp_path / "sound.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(video.path), "-vn", "-c", "copy", str(sound)], check=True)
    with pytest.raises(UsageError, match="there is no moving picture in it"):
        inspect_file(sound)


def test_a_path_that_is_no_readable_file_is_a_one_line_error(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    expected = {
        tmp_path: "it is a directory",
        tmp_path / "pipe": "it is not a regular file",
        tmp_path / "loop": "it cannot be read: Too many levels of symbolic links",
        tmp_path / "missing": "there is no such file",
        tmp_path / ("a" * 300): "it cannot be read: File name too long",
        tmp_path / "a\0b": "it cannot be read: embedded null byte",
    }
    for path, why in expected.items():
        with pytest.raises(UsageError) as refusal:
            inspect_file(path)
        assert f"; {why}; give the path of a video" in str(refusal.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_a_one_line_error(video, tmp_path):
    locked = tmp_path / "locked.mp4"
    shutil.copy(video.path, locked)
    locked.chmod(stat.S_IWUSR)
    with pytest.raises(UsageError, match="it cannot be read: Permission denied"):
        inspect_file(locked)
