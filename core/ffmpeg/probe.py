"""Read the properties of an untrusted video file with ffprobe.

The first bytes of the file show its container format. A sandboxed ffprobe may use only the demuxer (reader) of that
format. Other demuxers could open further files or never end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from core.ffmpeg.failure_reasons import require_success
from core.ffmpeg.sandbox import Limits, run_sandboxed
from core.plain_number import plain_number
from core.video import Reason, VideoFailed

PROBE_SECONDS = 60.0
HEAD_BYTES = 4096
INDEX_HEAD_BYTES = 65536
MAX_PIXELS = 33_177_600  # 7680 × 4320
MAX_STREAMS = 64
TS_PACKET_BYTES = 188
#: Decoders that may read an untrusted file: those for the formats of cameras, phones, editors and browsers. ffprobe
#: opens a decoder for every stream and fails at the first that is not listed, so subtitles are listed too.
DECODERS = (
    *("h264", "hevc", "av1", "libdav1d", "libaom-av1", "vp8", "vp9", "libvpx", "libvpx-vp9", "mpeg4", "mpeg2video"),
    *("mpeg1video", "h263", "mjpeg", "prores", "dnxhd", "msmpeg4", "msmpeg4v2", "wmv2", "theora", "dvvideo", "png"),
    *("aac", "mp3", "mp3float", "mp2", "mp2float", "ac3", "eac3", "opus", "libopus", "vorbis", "flac", "alac"),
    *("amrnb", "amrwb", "wmav2", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt", "pcm_u8", "pcm_s16le", "pcm_s16be"),
    *("pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le", "pcm_alaw", "pcm_mulaw", "dca"),
    *("mov_text", "srt", "subrip", "ass", "ssa", "webvtt", "cc_dec", "dvbsub", "dvdsub", "pgssub"),
)
_MOV_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_ENTRIES = (
    "format=duration,start_time:stream=index,codec_type,codec_name,width,height,pix_fmt,avg_frame_rate,nb_frames"
    ",start_time,duration,field_order,color_range,color_space,color_transfer,color_primaries"
    ":stream_tags=DURATION:stream_disposition=default,attached_pic,timed_thumbnails,still_image"
)
_STILL_DISPOSITIONS = ("attached_pic", "timed_thumbnails", "still_image")
_STILL_CODECS = frozenset({"mjpeg", "png"})
#: A video stream shorter than this share of the longest one is a cover or a preview.
_SHORT_RATIO = 0.5
_INTERLACED = frozenset({"tt", "bb", "tb", "bt"})  # DV, too, has two fields; ffprobe states no field order for it
_RATE = re.compile(r"(\d{1,12})/(\d{1,12})", re.ASCII)
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", re.ASCII)


@dataclass(frozen=True)
class Color:
    """Colour description of a video stream, in ffprobe's names. None means: not stated in the file."""

    range: str | None = None
    matrix: str | None = None
    transfer: str | None = None
    primaries: str | None = None

    @property
    def is_high_dynamic_range(self) -> bool:
        """Return True if the video has high dynamic range: transfer function HLG or PQ (ITU-R BT.2100)."""
        return self.transfer in {"arib-std-b67", "smpte2084"}

    @property
    def is_wide(self) -> bool:
        """Return True if the video has colours beyond BT.709.

        These are all videos with high dynamic range, and those in BT.2020 with standard range.
        """
        return self.is_high_dynamic_range or "bt2020" in {self.primaries, (self.matrix or "").removesuffix("nc")}


@dataclass(frozen=True)
class MediaFacts:
    """Properties of a video file, as ffprobe reads them. A property that the file does not state is None.

    `duration_seconds` is the length of the longest stream. `video_seconds` and `frames` are the length and the number
    of pictures of the video stream. `video_index` and `audio_index` are the numbers of the streams that ffmpeg
    transcodes. Without sound, `audio_index` and `audio_codec` are None. `audio_codec` is `unknown` if the sound cannot
    be decoded.
    """

    container: str
    duration_seconds: float | None
    video_seconds: float | None
    frames: int | None
    frames_per_second: float | None
    width: int
    height: int
    pixel_format: str
    video_codec: str
    audio_codec: str | None
    video_index: int = 0
    audio_index: int | None = None
    is_interlaced: bool = False
    color: Color = Color()

    @property
    def has_audio(self) -> bool:
        """Return True if the file has an audio stream, even one that cannot be decoded."""
        return self.audio_codec is not None


