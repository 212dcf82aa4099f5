import pytest

from core.errors import EnvironmentFault
from core.ffmpeg import requirement as module
from core.ffmpeg.requirement import require_ffmpeg
from testing.clips import put_fake_ffmpeg


def test_a_missing_a_hanging_and_an_old_ffmpeg_are_errors_that_name_it(tmp_path, monkeypatch):
    require_ffmpeg()
    put_fake_ffmpeg(tmp_path, "echo ffmpeg version 4.4.2-0ubuntu0", monkeypatch)
    with pytest.raises(EnvironmentFault, match=r"^ffmpeg \(4.4.2-0ubuntu0\); it is older than 5.1; install"):
        require_ffmpeg()
    put_fake_ffmpeg(tmp_path, 'echo "ffmpeg version 6.1 without encoders"', monkeypatch)
    with pytest.raises(EnvironmentFault, match="it has no libx264 encoder"):
        require_ffmpeg()
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.2)
    put_fake_ffmpeg(tmp_path, "exec sleep 60", monkeypatch)
    with pytest.raises(EnvironmentFault, match=r"^ffmpeg; it does not run: .*timed out"):
        require_ffmpeg()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EnvironmentFault, match=r"^ffmpeg; it does not run: .*; install the package ffmpeg$"):
        require_ffmpeg()
