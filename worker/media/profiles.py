"""Profiles: named sets of ffmpeg output options.

Both profiles encode with x264's `veryfast` preset, as on-demand transcoding services do. The preset needs about half
the CPU of the default `medium` at the same quality setting. Its files are about 10 % larger. A run records the
profile's name, so results of different presets are never mixed. A new preset needs a new name.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import UsageError

#: At most 1280 × 720, or 720 × 1280 when upright. Never enlarged; even sides (4:2:0 needs them), at least 2 pixels.
_INSIDE_720P = (
    "scale=w='max(2,if(gte(iw,ih),min(1280,iw),min(720,iw)))':h='max(2,if(gte(iw,ih),min(720,ih),min(1280,ih)))'"
    ":force_original_aspect_ratio=decrease:force_divisible_by=2,format=yuv420p"
)
#: Exactly 1280 × 720 with square pixels and black bars.
_BOXED_720P = (
    "scale=w='max(2,iw*sar)':h='max(2,ih)',scale=1280:720:force_original_aspect_ratio=decrease:force_divisible_by=2"
    ",pad=1280:720:(ow-iw)/2:(oh-ih)/2,setsar=1,format=yuv420p"
)
#: Four rising bars, bottom right. Boxes instead of text: drawtext needs a font file and not every ffmpeg has it.
_WATERMARK = ",".join(
    f"drawbox=x=iw-{160 - 32 * bar}:y=ih-{64 + 16 * bar}:w=20:h={24 + 16 * bar}:color=white@0.5:t=fill"
    for bar in range(4)
)
_H264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-profile:v", "high")
_AAC = ("-c:a", "aac", "-b:a", "128k", "-ac", "2")


@dataclass(frozen=True)
class Profile:
    """ffmpeg output options. `longest_seconds` limits the length of the output. None means no limit."""

    name: str
    video_filter: str
    codec_options: tuple[str, ...]
    longest_seconds: float | None
    keeps_audio: bool


PROFILES = {
    "full": Profile("full", _INSIDE_720P, (*_H264, *_AAC), None, True),
    "showcase": Profile("showcase", f"{_BOXED_720P},{_WATERMARK}", (*_H264, "-an"), 30.0, False),
}


def profile_named(name: str) -> Profile:
    """Return the profile with this name. Raise UsageError for an unknown name."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UsageError("profile", "it is unknown", f"use {' or '.join(PROFILES)}", value=name) from None