def probe(source: Path, limits: Limits) -> MediaFacts:
    """Return the properties of the local video file `source`, as ffprobe reads them.

    Raise VideoFailed for an empty, damaged, encrypted or unsupported file. `limits` are the limits of the ffprobe
    process, which may run for at most 60 s.
    """
    container = container_of(source)
    argv = ["ffprobe", "-hide_banner", "-v", "error", *input_guard(container), "-show_entries", _ENTRIES]
    deadline_seconds = min(PROBE_SECONDS, limits.deadline_seconds)
    finished = run_sandboxed(
        [*argv, "-of", "json", f"file:{source}"], replace(limits, deadline_seconds=deadline_seconds, stall_seconds=None)
    )
    require_success(finished)
    return _media_facts(container, json.loads(finished.stdout))


def input_guard(container: str) -> list[str]:
    """Return ffmpeg input options that allow only one demuxer, local files and the accepted decoders.

    `container` is the name of the demuxer.
    """
    return [
        *("-protocol_whitelist", "file,pipe", "-format_whitelist", container, "-codec_whitelist", ",".join(DECODERS)),
        *("-max_pixels", str(MAX_PIXELS), "-max_streams", str(MAX_STREAMS), "-f", container),
    ]


def container_of(source: Path) -> str:
    """Return the name of ffmpeg's demuxer for the file, recognised by its first bytes.

    Raise VideoFailed if the file is empty, truncated, encrypted or not a media file.
    """
    with source.open("rb") as file:
        head = file.read(HEAD_BYTES)
        container = _demuxer(head)
        if container == "mov":
            _require_whole_boxes(file, source.stat().st_size)
    return container


def _demuxer(head: bytes) -> str:
    if not head:
        raise VideoFailed(Reason.EMPTY)
    if head[4:8] in _MOV_BOXES:
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head.startswith(b"RIFF") and head[8:11] == b"AVI":
        return "avi"
    if len(head) > 2 * TS_PACKET_BYTES and set(head[::TS_PACKET_BYTES]) == {0x47}:
        return "mpegts"
    raise VideoFailed(Reason.NOT_MEDIA, f"it begins with {head[:12].hex(' ')}")


def _require_whole_boxes(file: BinaryIO, size_bytes: int) -> None:
    """Raise VideoFailed for a file that is encrypted, or ends inside its media data or before its index.

    The sizes of the outermost boxes (ISO/IEC 14496-12, 4.2) show this immediately. ffmpeg would fail only at the end.
    """
    kinds = set()
    for kind, start, end in _outer_boxes(file, size_bytes):
        if kind in {b"mdat", b"moov"} and end > size_bytes:
            raise VideoFailed(Reason.TRUNCATED, f"{size_bytes} of at least {end} bytes are there")
        if kind == b"moov":
            _require_clear(file, start)
        kinds.add(kind)
    if not kinds & {b"moov", b"moof"}:
        raise VideoFailed(Reason.TRUNCATED, "it has no index (moov)")


def _require_clear(file: BinaryIO, moov_start: int) -> None:
    """Raise VideoFailed for encrypted video.

    ffprobe reports encrypted video as H.264, which then decodes to garbage.
    """
    file.seek(moov_start)
    if b"encv" in file.read(INDEX_HEAD_BYTES):
        raise VideoFailed(Reason.UNSUPPORTED, "it is encrypted")


