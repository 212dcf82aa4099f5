import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from core.ffmpeg import filter_graphs
from core.ffmpeg.probe import Color, MediaFacts, probe
from core.ffmpeg.profiles import PROFILES
from core.ffmpeg.progress import Progress
from core.ffmpeg.requirement import has_filter
from core.video import Reason, VideoFailed
from testing import clips
from worker.media.transcode import TranscodeResult, require_whole, transcode

FULL, SHOWCASE = PROFILES["full"], PROFILES["showcase"]
FACTS = MediaFacts("mov", 60.0, 60.0, 1800, 30.0, 1920, 1080, "yuv420p", "h264", "aac")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return clips.good_mp4(tmp_path_factory.mktemp("transcode"))


def run(source: Path, target: Path, profile=FULL, limits=clips.LIMITS, media=None, threads=1) -> TranscodeResult:
    return transcode(source, target, profile, media or probe(source, clips.LIMITS), threads=threads, limits=limits)


def failure_of(source: Path, target: Path, **options) -> Reason:
    with pytest.raises(VideoFailed) as failure:
        run(source, target, **options)
    assert not target.exists()
    return failure.value.reason


def test_full_keeps_the_length_the_pictures_and_the_sound(good, tmp_path):
    result = run(good, tmp_path / "out.mp4")
    assert (result.media.frames, result.media.video_seconds, result.media.audio_codec) == (50, 2.0, "aac")
    assert (result.media.width, result.media.height, result.media.pixel_format) == (320, 180, "yuv420p")
    assert result.speed == pytest.approx(2.0 / result.finished.wall_seconds, rel=0.05)
    assert result.columns()["ffmpeg_max_rss_bytes"] > 10 << 20


def test_the_index_comes_first_so_that_the_output_can_be_streamed(good, tmp_path):
    run(good, tmp_path / "out.mp4")
    content = (tmp_path / "out.mp4").read_bytes()
    assert content.find(b"moov") < content.find(b"mdat")


def test_showcase_is_720p_and_silent(good, tmp_path):
    media = run(good, tmp_path / "out.mp4", SHOWCASE).media
    assert (media.width, media.height, media.frames, media.audio_codec) == (1280, 720, 150, None)


def test_a_longest_length_cuts_picture_and_sound(good, tmp_path):
    media = run(good, tmp_path / "out.mp4", replace(FULL, longest_seconds=1.0)).media
    assert (media.frames, media.audio_codec) == (25, "aac")
    assert media.duration_seconds == pytest.approx(1.0, abs=0.05)


