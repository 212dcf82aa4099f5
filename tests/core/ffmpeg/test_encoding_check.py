from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import EnvironmentFault, UsageError
from core.ffmpeg.encoding_check import require_encoding
from core.ffmpeg.profiles import PROFILES, Filter
from testing.clips import put_fake_ffmpeg

FULL = PROFILES["full"]


@pytest.mark.parametrize("name", ["full", "showcase"])
def test_the_profiles_of_h264_can_be_encoded(name):
    require_encoding(PROFILES[name])


@pytest.mark.parametrize(
    "changes",
    [
        {"preset": "warp9"},
        {"filters": (Filter("scale", {"w": "nonsense"}),)},
        {"filters": (Filter("crop", {"w": 9999}),)},
    ],
)
def test_what_ffmpeg_rejects_is_a_usage_error_in_one_line(changes):
    with pytest.raises(UsageError, match=r"^PROFILE \(full\); ffmpeg rejects it: .*; correct its preset"):
        require_encoding(replace(FULL, **changes))


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a card")
def test_nvenc_without_a_card_is_a_fault_of_the_environment():
    with pytest.raises(EnvironmentFault, match=r"^profile \(nvenc\); h264_nvenc is not available here: .*; use "):
        require_encoding(PROFILES["nvenc"])


def test_a_missing_encoder_is_a_fault_of_the_environment(tmp_path, monkeypatch):
    put_fake_ffmpeg(tmp_path, "echo \"Unknown encoder 'libx265'\" >&2; exit 1", monkeypatch)
    with pytest.raises(EnvironmentFault, match="libx265 is not available here"):
        require_encoding(PROFILES["hevc"])
