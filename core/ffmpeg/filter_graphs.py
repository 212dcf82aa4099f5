"""Command lines of ffmpeg for each profile, with the filter graphs that they need.

ffmpeg-python builds the command line and runs nothing. The sandbox runs the command
(docs/adr/0086-ffmpeg-python-builds-the-graphs.md).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

from core.ffmpeg.probe import Color, MediaFacts, input_guard
from core.ffmpeg.profiles import CARD_SECONDS, Profile
from core.ffmpeg.requirement import has_filter


@contextmanager
def _without_future() -> Iterator[None]:
    """Let ffmpeg-python find its one name of the package `future`, so that `future` is never imported."""
    past, builtins = ModuleType("past"), ModuleType("past.builtins")
    builtins.basestring = (str, bytes)  # type: ignore[attr-defined]
    stand_ins = {"past": past, "past.builtins": builtins}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]


with _without_future():
    import ffmpeg

Stream = Any  # ffmpeg-python has no types

#: How much a picture shrinks to fit into 1280 × 720, or into 720 × 1280 when upright. Never enlarged.
_INSIDE_720P = "min(1,min(if(gte(iw,ih),1280,720)/iw,if(gte(iw,ih),720,1280)/ih))"
#: How much it shrinks or grows to fit into 1280 × 720.
_WITHIN_720P = "min(1280/iw,720/ih)"
_INTRO_COLOR, _OUTRO_COLOR = "0x12222F", "0x2F1222"
_BAR_HEIGHTS = (120, 200, 280, 360)
#: Rate of the cards where the source states none, and its limit, because a file may claim 1,000 pictures per second.
_CARD_RATE, _LARGEST_CARD_RATE = 25, 60


def transcode_command(source: Path, target: Path, profile: Profile, media: MediaFacts, threads: int) -> list[str]:
    """Return ffmpeg's command line that encodes the file `source` into the file `target` with `profile`.

    `media` has the properties of `source`. Decoder, filters and encoder use `threads` threads each. The command fails
    on damaged input.
    """
    guard = input_guard(media.container)
    options = dict(zip(map(_key, guard[::2]), guard[1::2], strict=True))
    file = ffmpeg.input(f"file:{source}", **options, err_detect="explode", threads=threads)
    streams = [picture(file[str(media.video_index)], profile, media)]
    if profile.keeps_audio and media.audio_index is not None:
        streams.append(file[str(media.audio_index)])
    output = ffmpeg.output(*streams, f"file:{target}", **_output_options(profile, media, threads), **_MP4)
    argv: list[str] = ffmpeg.compile(output, cmd=_global_options(threads))
    return argv


def trial_command(profile: Profile) -> list[str]:
    """Return ffmpeg's command line that encodes five generated pictures with this profile.

    The command writes no file. It is used to test whether the profile works on this machine.
    """
    source = ffmpeg.input("testsrc2=size=320x240:rate=25:duration=0.2", f="lavfi")
    media = MediaFacts("lavfi", 0.2, 0.2, 5, 25.0, 320, 240, "yuv420p", "rawvideo", None)
    stream = picture(source["0"], profile, media)
    output = ffmpeg.output(stream, "-", **_output_options(profile, media, 1), f="null")
    argv: list[str] = ffmpeg.compile(output, cmd=_global_options(1))
    return argv


def picture(source: Stream, profile: Profile, media: MediaFacts) -> Stream:
    """Add the profile's filters to the video stream `source`, and return the resulting video stream.

    `media` has the properties of the source file. The resulting pictures are progressive, in 4:2:0 with 8 bits. Colours
    beyond BT.709 are converted to BT.709.
    """
    film = source
    if media.is_interlaced:  # pictures that their decoder calls progressive pass unchanged
        film = film.filter("bwdif", mode="send_frame", deint="interlaced")
    if profile.has_cards:
        return _showcase(film, profile, media)
    if profile.filters:
        film = _standard_color(film, media)
        for each in profile.filters:
            film = film.filter(each.name, **each.options)
        return _tagged(film.filter("format", "yuv420p"), media)
    return _tagged(_standard_color(_scaled(film, _INSIDE_720P), media).filter("format", "yuv420p"), media)


def _showcase(film: Stream, profile: Profile, media: MediaFacts) -> Stream:
    """Return the first seconds of the film with a watermark, between the two cards."""
    film = film.trim(duration=profile.longest_seconds).setpts("PTS-STARTPTS")
    film = _standard_color(_fitted(film), media).filter("format", "yuv420p")
    # before the bars, so that the watermark of an upright film is on the film
    film = film.overlay(_watermark(), x="W-w-24", y="H-h-24", eof_action="repeat").filter("format", "yuv420p")
    film = film.filter("pad", w=1280, h=720, x="(ow-iw)/2", y="(oh-ih)/2")
    intro = _card(_card_rate(media), _INTRO_COLOR, _BAR_HEIGHTS)
    outro = _card(_card_rate(media), _OUTRO_COLOR, _BAR_HEIGHTS[::-1])
    return _tagged(ffmpeg.concat(intro, film.filter("setsar", 1), outro, v=1, a=0), media)


def _scaled(film: Stream, factor: str) -> Stream:
    """Return the film at `factor` times its size, with even sides of at least 2 pixels (4:2:0 needs them).

    `force_original_aspect_ratio` would round a side of a very flat picture to 0.
    """
    width, height = (f"max(2,2*trunc(round({side}*{factor})/2))" for side in ("iw", "ih"))
    return film.filter("scale", w=width, h=height)


def _fitted(film: Stream) -> Stream:
    """Return the picture at the largest size within 1280 × 720, with square pixels."""
    return _scaled(film.filter("scale", w="max(2,iw*sar)", h="max(2,ih)"), _WITHIN_720P)


def _watermark() -> Stream:
    """Return one half-transparent picture of four rising bars.

    Boxes instead of text: drawtext needs a font file and not every ffmpeg has it. `drawbox` of ffmpeg 5.1 crashes when
    it replaces the alpha of packed RGBA, so the picture is planar.
    """
    stream = ffmpeg.input("color=color=black@0:size=128x88:rate=1:duration=1,format=yuva420p", f="lavfi")
    for bar in range(4):
        height = 40 + 16 * bar
        stream = stream.filter(
            "drawbox", x=4 + 32 * bar, y=88 - height, w=20, h=height, color="white@0.5", t="fill", replace=1
        )
    return stream


def _card(rate: Fraction, color: str, heights: tuple[int, ...]) -> Stream:
    """Return a card: large white bars of these heights on one colour."""
    source = f"color=color={color}:size=1280x720:rate={rate}:duration={CARD_SECONDS}"
    stream = ffmpeg.input(source, f="lavfi")
    for bar, height in enumerate(heights):
        stream = stream.filter("drawbox", x=400 + 130 * bar, y=540 - height, w=90, h=height, color="white", t="fill")
    return stream.filter("format", "yuv420p").filter("setsar", 1)


def _card_rate(media: MediaFacts) -> Fraction:
    rate = min(media.frames_per_second or _CARD_RATE, _LARGEST_CARD_RATE)
    return Fraction(rate).limit_denominator(1001) or Fraction(_CARD_RATE)


def _standard_color(film: Stream, media: MediaFacts) -> Stream:
    """Return the film in BT.709 if its colours are beyond it, and in limited range.

    With zscale, light is converted through linear values, and high dynamic range is tone-mapped (Hable's curve, 100
    cd/m² as white). Without it, only the matrix is converted.
    """
    color = media.color
    if color.is_wide and has_filter("zscale"):
        return _through_linear_light(film, color)
    if color.is_wide:
        return film.filter("scale", in_color_matrix="bt2020", out_color_matrix="bt709", out_range="tv")
    return film.filter("scale", out_range="tv") if color.range == "pc" else film


def _through_linear_light(film: Stream, color: Color) -> Stream:
    stated = {
        "transferin": color.transfer or "bt2020-10",
        "matrixin": color.matrix or "bt2020nc",
        "primariesin": color.primaries or "bt2020",
        "rangein": "full" if color.range == "pc" else "limited",
    }
    film = film.filter("zscale", transfer="linear", npl=100, **stated).filter("format", "gbrpf32le")
    film = film.filter("zscale", primaries="bt709")
    if color.is_high_dynamic_range:
        film = film.filter("tonemap", tonemap="hable", desat=0)
    return film.filter("zscale", transfer="bt709", matrix="bt709", range="limited")


def _tagged(film: Stream, media: MediaFacts) -> Stream:
    """Return the film with the colour description that its values have. An unstated one stays unstated."""
    if media.color.is_wide:
        return film.filter("setparams", range="tv", color_primaries="bt709", color_trc="bt709", colorspace="bt709")
    stated = {
        "range": media.color.range and "tv",
        "color_primaries": media.color.primaries,
        "color_trc": media.color.transfer,
        "colorspace": media.color.matrix,
    }
    known = {name: value for name, value in stated.items() if value and value != "unknown"}
    return film.filter("setparams", **known) if known else film


_MP4 = {"sn": None, "dn": None, "map_metadata": -1, "map_chapters": -1, "movflags": "+faststart", "f": "mp4"}


def _key(option: str) -> str:
    return option.removeprefix("-")


def _global_options(threads: int) -> list[str]:
    return [
        *("ffmpeg", "-hide_banner", "-nostdin", "-y", "-loglevel", "error", "-nostats", "-progress", "pipe:1"),
        *("-xerror", "-filter_complex_threads", str(threads)),
    ]


def _output_options(profile: Profile, media: MediaFacts, threads: int) -> dict[str, Any]:
    # each picture keeps its time: a constant rate would multiply those of a file that claims 1,000 per second
    options: dict[str, Any] = {"fps_mode": "vfr", "threads": threads, "c:v": profile.encoder, "preset": profile.preset}
    options |= _rate_options(profile) | _encoder_options(profile, threads)
    if profile.longest_seconds is not None and not profile.has_cards:
        options["t"] = f"{profile.longest_seconds:g}"
    if profile.keeps_audio and media.has_audio:
        options |= {"c:a": "aac", "b:a": profile.audio_bitrate, "ac": 2}
    return options


def _rate_options(profile: Profile) -> dict[str, Any]:
    if profile.bitrate is not None:
        return {"b:v": profile.bitrate}
    return {"cq" if profile.encoder.endswith("_nvenc") else "crf": profile.crf}


def _encoder_options(profile: Profile, threads: int) -> dict[str, Any]:
    """Return the options that only this encoder has. x265 and SVT-AV1 do not read `-threads`."""
    options: dict[str, dict[str, Any]] = {
        "libx264": {"profile:v": "high"},
        "libx265": {"tag:v": "hvc1", "x265-params": f"log-level=error:pools={threads}"},
        "libsvtav1": {"svtav1-params": f"lp={threads}"},
        "hevc_nvenc": {"tag:v": "hvc1"},
    }
    return options.get(profile.encoder, {})
