from dataclasses import replace

import pytest

from core.ffmpeg.probe import Color, _media_facts, container_of, input_guard, probe
from core.video import Reason, VideoFailed
from testing import clips


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return clips.good_mp4(tmp_path_factory.mktemp("probe"))


def refused(path, limits=clips.LIMITS) -> Reason:
    with pytest.raises(VideoFailed) as failure:
        probe(path, limits)
    return failure.value.reason


def test_the_probe_returns_the_properties_of_a_video(good):
    facts = probe(good, clips.LIMITS)
    assert (facts.container, facts.width, facts.height) == ("mov", 320, 180)
    assert (facts.video_codec, facts.audio_codec, facts.pixel_format) == ("h264", "aac", "yuv420p")
    assert (facts.frames, facts.frames_per_second, facts.video_seconds) == (50, 25.0, 2.0)
    assert facts.duration_seconds == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize(
    ("name", "container"), [("a.mov", "mov"), ("a.m4v", "mov"), ("a.mkv", "matroska"), ("a.ts", "mpegts")]
)
def test_containers_are_detected_by_content(good, tmp_path, name, container):
    video = clips.make(tmp_path / name, "-i", str(good), "-c", "copy", *(["-f", "mp4"] if name == "a.m4v" else []))
    facts = probe(video.rename(tmp_path / "in.bin"), clips.LIMITS)
    assert (facts.container, facts.video_codec, facts.audio_codec) == (container, "h264", "aac")
    assert facts.video_seconds == pytest.approx(2.0, abs=0.05)


def test_avi_and_webm_are_accepted(tmp_path):
    avi = clips.make(tmp_path / "a.avi", *clips.PICTURE, *clips.SOUND, "-c:v", "mpeg4", "-c:a", "libmp3lame")
    webm = clips.make(tmp_path / "a.webm", *clips.PICTURE, "-c:v", "libvpx", "-deadline", "realtime")
    assert (probe(avi, clips.LIMITS).container, probe(avi, clips.LIMITS).audio_codec) == ("avi", "mp3")
    assert (probe(webm, clips.LIMITS).video_codec, probe(webm, clips.LIMITS).has_audio) == ("vp8", False)


def test_subtitles_and_a_cover_picture_are_ignored(good, tmp_path):
    (tmp_path / "s.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhola\n")
    cover = ("-f", "lavfi", "-i", "color=size=64x64:duration=0.04:rate=25")
    video = clips.make(
        tmp_path / "rich.mp4",
        *("-i", str(good), *cover, "-i", str(tmp_path / "s.srt"), "-map", "1", "-map", "0", "-map", "2", "-c", "copy"),
        *("-c:v:0", "mjpeg", "-c:s", "mov_text", "-disposition:v:0", "attached_pic"),
    )
    assert (probe(video, clips.LIMITS).video_codec, probe(video, clips.LIMITS).width) == ("h264", 320)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY),
        (bytes(range(256)) * 40, Reason.NOT_MEDIA),
        (b"<html><body>404</body></html>", Reason.NOT_MEDIA),
        (b"\x7fELF" + bytes(500), Reason.NOT_MEDIA),
        (b"PK\x03\x04" + bytes(500), Reason.NOT_MEDIA),
        (bytes(10_000), Reason.NOT_MEDIA),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", Reason.NOT_MEDIA),
        (b"#EXTM3U\n#EXTINF:1,\nin.mp4\n", Reason.NOT_MEDIA),
        (b"ffconcat version 1.0\nfile good.mp4\n", Reason.NOT_MEDIA),
        (b"\0\0\0\x18ftypisom" + bytes(12), Reason.TRUNCATED),
        (b"\x1a\x45\xdf\xa3" + bytes(500), Reason.CORRUPT),
        (b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x10moov" + bytes(8), Reason.UNSUPPORTED),
    ],
)
def test_a_file_that_is_no_video_fails_with_its_reason(tmp_path, content, reason):
    path = tmp_path / "in.mp4"
    path.write_bytes(content)
    assert refused(path) is reason


def test_a_file_without_its_index_at_the_end_is_truncated(good, tmp_path):
    late = clips.make(tmp_path / "late.mp4", "-i", str(good), "-c", "copy")
    assert refused(clips.cut(late, 0.6)) is Reason.TRUNCATED