def _outer_boxes(file: BinaryIO, size_bytes: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of each outermost box. Stop at the first box with an impossible size."""
    start = 0
    while start + 8 <= size_bytes:
        file.seek(start)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size_bytes - start
        if length < 8:
            return
        yield header[4:8], start, start + length
        start += length


def _media_facts(container: str, probed: dict[str, Any]) -> MediaFacts:
    picture, sound = _picture(probed["streams"]), _sound(probed["streams"])
    rate = _fraction(picture.get("avg_frame_rate"))
    facts = MediaFacts(
        container=container,
        duration_seconds=_file_seconds(container, probed.get("format", {})),
        video_seconds=_stream_seconds(picture),
        frames=int(text) if (text := picture.get("nb_frames", "")).isascii() and text.isdigit() else None,
        frames_per_second=float(rate) if rate else None,
        width=int(picture.get("width", 0)),
        height=int(picture.get("height", 0)),
        pixel_format=picture.get("pix_fmt", "unknown"),
        video_codec=picture.get("codec_name", "unknown"),
        audio_codec=sound.get("codec_name", "unknown") if sound else None,
        video_index=picture["index"],
        audio_index=sound["index"] if sound else None,
        is_interlaced=picture.get("field_order") in _INTERLACED or picture.get("codec_name") == "dvvideo",
        color=Color(*(picture.get(f"color_{name}") for name in ("range", "space", "transfer", "primaries"))),
    )
    return _decodable(facts)


def _picture(streams: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the film: the largest of the default video streams, or of all if none is the default.

    Covers, thumbnails and single pictures are skipped. Raise VideoFailed if there is no video stream.
    """
    moving = [s for s in streams if s.get("codec_type") == "video" and not _has_disposition(s, *_STILL_DISPOSITIONS)]
    if not moving:
        raise VideoFailed(Reason.UNSUPPORTED, "there is no moving picture in it")
    films = [s for s in moving if s.get("codec_name") not in _STILL_CODECS] or moving
    longest = max(_stream_seconds(s) or 0.0 for s in films)
    films = [s for s in films if (_stream_seconds(s) or longest) >= longest * _SHORT_RATIO]
    defaults = [s for s in films if _has_disposition(s, "default")]
    return max(defaults or films, key=lambda s: s.get("width", 0) * s.get("height", 0))


def _sound(streams: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the first audio stream that can be decoded, else the first one. ffprobe names no codec it lacks."""
    sounds = [s for s in streams if s.get("codec_type") == "audio"]
    return next((s for s in sounds if s.get("codec_name", "unknown") != "unknown"), sounds[0] if sounds else None)


def _has_disposition(stream: dict[str, Any], *names: str) -> bool:
    return any(stream.get("disposition", {}).get(name) for name in names)


def _stream_seconds(stream: dict[str, Any]) -> float | None:
    """Return the length of a stream. Matroska's tag DURATION, as ffmpeg writes it, is the end of the stream."""
    seconds = _seconds(stream.get("duration"))
    end = _clock_seconds(stream.get("tags", {}).get("DURATION"))
    if seconds is None and end is not None:
        seconds = end - (_seconds(stream.get("start_time")) or 0.0)
    return None if seconds is None or seconds < 0 else seconds


def _file_seconds(container: str, file: dict[str, Any]) -> float | None:
    """Return the length of the file. Matroska states its end, which differs in a segment that starts late."""
    seconds, start = _seconds(file.get("duration")), _seconds(file.get("start_time"))
    return seconds if seconds is None or container != "matroska" else seconds - (start or 0.0)


def _decodable(facts: MediaFacts) -> MediaFacts:
    if facts.frames == 0 or (facts.duration_seconds or 1) <= 0:
        raise VideoFailed(Reason.EMPTY, "there is not one picture in it")
    if facts.width * facts.height > MAX_PIXELS:
        raise VideoFailed(Reason.TOO_LARGE, f"{facts.width}×{facts.height} is more than {MAX_PIXELS} pixels")
    if facts.video_codec == "unknown" or facts.width * facts.height == 0:
        raise VideoFailed(Reason.UNSUPPORTED, f"its picture ({facts.video_codec}) cannot be decoded")
    return facts


def _seconds(text: str | None) -> float | None:
    """Return the finite seconds in a text of ffprobe, or None. It writes N/A for unknown."""
    try:
        return plain_number(text or "")
    except ValueError:
        return None


def _clock_seconds(text: str | None) -> float | None:
    """Return the seconds of a Matroska time such as `00:01:02.500000000`."""
    match = _CLOCK.fullmatch(text or "")
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else None


def _fraction(text: str | None) -> Fraction | None:
    """Return a rate such as `30000/1001`, or None. ffprobe writes 0/0 for unknown."""
    match = _RATE.fullmatch(text or "")
    return Fraction(int(match[1]), int(match[2])) if match and int(match[2]) else None
