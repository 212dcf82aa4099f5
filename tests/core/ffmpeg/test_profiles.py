import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from core.errors import UsageError
from core.ffmpeg.filter_graphs import transcode_command
from core.ffmpeg.probe import Color, MediaFacts, probe
from core.ffmpeg.profiles import (
    CARD_SECONDS,
    PROFILES,
    Filter,
    Profile,
    find_profile,
    is_profile,
    profile_named,
    recorded_name,
)
from core.settings import PROFILE_NAMES
from testing import clips


def encoded(source, folder, profile: Profile):
    """Encode `source` outside the sandbox. Return the path of the output."""
    target = folder / "out.mp4"
    command = transcode_command(source, target, profile, probe(source, clips.LIMITS), 1)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return target


def size_after(folder, profile: str, size: str) -> tuple[int, int, str]:
    picture = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=0.04", "-c:v", "libx264rgb")
    facts = probe(encoded(clips.make(folder / "one.mkv", *picture), folder, PROFILES[profile]), clips.LIMITS)
    return facts.width, facts.height, facts.pixel_format


@pytest.mark.parametrize(
    ("size", "width", "height"),
    [
        ("1920x1080", 1280, 720),
        ("1080x1920", 720, 1280),  # upright
        ("640x360", 640, 360),  # never enlarged
        ("321x241", 320, 240),  # even sides
        ("1440x1080", 960, 720),
        ("4096x2", 1280, 2),  # at least one pair of lines
    ],
)
def test_full_fits_the_picture_into_720p_without_enlarging_it(tmp_path, size, width, height):
    assert size_after(tmp_path, "full", size) == (width, height, "yuv420p")


def test_showcase_of_a_very_flat_film_is_1280_by_720(tmp_path):
    assert size_after(tmp_path, "showcase", "4096x2") == (1280, 720, "yuv420p")


@pytest.mark.parametrize(("size", "bar"), [("1920x1080", 0), ("1080x1920", 438), ("320x240", 160)])
def test_showcase_is_always_1280_by_720_with_black_bars_beside_a_lit_centre(tmp_path, size, bar):
    assert size_after(tmp_path, "showcase", size) == (1280, 720, "yuv420p")
    picture = grey_levels(tmp_path / "out.mp4", CARD_SECONDS)
    brightest = [max(picture[column::1280]) for column in range(1280)]  # the watermark is on the film, not on a bar
    lit = [column for column, level in enumerate(brightest) if level > 60]
    assert (min(lit), 1279 - max(lit)) == (pytest.approx(bar, abs=4), pytest.approx(bar, abs=4))
    assert len(lit) > 0.9 * (1280 - 2 * bar)


def grey_levels(path, at_seconds: float) -> bytes:
    command = ["ffmpeg", "-v", "error", "-ss", str(at_seconds), "-i", str(path), "-frames:v", "1"]
    raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-"]
    return subprocess.run([*command, *raw], capture_output=True, check=True).stdout


def test_showcase_is_an_intro_the_first_thirty_seconds_with_a_watermark_and_an_outro(tmp_path):
    black = ("-f", "lavfi", "-i", "color=black:size=320x180:rate=5:duration=33")
    output = encoded(clips.make(tmp_path / "black.mp4", *black, *clips.H264), tmp_path, PROFILES["showcase"])
    facts = probe(output, clips.LIMITS)
    assert (facts.video_seconds, facts.frames, facts.frames_per_second) == (34.0, 170, 5.0)
    assert facts.audio_codec is None
    lit = [divmod(i, 1280) for i, level in enumerate(grey_levels(output, 10)) if level > 60]
    assert min(row for row, _ in lit) > 590
    assert min(column for _, column in lit) > 1110
    left, right = (360 * 1280 + column for column in (440, 840))
    intro, film, outro = (grey_levels(output, at) for at in (1, 31, 33))
    assert [intro[left] > 200, intro[right] > 200] == [False, True]  # the bars rise
    assert [film[left] > 60, film[right] > 60] == [False, False]
    assert [outro[left] > 200, outro[right] > 200] == [True, False]  # the bars fall


