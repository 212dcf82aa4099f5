import subprocess

import pytest

from core.errors import UsageError
from core.settings import PROFILE_NAMES
from testing import clips
from worker.media.profiles import PROFILES, profile_named


def size_after(tmp_path, profile: str, size: str) -> str:
    """Return width, height and pixel format of one picture of `size` after the profile's filter."""
    picture = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=0.04")
    output = clips.make(tmp_path / "one.mp4", *picture, "-vf", PROFILES[profile].video_filter, "-c:v", "libx264")
    entries = ["-show_entries", "stream=width,height,pix_fmt", "-of", "csv=p=0", str(output)]
    return subprocess.run(
        ["ffprobe", "-v", "error", *entries], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("1920x1080", "1280,720"),
        ("1080x1920", "720,1280"),  # upright
        ("640x360", "640,360"),  # never enlarged
        ("321x241", "320,240"),  # even sides
        ("1440x1080", "960,720"),
        ("4096x2", "1280,2"),  # at least one pair of lines
    ],
)
def test_full_fits_the_picture_into_720p_without_enlarging_it(tmp_path, size, expected):
    assert size_after(tmp_path, "full", size) == f"{expected},yuv420p"


@pytest.mark.parametrize("size", ["1920x1080", "1080x1920", "320x240"])
def test_showcase_is_always_1280_by_720(tmp_path, size):
    assert size_after(tmp_path, "showcase", size) == "1280,720,yuv420p"


def grey_levels(path) -> bytes:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_the_watermark_is_drawn_in_the_corner_of_showcase_and_nowhere_else(tmp_path):
    black = ("-f", "lavfi", "-i", "color=black:size=1280x720:rate=25:duration=0.04")
    output = clips.make(tmp_path / "black.mp4", *black, "-vf", PROFILES["showcase"].video_filter, "-c:v", "libx264")
    levels = grey_levels(output)
    lit = [divmod(i, 1280) for i, level in enumerate(levels) if level > 60]
    assert lit
    assert min(row for row, _ in lit) > 590
    assert min(column for _, column in lit) > 1110


def test_full_keeps_the_whole_video_and_showcase_thirty_silent_seconds():
    assert (PROFILES["full"].longest_seconds, PROFILES["full"].keeps_audio) == (None, True)
    assert (PROFILES["showcase"].longest_seconds, PROFILES["showcase"].keeps_audio) == (30.0, False)


def test_the_error_for_an_unknown_profile_lists_the_profiles():
    with pytest.raises(UsageError, match=r"^profile \(4k\); it is unknown; use full or showcase$"):
        profile_named("4k")


def test_every_profile_name_of_the_settings_has_a_profile():
    assert tuple(PROFILES) == PROFILE_NAMES