def test_a_faststart_file_cut_in_its_media_data_is_truncated_before_any_work(good):
    assert refused(clips.cut(good, 0.6)) is Reason.TRUNCATED


def test_trailing_bytes_after_the_last_box_are_no_error(good, tmp_path):
    padded = tmp_path / "padded.mp4"
    padded.write_bytes(good.read_bytes() + bytes(100))
    assert probe(padded, clips.LIMITS).frames == 50


def test_sound_without_picture_is_unsupported(tmp_path):
    assert refused(clips.make(tmp_path / "a.m4a", *clips.SOUND, *clips.AAC)) is Reason.UNSUPPORTED


def test_an_encrypted_video_is_unsupported(good, tmp_path):
    scheme = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", clips.KEY, "-encryption_kid", clips.KEY)
    assert refused(clips.make(tmp_path / "a.mp4", "-i", str(good), "-c", "copy", *scheme)) is Reason.UNSUPPORTED


def test_a_decoder_that_is_not_listed_is_unsupported(tmp_path):
    assert refused(clips.make(tmp_path / "a.avi", *clips.PICTURE, "-c:v", "magicyuv")) is Reason.UNSUPPORTED


def test_a_picture_of_more_than_33_megapixels_is_too_large(tmp_path):
    bomb = ("-f", "lavfi", "-i", "color=size=8192x4096:rate=1:duration=1", "-c:v", "libx264", "-preset", "ultrafast")
    assert refused(clips.make(tmp_path / "bomb.mp4", *bomb)) is Reason.TOO_LARGE


def test_more_than_64_streams_are_unsupported(good, tmp_path):
    many = clips.make(tmp_path / "many.mkv", "-i", str(good), *(["-map", "0:v"] * 70), "-c", "copy")
    assert refused(many) is Reason.UNSUPPORTED


