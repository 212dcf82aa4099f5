"""Encoding profiles: five that have a name, and those that users write as TOML files.

A run records the name of its profile. The recorded name of a user's own profile ends with a digest of its values. A
profile with another preset needs another name, because results of different presets must not be mixed.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeGuard

from core.errors import UsageError, first_line
from core.user_files import read_text

#: Length of the intro card, and of the outro card.
CARD_SECONDS = 2.0
LARGEST_FILE_BYTES = 65536
MOST_FILTERS = 32
#: The ffmpeg encoder of each codec.
ENCODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "av1": "libsvtav1",
    "h264_nvenc": "h264_nvenc",
    "hevc_nvenc": "hevc_nvenc",
}
#: Filters of a profile of your own: one picture in, one picture out, and no access to files or the network.
FILTERS = frozenset(
    {
        *("bwdif", "crop", "deband", "deblock", "drawbox", "eq", "fps", "gblur", "hflip", "hqdn3d", "hue", "nlmeans"),
        *("noise", "pad", "rotate", "scale", "setdar", "setsar", "transpose", "unsharp", "vflip", "yadif"),
    }
)
_OPTION = re.compile(r"[a-z][a-z0-9_]{0,31}")
_BIT_RATE = re.compile(r"[1-9][0-9]{0,6}[kM]")


@dataclass(frozen=True)
class Filter:
    """One ffmpeg video filter of a profile, with its options."""

    name: str
    options: Mapping[str, str | int | float]


@dataclass(frozen=True)
class Profile:
    """Encoding profile: how ffmpeg encodes a video.

    The quality is set by `crf` (constant quality) or by `bitrate`, such as `3M`. Without `filters`, the picture is
    scaled to fit 720p. At most `longest_seconds` of the source are encoded; None means all. With `has_cards`, the
    output has a watermark, and a still picture before and after the film. If `audio_bitrate` is None, the output has no
    sound.
    """

    name: str
    codec: str
    preset: str
    crf: int | None = None
    bitrate: str | None = None
    audio_bitrate: str | None = None
    longest_seconds: float | None = None
    filters: tuple[Filter, ...] = ()
    has_cards: bool = False

    @property
    def keeps_audio(self) -> bool:
        """Return True if a video encoded with this profile has the sound of its source."""
        return self.audio_bitrate is not None

    @property
    def encoder(self) -> str:
        """Return ffmpeg's name of the video encoder, such as `libx264`."""
        return ENCODERS[self.codec]

    def expected_seconds(self, source_seconds: float) -> float:
        """Return the length in seconds of the encoded video for a source of `source_seconds`.

        The field `longest_seconds` limits how much of the source is encoded. If the field `has_cards` is True, two
        still pictures of 2 s each are added.
        """
        film = source_seconds if self.longest_seconds is None else min(source_seconds, self.longest_seconds)
        return film + (2 * CARD_SECONDS if self.has_cards else 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of the profile as a dict of JSON values.

        The method `from_dict` makes an equal profile from this dict.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Profile:
        """Return the profile from the JSON values that the method `to_dict` returned."""
        return cls(**{**values, "filters": tuple(Filter(**each) for each in values["filters"])})


#: The H.264 profiles use x264's `veryfast`, as on-demand transcoding services do. At the same quality setting, it needs
#: half the CPU of the default preset `medium`, and the output is about 10 % larger.
PROFILES = {
    "full": Profile("full", "h264", "veryfast", crf=26, audio_bitrate="128k"),
    "showcase": Profile("showcase", "h264", "veryfast", crf=26, longest_seconds=30.0, has_cards=True),
    "hevc": Profile("hevc", "hevc", "veryfast", crf=28, audio_bitrate="128k"),
    "av1": Profile("av1", "av1", "10", crf=35, audio_bitrate="128k"),
    "nvenc": Profile("nvenc", "h264_nvenc", "p4", crf=28, audio_bitrate="128k"),
}


def profile_named(name: str) -> Profile:
    """Return the profile with this name. Raise UsageError for an unknown name."""
    try:
        return PROFILES[name]
    except KeyError:
        remedy = f"use {', '.join(PROFILES)} or the path of a file that ends in .toml"
        raise UsageError("PROFILE", "it is unknown", remedy, value=name) from None


def find_profile(text: str) -> Profile:
    """Return the profile that the option PROFILE selects, by its name or by the path of a TOML file.

    `text` is the value of the option. Raise UsageError for an unknown name, and for a file that is no valid profile.
    """
    return read_profile(Path(text)) if text.endswith(".toml") else profile_named(text)


def recorded_name(text: str) -> str:
    """Return the profile name that a run records if the option PROFILE has the value `text`.

    For the path of a TOML file, return the file's name with a digest, such as `mine-1a2b3c4d`. Return every other text
    unchanged. Raise UsageError if the file is no valid profile.
    """
    return read_profile(Path(text)).name if text.endswith(".toml") else text


def is_profile(text: str | None) -> TypeGuard[str]:
    """Return True if `text` is the name of a profile, or a path that ends in `.toml`.

    The file is not read.
    """
    return text is not None and (text in PROFILES or text.endswith(".toml"))


def profile_text(text: str) -> str:
    """Check `text`, the value of the option PROFILE, and return it unchanged.

    Raise UsageError if `text` names no valid profile.
    """
    find_profile(text)
    return text


def read_profile(path: Path) -> Profile:
    """Read a user's own profile from a TOML file.

    Raise UsageError if the file cannot be read, and for its first invalid entry.
    """
    try:
        values = tomllib.loads(read_text("PROFILE", path, "give the path of a TOML file", LARGEST_FILE_BYTES))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(path, f"it is no TOML: {first_line(error)}", "see profiles in docs/operating.md") from error
    return _own_profile(path, values)


def _own_profile(path: Path, values: dict[str, Any]) -> Profile:
    known = _checked(path, values)
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:8]
    stem = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:23] or "own"
    filters = tuple(Filter(each["name"], {k: v for k, v in each.items() if k != "name"}) for each in known["filters"])
    return Profile(**{**known, "filters": filters, "name": f"{stem}-{digest}"})