FOREIGN = {
    "silent.mp4": (*clips.PICTURE, *clips.H264),
    "odd.mp4": ("-f", "lavfi", "-i", "testsrc2=size=321x241:rate=25:duration=1", "-c:v", "libx264"),
    "ten-bit.mp4": (*clips.PICTURE, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p10le"),
    "one-picture.mp4": (*clips.PICTURE, *clips.H264, "-frames:v", "1"),
    "vfr.mp4": (*clips.PICTURE, "-vf", "select='not(mod(n,3))+lt(n,20)'", "-fps_mode", "vfr", *clips.H264),
    "slow.mkv": ("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=1:duration=5", *clips.H264),
    "b-frames.mp4": (*clips.PICTURE, "-c:v", "libx264", "-preset", "fast", "-bf", "3"),
    "long-sound.mp4": (*clips.PICTURE, "-f", "lavfi", "-i", "sine=duration=4", *clips.H264, *clips.AAC),
    "a.webm": (*clips.PICTURE, *clips.SOUND, "-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"),
    "a.avi": (*clips.PICTURE, *clips.SOUND, "-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "a.ts": (*clips.PICTURE, *clips.SOUND, *clips.H264, *clips.AAC),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_unusual_but_complete_videos_are_accepted(tmp_path, name):
    source = clips.make(tmp_path / name, *FOREIGN[name])
    before = probe(source, clips.LIMITS)
    after = run(source, tmp_path / "out.mp4").media
    assert (after.pixel_format, after.has_audio) == ("yuv420p", before.has_audio)
    assert after.width % 2 == after.height % 2 == 0


def test_a_video_trimmed_by_an_edit_list_is_whole(good, tmp_path):
    trimmed = clips.make(tmp_path / "trimmed.mp4", "-ss", "0.5", "-i", str(good), "-c", "copy")
    assert run(trimmed, tmp_path / "out.mp4").media.video_seconds == pytest.approx(1.5, abs=0.1)


def test_a_rotated_video_comes_out_upright(good, tmp_path):
    rotated = clips.make(tmp_path / "r.mp4", "-i", str(good), "-c", "copy", "-metadata:s:v", "rotate=90")
    media = run(rotated, tmp_path / "out.mp4").media
    assert (media.width, media.height) == (180, 320)


def test_variable_frame_rate_keeps_the_pictures_it_has(tmp_path):
    source = clips.make(tmp_path / "vfr.mp4", *FOREIGN["vfr.mp4"])
    assert run(source, tmp_path / "out.mp4").media.frames == probe(source, clips.LIMITS).frames


def test_a_matroska_picture_that_starts_after_its_sound_is_whole(tmp_path):
    late = ("-itsoffset", "3.07", *clips.PICTURE, "-f", "lavfi", "-i", "sine=duration=6")
    source = clips.make(tmp_path / "late.mkv", *late, *clips.H264, *clips.AAC)
    assert run(source, tmp_path / "out.mp4").media.frames == 50


def test_the_film_behind_a_cover_is_transcoded(good, tmp_path):
    clips.make(tmp_path / "cover.jpg", *clips.PICTURE, "-frames:v", "1", "-update", "1")
    both = ("-i", str(tmp_path / "cover.jpg"), "-i", str(good), "-map", "0", "-map", "1", "-c", "copy")
    media = run(clips.make(tmp_path / "a.mkv", *both), tmp_path / "out.mp4").media
    assert (media.frames, media.video_seconds, media.audio_codec) == (50, 2.0, "aac")


def luma(path: Path) -> float:
    """Return the mean luma of the first picture, from 16 (black) to 235 (white)."""
    raw = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", "-vf", "extractplanes=y", "-f", "rawvideo", "-"]
    levels = subprocess.run(raw, capture_output=True, check=True).stdout
    return sum(levels) / len(levels)


@pytest.mark.parametrize(
    ("transfer", "darkest", "brightest"),
    [("arib-std-b67", 115, 135), ("bt2020-10", 122, 128), ("smpte2084", 140, 235)],  # half of PQ is 92 cd/m²
)
def test_wide_colours_are_converted_to_bt709(tmp_path, transfer, darkest, brightest):
    grey = ("-f", "lavfi", "-i", "color=0x808080:size=320x180:rate=25:duration=1")
    source = clips.high_dynamic_range(tmp_path / "a.mov", transfer, *grey)
    media = run(source, tmp_path / "out.mp4").media
    assert media.color == Color("tv", "bt709", "bt709", "bt709")
    assert (media.pixel_format, media.frames, media.video_seconds) == ("yuv420p", 25, 1.0)
    if has_filter("zscale"):
        assert darkest <= luma(tmp_path / "out.mp4") <= brightest


def test_without_zscale_wide_colours_are_converted_by_matrix(tmp_path, monkeypatch):
    monkeypatch.setattr(filter_graphs, "has_filter", lambda name: False)
    source = clips.high_dynamic_range(tmp_path / "a.mov", "arib-std-b67")
    media = run(source, tmp_path / "out.mp4").media
    assert (media.color, media.frames) == (Color("tv", "bt709", "bt709", "bt709"), 50)


def test_full_range_becomes_limited_range(tmp_path):
    full = ("-f", "lavfi", "-i", "color=white:size=320x180:rate=25:duration=1", "-pix_fmt", "yuvj420p")
    source = clips.make(tmp_path / "a.mp4", *full, "-c:v", "libx264", "-color_range", "pc")
    assert run(source, tmp_path / "out.mp4").media.color.range in {None, "tv"}  # x264 leaves out the default
    assert luma(tmp_path / "out.mp4") == pytest.approx(235, abs=2)


INTERLACED = {
    "576i.mp4": ("720x576",),
    "720i.mp4": ("1280x720",),
    "1080i.mp4": ("1920x1080",),
    "576i.ts": ("720x576", "-c:v", "mpeg2video", "-q:v", "3"),
    "576i.avi": ("720x576", "-c:v", "dvvideo", "-pix_fmt", "yuv420p"),
}


def combed_pictures(path: Path) -> int:
    """Return how many pictures ffmpeg's `idet` sees as interlaced."""
    command = ["ffmpeg", "-hide_banner", "-i", str(path), "-vf", "idet", "-f", "null", "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    counts = re.search(r"Multi frame detection: TFF:\s*(\d+) BFF:\s*(\d+)", text)
    return int(counts[1]) + int(counts[2])


@pytest.mark.parametrize("name", INTERLACED)
def test_interlaced_video_comes_out_progressive(tmp_path, name):
    source = clips.interlaced(tmp_path / name, *INTERLACED[name])
    assert combed_pictures(source) > 20
    media = run(source, tmp_path / "out.mp4", replace(FULL, preset="ultrafast")).media
    assert combed_pictures(tmp_path / "out.mp4") <= 5  # `idet` takes some lines of the test picture for combs
    assert (media.is_interlaced, media.frames, media.frames_per_second) == (False, 25, 25.0)


def test_a_second_sound_that_can_be_decoded_is_kept(tmp_path):
    media = run(clips.with_apac(tmp_path, *clips.SOUND), tmp_path / "out.mp4").media
    assert (media.audio_codec, media.frames) == ("aac", 50)


def test_a_sound_that_cannot_be_decoded_is_unsupported_unless_the_profile_is_silent(tmp_path):
    source = clips.with_apac(tmp_path)
    assert failure_of(source, tmp_path / "out.mp4") is Reason.UNSUPPORTED
    assert run(source, tmp_path / "out.mp4", replace(FULL, audio_bitrate=None)).media.frames == 50


@pytest.mark.parametrize("at", [0.3, 0.5, 0.7])
def test_400_overwritten_bytes_are_corrupt(good, tmp_path, at):
    assert failure_of(clips.overwrite(good, at), tmp_path / "out.mp4") is Reason.CORRUPT


def test_a_failure_holds_the_usage_of_ffmpeg(good, tmp_path):
    with pytest.raises(VideoFailed) as failure:
        run(clips.overwrite(good, 0.5), tmp_path / "out.mp4")
    assert failure.value.used["ffmpeg_max_rss_bytes"] > 10 << 20
    assert failure.value.used["ffmpeg_cpu_seconds"] > 0


def test_a_file_that_ends_early_is_truncated_even_if_the_probe_accepted_it(good, tmp_path):
    media = probe(good, clips.LIMITS)
    reason = failure_of(clips.cut(good, 0.6), tmp_path / "out.mp4", media=media)
    assert reason in {Reason.TRUNCATED, Reason.CORRUPT}


def test_a_matroska_file_cut_at_60_percent_is_truncated(good, tmp_path):
    whole = clips.make(tmp_path / "a.mkv", "-i", str(good), "-c", "copy")
    assert failure_of(clips.cut(whole, 0.6), tmp_path / "out.mp4") in {Reason.TRUNCATED, Reason.CORRUPT}


@pytest.mark.parametrize("damaged", [lambda good: clips.cut(good, 0.6), lambda good: clips.overwrite(good, 0.5)])
def test_control_ffmpeg_without_our_options_accepts_the_same_files(good, tmp_path, damaged):
    command = ["ffmpeg", "-nostdin", "-y", "-v", "quiet", "-i", str(damaged(good)), str(tmp_path / "out.mp4")]
    assert subprocess.run(command, check=False).returncode == 0


def test_ffmpeg_that_makes_no_progress_has_stalled(good, tmp_path, monkeypatch):
    media = probe(good, clips.LIMITS)
    clips.put_fake_ffmpeg(tmp_path, "echo frame=7; echo progress=continue; exec sleep 60", monkeypatch)
    limits = replace(clips.LIMITS, stall_seconds=0.3)
    assert failure_of(good, tmp_path / "out.mp4", limits=limits, media=media) is Reason.STALLED


def test_ffmpeg_that_repeats_the_same_progress_has_stalled(good, tmp_path, monkeypatch):
    media = probe(good, clips.LIMITS)
    clips.put_fake_ffmpeg(tmp_path, "while sleep 0.05; do echo frame=7; echo progress=continue; done", monkeypatch)
    limits = replace(clips.LIMITS, stall_seconds=0.4)
    assert failure_of(good, tmp_path / "out.mp4", limits=limits, media=media) is Reason.STALLED


def test_ffmpeg_past_its_deadline_is_a_timeout(good, tmp_path, monkeypatch):
    media = probe(good, clips.LIMITS)
    clips.put_fake_ffmpeg(tmp_path, "exec sleep 60", monkeypatch)
    limits = replace(clips.LIMITS, deadline_seconds=0.3)
    assert failure_of(good, tmp_path / "out.mp4", limits=limits, media=media) is Reason.TIMEOUT


@pytest.mark.parametrize("name", ["KILL", "SEGV"])
def test_a_killed_ffmpeg_is_a_signal(good, tmp_path, monkeypatch, name):
    media = probe(good, clips.LIMITS)
    clips.put_fake_ffmpeg(tmp_path, f"kill -{name} $$", monkeypatch)
    assert failure_of(good, tmp_path / "out.mp4", media=media) is Reason.FFMPEG_SIGNAL


def test_too_little_memory_is_oom(good, tmp_path):
    media = probe(good, clips.LIMITS)
    limits = replace(clips.LIMITS, memory_bytes=100 << 20)
    assert failure_of(good, tmp_path / "out.mp4", limits=limits, media=media) is Reason.OOM


@pytest.mark.parametrize(("memory_mib", "threads"), [(1024, 16), (1024, 12), (768, 16)])
def test_4k_in_10_bits_with_too_many_threads_for_its_memory_is_oom(tmp_path, memory_mib, threads):
    picture = ("-f", "lavfi", "-i", "testsrc2=size=3840x2160:rate=25:duration=0.8")
    source = clips.high_dynamic_range(tmp_path / "4k.mp4", "bt709", *picture)
    limits = replace(clips.LIMITS, memory_bytes=memory_mib << 20)
    assert failure_of(source, tmp_path / "out.mp4", limits=limits, threads=threads) is Reason.OOM


def test_an_output_over_the_file_limit_is_too_large(good, tmp_path):
    limits = replace(clips.LIMITS, file_bytes=20_480)
    assert failure_of(good, tmp_path / "out.mp4", limits=limits) is Reason.TOO_LARGE


def test_exit_status_0_without_an_output_is_a_failure(good, tmp_path, monkeypatch):
    media = probe(good, clips.LIMITS)
    clips.put_fake_ffmpeg(tmp_path, 'for last; do :; done; : > "${last#file:}"', monkeypatch)
    assert failure_of(good, tmp_path / "out.mp4", media=media) is Reason.EMPTY


def progress_of(pictures: int, dropped: int = 0, doubled: int = 0) -> Progress:
    progress = Progress()
    progress.feed(f"frame={pictures}\ndrop_frames={dropped}\ndup_frames={doubled}\nprogress=end\n".encode())
    return progress


@pytest.mark.parametrize(
    ("source", "output", "progress"),
    [
        (FACTS, FACTS, progress_of(1800)),
        (
            FACTS,
            replace(FACTS, video_seconds=59.0),
            progress_of(1790),
        ),  # within half a second, two pictures and a per cent
        (FACTS, FACTS, progress_of(1500, dropped=300)),
        (
            replace(FACTS, frames=None, video_seconds=None, duration_seconds=None),
            FACTS,
            progress_of(7),
        ),  # promised nothing
        (
            replace(FACTS, video_seconds=30.0),
            replace(FACTS, video_seconds=30.0),
            progress_of(900),
        ),  # edit list hides half
        (replace(FACTS, duration_seconds=90.0), FACTS, progress_of(1800)),  # the sound is longer
    ],
)
def test_a_complete_output_passes(source, output, progress):
    require_whole(source, output, progress, FULL)


@pytest.mark.parametrize(
    ("source", "output", "progress", "reason"),
    [
        (FACTS, replace(FACTS, video_seconds=58.0), progress_of(1800), Reason.TRUNCATED),
        (FACTS, FACTS, progress_of(1700), Reason.TRUNCATED),
        (FACTS, FACTS, progress_of(1800, doubled=100), Reason.TRUNCATED),
        (FACTS, replace(FACTS, audio_codec=None), progress_of(1800), Reason.CORRUPT),
        (
            replace(FACTS, video_seconds=None),
            replace(FACTS, duration_seconds=50.0),
            progress_of(1800),
            Reason.TRUNCATED,
        ),
    ],
)
def test_an_incomplete_output_fails(source, output, progress, reason):
    with pytest.raises(VideoFailed) as failure:
        require_whole(source, output, progress, FULL)
    assert failure.value.reason is reason