def test_a_name_that_looks_like_an_option_or_a_protocol_is_a_name(good, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-i.mp4", "concat:a|b", "a b%d'\".mp4", "línea\n2.mp4"):
        path = tmp_path / name
        path.write_bytes(good.read_bytes())
        assert probe(path.relative_to(tmp_path), clips.LIMITS).frames == 50


def test_a_probe_that_takes_too_long_is_a_timeout(good):
    assert refused(good, replace(clips.LIMITS, deadline_seconds=0.0)) is Reason.TIMEOUT


def test_the_guard_restricts_ffmpeg_to_one_demuxer_and_to_files():
    guard = input_guard("mov")
    options = dict(zip(guard[::2], guard[1::2], strict=True))
    assert (options["-f"], options["-format_whitelist"], options["-protocol_whitelist"]) == ("mov", "mov", "file,pipe")
    assert options["-max_pixels"] == "33177600"
    assert "magicyuv" not in options["-codec_whitelist"].split(",")


def test_a_transport_stream_needs_its_sync_byte_in_every_packet(tmp_path):
    (tmp_path / "g.bin").write_bytes(b"G" + bytes(187) + b"G" + bytes(187) + b"X" + bytes(187))
    with pytest.raises(VideoFailed, match="not_media"):
        container_of(tmp_path / "g.bin")


def late_picture(folder):
    """Encode three seconds of picture that start 3.07 s after the sound."""
    late = ("-itsoffset", "3.07", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=3")
    return clips.make(folder / "late.mkv", *late, "-f", "lavfi", "-i", "sine=duration=6", *clips.H264, *clips.AAC)


def test_the_length_of_a_picture_in_matroska_excludes_its_start(tmp_path):
    facts = probe(late_picture(tmp_path), clips.LIMITS)
    assert facts.video_seconds == pytest.approx(3.0, abs=0.05)
    assert facts.duration_seconds == pytest.approx(6.1, abs=0.05)


def test_a_later_segment_of_matroska_has_the_length_of_the_segment(tmp_path):
    six_seconds = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=6", *clips.H264, "-g", "25")
    clips.make(tmp_path / "seg%03d.mkv", *six_seconds, "-f", "segment", "-segment_time", "3")
    facts = probe(tmp_path / "seg001.mkv", clips.LIMITS)
    assert (facts.video_seconds, facts.duration_seconds) == (3.0, 3.0)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Encode a film of 640 × 360, one picture of 320 × 180 and a small film of 320 × 180."""
    folder = tmp_path_factory.mktemp("film")
    large = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=2")
    clips.make(folder / "cover.jpg", *clips.PICTURE, "-frames:v", "1", "-update", "1")
    clips.make(folder / "small.mp4", *clips.PICTURE, *clips.H264)
    return clips.make(folder / "film.mp4", *large, *clips.SOUND, *clips.H264, *clips.AAC)


@pytest.mark.parametrize(
    ("first", "name"),
    [("cover.jpg", "a.mkv"), ("cover.jpg", "a.mp4"), ("small.mp4", "a.mkv"), ("small.mp4", "a.mp4")],
)
def test_a_picture_or_a_smaller_film_ahead_of_the_film_is_not_chosen(film, tmp_path, first, name):
    both = ("-i", str(film.parent / first), "-i", str(film), "-map", "0", "-map", "1", "-c", "copy")
    facts = probe(clips.make(tmp_path / name, *both), clips.LIMITS)
    assert (facts.video_index, facts.width, facts.video_codec) == (1, 640, "h264")
    assert facts.video_seconds == pytest.approx(2.0, abs=0.05)


def test_thumbnails_ahead_of_the_film_are_not_chosen(film, tmp_path):
    thumbnails = ("-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=1:duration=2", "-i", str(film))
    clip = clips.make(tmp_path / "a.mkv", *thumbnails, "-map", "0", "-map", "1", "-c", "copy", "-c:v:0", "mjpeg")
    assert probe(clip, clips.LIMITS).video_index == 1


def test_the_default_film_is_chosen_before_a_larger_one(film, tmp_path):
    both = ("-i", str(film), "-i", str(film.parent / "small.mp4"), "-map", "0", "-map", "1", "-c", "copy")
    default = ("-disposition:v:0", "0", "-disposition:v:1", "default")
    assert probe(clips.make(tmp_path / "a.mkv", *both, *default), clips.LIMITS).width == 320


def test_motion_jpeg_alone_is_a_film(tmp_path):
    facts = probe(clips.make(tmp_path / "a.avi", *clips.PICTURE, "-c:v", "mjpeg"), clips.LIMITS)
    assert (facts.video_codec, facts.video_index) == ("mjpeg", 0)


def test_the_first_decodable_sound_is_chosen(tmp_path):
    facts = probe(clips.with_apac(tmp_path, *clips.SOUND), clips.LIMITS)
    assert (facts.audio_codec, facts.audio_index) == ("aac", 2)
    facts = probe(clips.with_apac(tmp_path), clips.LIMITS)
    assert (facts.audio_codec, facts.audio_index) == ("unknown", 1)


def test_interlacing_and_colours_are_read(tmp_path):
    assert probe(clips.interlaced(tmp_path / "a.mp4"), clips.LIMITS).is_interlaced
    facts = probe(clips.high_dynamic_range(tmp_path / "a.mov", "arib-std-b67"), clips.LIMITS)
    assert (facts.is_interlaced, facts.color) == (False, Color("tv", "bt2020nc", "arib-std-b67", "bt2020"))


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *(("duration", "inf"), ("duration", "x"), ("duration", "1e400"), ("nb_frames", "²"), ("nb_frames", "٣")),
        *(("duration", "-5"), ("start_time", "9" * 30)),
        *(("avg_frame_rate", "1e400"), ("avg_frame_rate", "-1/3"), ("avg_frame_rate", "1/0"), ("start_time", "nan")),
    ],
)
def test_a_text_of_ffprobe_that_is_no_number_is_unknown(field, text):
    """`make fuzz` found these."""
    stream = {"index": 0, "codec_type": "video", "codec_name": "h264", "width": 64, "height": 36}
    stream |= {"duration": "2.0", "nb_frames": "50", "avg_frame_rate": "25/1"} | {field: text}
    facts = _media_facts("mov", {"format": {"duration": "2.0"}, "streams": [stream]})
    names = {"duration": "video_seconds", "nb_frames": "frames", "avg_frame_rate": "frames_per_second"}
    assert field == "start_time" or getattr(facts, names[field]) is None
    assert facts.duration_seconds == 2.0


def test_a_stream_that_ends_before_it_starts_has_no_known_length():
    """`make fuzz` found that no stream was left."""
    stream = {"index": 0, "codec_type": "video", "codec_name": "h264", "width": 64, "height": 36}
    stream |= {"start_time": "999999", "tags": {"DURATION": "00:00:12.500"}}
    assert _media_facts("matroska", {"streams": [stream]}).video_seconds is None