def _checked(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Return the valid values of the file, with the defaults of those it leaves out."""
    unknown = next((name for name in values if name not in _CHECKS), None)
    if unknown is not None:
        raise _invalid(path, f"{unknown} is unknown", f"use {', '.join(_CHECKS)}")
    for name, (is_valid, remedy) in _CHECKS.items():
        if name in values and not is_valid(values[name]):
            raise _invalid(path, f"{name} is {json.dumps(values[name], default=str)[:60]}", remedy)
    for name in ("codec", "preset"):
        if name not in values:
            raise _invalid(path, f"{name} is missing", _CHECKS[name][1])
    if ("crf" in values) == ("bitrate" in values):
        raise _invalid(path, "it needs either crf or bitrate", "give one of the two")
    return {"audio_bitrate": "128k", "filters": [], **values} | (
        {"audio_bitrate": None} if values.get("audio_bitrate") == "" else {}
    )


def _invalid(path: Path, why: str, remedy: str) -> UsageError:
    return UsageError("PROFILE", why, remedy, value=path)


def _is_bit_rate(value: Any) -> bool:
    return isinstance(value, str) and _BIT_RATE.fullmatch(value) is not None


def _is_whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _are_filters(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MOST_FILTERS and all(map(_is_filter, value))


def _is_filter(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("name") not in FILTERS:
        return False
    return all(_OPTION.fullmatch(k) and type(v) in (str, int, float) for k, v in value.items())


_Check = Callable[[Any], bool]
#: What a file may hold: the check of each value, and what to write instead.
_CHECKS: dict[str, tuple[_Check, str]] = {
    "codec": (lambda v: v in tuple(ENCODERS), f"write one of {', '.join(ENCODERS)}"),
    "preset": (
        lambda v: isinstance(v, str) and re.fullmatch(r"[a-z0-9]{1,16}", v) is not None,
        'write a preset of the encoder, such as "medium" or "8"',
    ),
    "crf": (lambda v: _is_whole(v, 0, 63), "write a whole number from 0 to 63"),
    "bitrate": (_is_bit_rate, 'write a number with k or M, such as "3M"'),
    "audio_bitrate": (
        lambda v: v == "" or _is_bit_rate(v),
        'write a number with k, such as "128k", or "" for no sound',
    ),
    "longest_seconds": (
        lambda v: type(v) in (int, float) and 0.1 <= v <= 86400,
        "write a number from 0.1 to 86400",
    ),
    "filters": (
        _are_filters,
        f"write tables with name and options of at most {MOST_FILTERS} of the filters {', '.join(sorted(FILTERS))}",
    ),
}