#: of a source of 320 × 180 pixels and 25 pictures per second: width, height and rate of each profile's output
OUTPUTS = {
    "full": (320, 180, 25),
    "hevc": (320, 180, 25),
    "av1": (320, 180, 25),
    "showcase": (1280, 720, 25),
    "own": (160, 90, 10),
}


@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize("name", OUTPUTS)
def test_every_output_plays_and_is_as_its_profile_says(tmp_path, name, is_wide):
    profile = find_profile(own(tmp_path) if name == "own" else name)
    if not has_encoder(profile.encoder):
        pytest.skip(f"this ffmpeg has no {profile.encoder}")
    source = clips.high_dynamic_range(tmp_path / "a.mov", "bt2020-10") if is_wide else clips.good_mp4(tmp_path)
    output = encoded(source, tmp_path, profile)
    facts, length = probe(output, clips.LIMITS), profile.expected_seconds(2.0)
    (width, height, rate), sound = OUTPUTS[name], profile.keeps_audio and not is_wide
    assert (facts.width, facts.height, facts.frames_per_second, facts.frames) == (width, height, rate, rate * length)
    assert facts.video_seconds == pytest.approx(length, abs=0.01)
    assert (facts.video_codec, facts.pixel_format) == (profile.codec, "yuv420p")
    assert facts.audio_codec == ("aac" if sound else None)
    color = (
        Color("tv", "bt709", "bt709", "bt709") if is_wide else replace(probe(source, clips.LIMITS).color, range="tv")
    )
    assert replace(facts.color, range=facts.color.range or "tv") == color  # x264 leaves out the default
    command = ["ffmpeg", "-v", "error", "-xerror", "-i", str(output), "-f", "null", "-"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""


def command_options(profile: Profile) -> dict[str, str]:
    """Return the options of the command that encodes a video with sound, each with the word after it."""
    media = MediaFacts("mov", 2.0, 2.0, 50, 25.0, 1920, 1080, "yuv420p", "h264", "aac", audio_index=1)
    command = transcode_command(Path("in.mp4"), Path("out.mp4"), profile, media, 1)
    return dict(pairwise(command[command.index("-filter_complex") :]))


def test_nvenc_gets_the_quality_as_cq_because_it_has_no_crf():
    nvenc, hevc = (command_options(each) for each in (PROFILES["nvenc"], Profile("own", "hevc_nvenc", "p7", crf=30)))
    names = ("-c:v", "-preset", "-cq", "-crf", "-tag:v", "-profile:v", "-b:v", "-b:a")
    assert [nvenc.get(name) for name in names] == ["h264_nvenc", "p4", "28", None, None, None, None, "128k"]
    assert [hevc.get(name) for name in names] == ["hevc_nvenc", "p7", "30", None, "hvc1", None, None, None]
    by_rate = command_options(Profile("own", "h264_nvenc", "p4", bitrate="3M"))
    assert [by_rate.get(name) for name in names[2:4]] + [by_rate["-b:v"]] == [None, None, "3M"]
    assert [command_options(PROFILES["full"]).get(name) for name in ("-cq", "-crf")] == [None, "26"]


def has_encoder(name: str) -> bool:
    encoders = subprocess.run(["ffmpeg", "-v", "error", "-encoders"], capture_output=True, text=True, check=True).stdout
    return f" {name} " in encoders


def test_the_error_for_an_unknown_profile_lists_the_profiles():
    with pytest.raises(
        UsageError, match=r"^PROFILE \(4k\); it is unknown; use full, showcase, hevc, av1, nvenc or the path"
    ):
        profile_named("4k")


def test_every_profile_name_of_the_settings_has_a_profile():
    assert tuple(PROFILES) == PROFILE_NAMES


OWN = """
codec = "h264"
preset = "ultrafast"
bitrate = "300k"
audio_bitrate = ""
longest_seconds = 1

[[filters]]
name = "scale"
w = 160
h = -2

[[filters]]
name = "fps"
fps = 10
"""


def own(folder, text: str = OWN, name: str = "Mi perfil.toml"):
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_profile_of_your_own_does_what_its_file_says(tmp_path):
    profile = find_profile(own(tmp_path))
    assert profile.filters == (Filter("scale", {"w": 160, "h": -2}), Filter("fps", {"fps": 10}))
    facts = probe(encoded(clips.good_mp4(tmp_path), tmp_path, profile), clips.LIMITS)
    assert (facts.width, facts.height, facts.frames_per_second, facts.frames) == (160, 90, 10.0, 10)
    assert (facts.video_seconds, facts.audio_codec, facts.video_codec) == (1.0, None, "h264")


def test_the_name_of_a_profile_of_your_own_changes_with_its_content(tmp_path):
    first = find_profile(own(tmp_path))
    assert first.name.startswith("mi-perfil-")
    assert first == find_profile(own(tmp_path, OWN + "# a comment\n"))
    assert first.name != find_profile(own(tmp_path, OWN.replace("300k", "301k"))).name
    assert Profile.from_dict(first.to_dict()) == first


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("codec = ", "it is no TOML: .*; see profiles in docs/operating.md"),
        ("[" * 5000, "it is no TOML: .*"),
        ("", "codec is missing; write one of h264, hevc, av1, h264_nvenc, hevc_nvenc"),
        (OWN + "speed = 3", "filters is .*"),
        ("speed = 3\n" + OWN, "speed is unknown; use codec, preset, .*"),
        (OWN.replace("h264", "vp9"), 'codec is "vp9"; write one of .*'),
        (OWN.replace("ultrafast", "-i /etc/passwd"), 'preset is "-i /etc/passwd"; write a preset .*'),
        (OWN.replace('bitrate = "300k"', "crf = true"), "crf is true; write a whole number from 0 to 63"),
        ("crf = 20\n" + OWN, "it needs either crf or bitrate; give one of the two"),
        (OWN.replace("longest_seconds = 1", "longest_seconds = nan"), "longest_seconds is NaN; write a number .*"),
        (OWN.replace('"scale"', '"movie"'), "filters is .*; write tables with name and options .*"),
        (OWN.replace("w = 160", '"w=1,movie" = 160'), "filters is .*"),
        (OWN.replace("w = 160", "w = [1]"), "filters is .*"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path, text, error):
    text = text.replace("fps = 10\nspeed", "fps = 10\n[filters.x]\nspeed")
    with pytest.raises(UsageError, match=rf"^PROFILE \(.*\); {error}$"):
        find_profile(own(tmp_path, text, "a.toml"))


@pytest.mark.parametrize("path", ["/nowhere/a.toml", "/dev/zero/a.toml", "/tmp/.toml"])
def test_a_profile_that_is_no_file_is_one_line(path):
    with pytest.raises(
        UsageError, match=rf"^PROFILE \({path}\); (it is no|it cannot be read|there is no such file).*$"
    ):
        find_profile(path)


def test_the_package_future_is_never_imported():
    """The worker's modules and the injector load ffmpeg-python; `future` would stay in their process."""
    names = "[m for m in ('ffmpeg', 'past', 'future') if m in sys.modules]"
    program = f"import sys, worker.task, injector.__main__; print({names})"
    seen = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert seen == "['ffmpeg']\n"


def test_a_run_of_an_app_is_recorded_by_its_name_which_is_no_profile_to_pass_on(tmp_path):
    path = own(tmp_path)
    assert [recorded_name(text) for text in ("own-app", "hevc", path)] == ["own-app", "hevc", find_profile(path).name]
    assert [is_profile(text) for text in ("own-app", "hevc", path, None)] == [False, True, True, False]
